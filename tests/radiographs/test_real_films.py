"""Real radiographs: the same pixels in two encodings, and a header that was turned round."""

from __future__ import annotations

from pathlib import Path

import data_store
import numpy as np
import pydicom
import pytest

from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.radiograph import Radiograph
from cxrbatch.radiographs.read import read_radiograph

STORE = Path(data_store.__file__).parent / "data"


def film(path: Path) -> Radiograph:
    return read_radiograph(path.read_bytes(), FileKind.DICOM)


@pytest.mark.parametrize("name", ["RG1", "RG3", "MR2", "693"])
def test_uncompressed_and_lossless_jpeg_2000_are_identical(name):
    uncompressed, compressed = (film(STORE / f"{name}_{how}.dcm") for how in ("UNCR", "J2KR"))
    np.testing.assert_array_equal(uncompressed.pixels, compressed.pixels)
    assert uncompressed.sha256 == compressed.sha256


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
    assert fake.sha256 != plain.sha256


@pytest.mark.realdata
def test_nih_pictures_are_read_as_they_are(realdata):
    from PIL import Image

    for path in sorted((realdata / "nih" / "images").glob("*.png"))[:20]:
        result = read_radiograph(path.read_bytes(), FileKind.PNG)
        np.testing.assert_array_equal(
            result.pixels, np.asarray(Image.open(path).convert("L")) * np.uint16(257)
        )
        assert result.notes == ()
