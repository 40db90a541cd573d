"""Headers whose numbers make no sense: refused by name before any allocation, or mended with a note."""

from __future__ import annotations

import numpy as np
import pytest

from cxrbatch.intake.reasons import Reason
from cxrbatch.radiographs.limits import MAX_PIXELS, require_size
from cxrbatch.radiographs.radiograph import RadiographError


@pytest.mark.parametrize(
    ("elements", "reason", "named"),
    [
        ({"Rows": None}, Reason.DECODE_FAILED, "Rows"),
        ({"Columns": 0}, Reason.DECODE_FAILED, "0 columns"),
        ({"BitsAllocated": None}, Reason.DECODE_FAILED, "BitsAllocated"),
        ({"BitsAllocated": 12}, Reason.DECODE_FAILED, "BitsAllocated is 12"),
        ({"BitsStored": 17}, Reason.DECODE_FAILED, "BitsStored is 17"),
        ({"BitsStored": 0, "HighBit": 0}, Reason.DECODE_FAILED, "BitsStored is 0"),
        ({"SamplesPerPixel": 4}, Reason.DECODE_FAILED, "SamplesPerPixel is 4"),
        ({"PixelRepresentation": 7}, Reason.DECODE_FAILED, "PixelRepresentation is 7"),
        ({"NumberOfFrames": 2}, Reason.MULTIFRAME, "2 frames"),
        ({"Rows": 65535, "Columns": 65535}, Reason.TOO_LARGE, "65535"),
        ({"Rows": 10001, "Columns": 10000}, Reason.TOO_LARGE, "10001"),
    ],
)
def test_nonsense_is_refused_by_name(render, ramp, elements, reason, named):
    with pytest.raises(RadiographError) as caught:
        render(ramp, **elements)
    assert caught.value.reason is reason
    assert named in caught.value.detail


@pytest.mark.parametrize(
    "elements",
    [
        {"HighBit": None},
        {"PixelRepresentation": None},
        {"SamplesPerPixel": None},
        {"NumberOfFrames": 1},
        {"NumberOfFrames": 0},
    ],
)
def test_what_may_be_left_out_is_taken_as_usual(render, ramp, elements):
    result = render(ramp, **elements)
    np.testing.assert_array_equal(result.pixels, render(ramp).pixels)
    assert result.notes == ()


@pytest.mark.parametrize("value", [None, "", "GREYSCALE", "RGB"])
def test_an_unknown_photometric_interpretation_is_assumed_with_a_note(render, ramp, value):
    result = render(ramp, PhotometricInterpretation=value)
    np.testing.assert_array_equal(result.pixels, render(ramp).pixels)
    assert "PhotometricInterpretation" in result.notes[0]


@pytest.mark.parametrize("high_bit", [3, 16, 200])
def test_an_impossible_high_bit_is_noted(render, ramp, high_bit):
    result = render(ramp, HighBit=high_bit)
    np.testing.assert_array_equal(result.pixels, render(ramp).pixels)
    assert "HighBit" in result.notes[0]


def test_the_limit_itself_is_allowed():
    require_size(10_000, MAX_PIXELS // 10_000, 1)
    with pytest.raises(RadiographError):
        require_size(10_000, MAX_PIXELS // 30_000 + 1, 3)
