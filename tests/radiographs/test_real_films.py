"""Real radiographs: the same pixels in two encodings, and a header that was turned round."""

from __future__ import annotations

import io
from pathlib import Path

import data_store
import numpy as np
import pydicom
import pytest
from PIL import Image

from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.radiograph import Radiograph
from cxrbatch.radiographs.read import read_radiograph

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
STORE = Path(data_store.__file__).parent / "data"


def film(path: Path) -> Radiograph:
    return read_radiograph(path.read_bytes(), FileKind.DICOM)


@pytest.mark.parametrize("name", ["RG1", "RG3", "MR2", "693"])
def test_uncompressed_and_lossless_jpeg_2000_are_identical(name):
    uncompressed, compressed = (film(STORE / f"{name}_{how}.dcm") for how in ("UNCR", "J2KR"))
    np.testing.assert_array_equal(uncompressed.pixels, compressed.pixels)
    assert uncompressed.digest == compressed.digest


FAMILIES = {
    "MR_small.dcm": [
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_padded.dcm",
    ],
    "SC_rgb_jpeg_gdcm.dcm": ["SC_rgb_rle.dcm", "SC_rgb_gdcm_KY.dcm"],
    "rtdose_1frame.dcm": ["rtdose_expb_1frame.dcm", "rtdose_rle_1frame.dcm"],
    "liver_1frame.dcm": ["liver_expb_1frame.dcm"],
}


@pytest.mark.parametrize(("first", "other"), [(k, v) for k, names in FAMILIES.items() for v in names])
def test_the_same_pixels_in_other_encodings(first, other):
    """Signed 16 bits, RGB, 32 bits and 1 bit; JPEG lossless, JPEG-LS, JPEG 2000, RLE and native."""
    np.testing.assert_array_equal(film(BUNDLED / first).pixels, film(BUNDLED / other).pixels)


def test_eight_bits_are_the_same_as_dicom_and_as_png(render):
    values = np.random.default_rng(4).integers(0, 256, (40, 50)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    png = read_radiograph(buffer.getvalue(), FileKind.PNG)
    assert render(values).digest == png.digest


@pytest.mark.parametrize("name", ["RG1", "RG3"])
def test_the_lossy_pair_is_close(name):
    uncompressed, compressed = (film(STORE / f"{name}_{how}.dcm").pixels for how in ("UNCI", "J2KI"))
    difference = np.abs(uncompressed.astype(int) - compressed)
    assert difference.mean() < 300
    assert uncompressed.shape == compressed.shape


def test_the_chest_is_inverted_and_windowed_by_the_formula():
    """RG1: 15 bits, MONOCHROME1, window 15000/30000 (PS3.3 C.11.2.1.2.1)."""
    path = STORE / "RG1_UNCR.dcm"
    stored = pydicom.dcmread(path).pixel_array.astype(float)
    y = np.clip((stored - 14999.5) / 29999 + 0.5, 0, 1)
    np.testing.assert_allclose(film(path).pixels, 65535 * (1 - y), atol=0.51)


@pytest.mark.realdata
def test_only_the_header_says_monochrome1(realdata):
    """Fake_MONOHR1.dcm has its twin's pixels: it must come out as their exact complement."""
    folder = realdata / "dicom"
    twin = next(p for p in folder.glob("*.dcm") if p.name.startswith("1.2.276"))
    fake, plain = film(folder / "Fake_MONOHR1.dcm"), film(twin)
    np.testing.assert_array_equal(fake.pixels, 65535 - plain.pixels)
    assert fake.digest != plain.digest


@pytest.mark.realdata
def test_jpeg_baseline_agrees_with_another_decoder(realdata):
    """The same codestream through Pillow's libjpeg-turbo instead of pylibjpeg's libjpeg."""
    path = next(p for p in (realdata / "dicom").glob("*.dcm") if p.name.startswith("1.2.276"))
    frame = next(pydicom.encaps.generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))
    theirs = np.asarray(Image.open(io.BytesIO(frame))).astype(int)
    assert np.abs(film(path).pixels / 257 - theirs).max() <= 1


@pytest.mark.realdata
def test_nih_pictures_are_read_as_they_are(realdata):
    for path in sorted((realdata / "nih" / "images").glob("*.png"))[:20]:
        result = read_radiograph(path.read_bytes(), FileKind.PNG)
        np.testing.assert_array_equal(
            result.pixels, np.asarray(Image.open(path).convert("L")) * np.uint16(257)
        )
        assert result.notes == ()
