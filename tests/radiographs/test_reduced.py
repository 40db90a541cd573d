"""JPEG 2000 at a lower resolution: the same film, only smaller, or decoded in full."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import JPEG2000Lossless, RLELossless

from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.radiograph import Radiograph, RadiographError
from cxrbatch.radiographs.read import read_radiograph

LEAST = (100, 90)
WINDOW = {"WindowCenter": 2000, "WindowWidth": 3000}


def film(rows: int = 211, columns: int = 190, bits: int = 12) -> np.ndarray:
    """Smooth shapes, some noise: as a radiograph, it has little that is finer than two pixels."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    shape = 0.5 + 0.3 * np.sin(7 * x) * np.cos(5 * y) + 0.1 * (y > 0.6)
    noise = np.random.default_rng(1).normal(0, 0.004, shape.shape)
    return np.rint((shape + noise).clip(0, 1) * ((1 << bits) - 1)).astype(np.uint16)


@pytest.fixture
def compressed(make_dicom, encode):
    def make(samples: np.ndarray, syntax=JPEG2000Lossless, **elements: Any) -> bytes:
        ds = make_dicom(samples, **elements)
        ds.compress(
            syntax,
            encoding_plugin="pylibjpeg" if syntax == JPEG2000Lossless else "",
            generate_instance_uid=False,
        )
        return encode(ds)

    return make


def read(data: bytes, least: tuple[int, int] | None = LEAST) -> Radiograph:
    return read_radiograph(data, FileKind.DICOM, least)


def halved(pixels: np.ndarray, factor: int = 2) -> np.ndarray:
    """Means of squares, without what is left over at the edges."""
    rows, columns = pixels.shape[0] // factor, pixels.shape[1] // factor
    whole = pixels[: rows * factor, : columns * factor].astype(float)
    return whole.reshape(rows, factor, columns, factor).mean(axis=(1, 3))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [12, 15, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_a_half_sized_film_shows_what_the_whole_one_shows(compressed, photometric, bits, signed):
    samples = film(bits=bits)
    top, centre = 1 << bits, 1 << (bits - 1)
    if signed:
        samples, centre = (samples.astype(np.int32) - (top >> 1)).astype(np.int16), 0
    elements = {"BitsStored": bits, "WindowCenter": centre, "WindowWidth": top * 0.8}
    data = compressed(samples, PhotometricInterpretation=photometric, **elements)
    whole, half = read(data, None), read(data)
    assert whole.full_size is None
    assert half.full_size == whole.pixels.shape == (211, 190)
    assert half.pixels.shape == (106, 95)
    expected = halved(whole.pixels)
    difference = np.abs(half.pixels[:105, :95] - expected)
    assert difference.mean() < 0.005 * 65535
    assert np.abs(half.pixels.mean() - whole.pixels.mean()) < 0.002 * 65535
    assert half.notes == whole.notes


def test_only_as_often_as_the_size_allows(compressed):
    data = compressed(film(640, 600), **WINDOW)
    shapes = {side: read(data, (side, side)).pixels.shape for side in (601, 301, 300, 151, 150, 75, 74)}
    expected = {601: (640, 600), 301: (640, 600), 300: (320, 300), 151: (320, 300)}
    assert shapes == expected | {150: (160, 150), 75: (80, 75), 74: (80, 75)}


def with_hot_pixel() -> np.ndarray:
    samples = film() // 4
    samples[50, 50] = 4095
    return samples


@pytest.mark.parametrize(
    ("samples", "elements"),
    [
        (film(), {}),  # no window: the greys follow from the extremes of the very picture
        (with_hot_pixel(), {}),
        (film(), {"WindowCenter": 2000, "WindowWidth": 0}),
        (film(), {**WINDOW, "PixelPaddingValue": 0}),
        (film(150, 150), WINDOW),
        (film(), {**WINDOW, "syntax": RLELossless}),
    ],
)
def test_else_it_is_decoded_in_full(compressed, samples, elements):
    data = compressed(samples, **elements)
    assert_same(read(data), read(data, None))


def assert_same(one: Radiograph, other: Radiograph) -> None:
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert one.notes == other.notes
    assert one.full_size is None


def test_a_header_that_contradicts_the_codestream_is_left_to_full_decoding(compressed, encode):
    ds = dcmread(io.BytesIO(compressed(film(), **WINDOW)))
    ds.BitsStored, ds.HighBit = 16, 15
    data = encode(ds)
    assert_same(read(data), read(data, None))


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_truncated_codestream_ends_as_it_does_without(compressed, encode, kept):
    from pydicom.encaps import encapsulate, get_frame

    ds = dcmread(io.BytesIO(compressed(film(), **WINDOW)))
    frame = get_frame(ds.PixelData, 0, number_of_frames=1)
    ds.PixelData = encapsulate([frame[: int(len(frame) * kept)]])
    outcomes = [_outcome(encode(ds), least) for least in (None, LEAST)]
    assert outcomes[0] == outcomes[1]


def _outcome(data: bytes, least: tuple[int, int] | None) -> object:
    try:
        return read(data, least).digest
    except RadiographError as error:
        return error.reason, error.detail


def test_a_real_film():
    path = get_testdata_file("RG1_J2KR.dcm")
    if path is None:
        pytest.skip("pydicom-data is not installed")
    with open(path, "rb") as file:
        data = file.read()
    whole, half = read(data, None), read(data, (640, 640))
    assert half.pixels.shape == (978, 921)
    assert half.full_size == (1955, 1841)
    difference = np.abs(halved(whole.pixels) - half.pixels[:977, :920])
    assert difference.mean() < 0.01 * 65535
