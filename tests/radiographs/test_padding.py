"""Padding is background: out of the range, black in the picture, whatever the polarity."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def film() -> np.ndarray:
    """Values 1000 .. 1999 within a frame of zeros."""
    film = np.zeros((50, 60), dtype=np.uint16)
    film[10:40, 5:55] = np.random.default_rng(3).integers(1000, 2000, (30, 50))
    film[10, 5], film[10, 6] = 1000, 1999
    return film


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    "limits",
    [
        {"PixelPaddingValue": 0},
        {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 900},
        {"PixelPaddingValue": 900, "PixelPaddingRangeLimit": 0},
    ],
)
def test_padding_is_black_and_outside_the_range(render, film, photometric, limits):
    result = render(film, PhotometricInterpretation=photometric, **limits)
    inside = film[10:40, 5:55].astype(float)
    unit = (inside - 1000) / 999
    expected = 65535 * (1 - unit if photometric == "MONOCHROME1" else unit)
    np.testing.assert_allclose(result.pixels[10:40, 5:55], expected, atol=0.51)
    outside = film == 0
    assert (result.pixels[outside] == 0).all()
    assert result.notes == ()


def test_padding_does_not_hide_a_useless_window(render, film):
    """All that is left of this window is padding against film: without the padding it is one grey."""
    result = render(film, PixelPaddingValue=0, WindowCenter=500, WindowWidth=10)
    assert "single grey value" in result.notes[0]
    assert len(np.unique(result.pixels)) > 500


@pytest.mark.parametrize("written", ["SS", "US"])
def test_signed_padding_in_either_writing(render, make_dicom, written):
    values = np.arange(-1000, 1500, dtype=np.int16).reshape(50, 50)
    values[:5] = -2000
    ds = make_dicom(values, BitsStored=16)
    ds.add_new("PixelPaddingValue", written, -2000 if written == "SS" else 63536)
    pixels = render(ds).pixels
    assert (pixels[:5] == 0).all()
    assert pixels[5:].min() == 0
    assert pixels[5, 0] == 0  # the least film value is black too
    assert pixels[5, 1] > 0


def test_padding_that_covers_everything_is_ignored(render, ramp):
    result = render(ramp, PixelPaddingValue=0, PixelPaddingRangeLimit=4095)
    np.testing.assert_array_equal(result.pixels, render(ramp).pixels)
    assert "PixelPaddingValue" in result.notes[0]


def test_padding_of_unreadable_value_is_no_crash(render, make_dicom, ramp):
    ds = make_dicom(ramp)
    ds.add_new("PixelPaddingValue", "LO", "none")
    np.testing.assert_array_equal(render(ds).pixels, render(ramp).pixels)
