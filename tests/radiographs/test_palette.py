"""Palette colour: by pydicom, in both byte orders, segmented or not."""

from __future__ import annotations

from pathlib import Path

import data_store
import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.radiograph import RadiographError
from cxrbatch.radiographs.read import read_radiograph

STORE = Path(data_store.__file__).parent / "data"


@pytest.mark.parametrize("name", ["OBXXXX1A.dcm", "gdcm-US-ALOKA-16.dcm", "OT-PAL-8-face.dcm"])
def test_agrees_with_pydicom(name):
    ds = pydicom.dcmread(STORE / name, force=True)
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    rgb = apply_color_lut(ds.pixel_array, ds)
    top = 255 if rgb.dtype == np.uint8 else 65535
    expected = rgb @ np.array([0.299, 0.587, 0.114]) / top * 65535
    ours = read_radiograph((STORE / name).read_bytes(), FileKind.DICOM).pixels
    np.testing.assert_allclose(ours, expected, atol=2)


@pytest.mark.parametrize(
    ("little", "big"),
    [("OBXXXX1A.dcm", "OBXXXX1A_expb.dcm"), ("gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm")],
)
def test_both_byte_orders_are_the_same_picture(little, big):
    first, second = (read_radiograph((STORE / n).read_bytes(), FileKind.DICOM).pixels for n in (little, big))
    np.testing.assert_array_equal(first, second)


def test_an_index_without_its_palette_means_nothing(render):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    with pytest.raises(RadiographError, match="palette") as caught:
        render(values, PhotometricInterpretation="PALETTE COLOR")
    assert caught.value.reason is Reason.DECODE_FAILED
