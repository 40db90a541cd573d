"""Files that name no transfer syntax, or the wrong one, are read by what their pixel data are."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.radiograph import Radiograph, RadiographError
from cxrbatch.radiographs.read import read_radiograph

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
COMPRESSED = {
    "SC_rgb_jpeg_dcmtk.dcm": "JPEG Baseline",
    "JPGExtended.dcm": "JPEG Extended",
    "SC_rgb_jpeg_gdcm.dcm": "JPEG Lossless",
    "MR_small_jpeg_ls_lossless.dcm": "JPEG-LS",
    "MR_small_jp2klossless.dcm": "JPEG 2000",
    "MR_small_RLE.dcm": "RLE",
}


def read_as(name: str, syntax: UID | None) -> Radiograph:
    """The bundled file with another transfer syntax in its file meta information, or without one."""
    ds = pydicom.dcmread(BUNDLED / name)
    buffer = io.BytesIO()
    ds.save_as(buffer)
    data = buffer.getvalue()
    old = ds.file_meta.TransferSyntaxUID.encode()
    old += b"\0" * (len(old) % 2)
    if syntax is None:
        at = data.index(b"\x02\x00\x10\x00UI")
        return read_radiograph(data[:at] + data[at + 8 + len(old) :], FileKind.DICOM)
    new = syntax.encode() + b"\0" * (len(syntax) % 2)
    head = b"\x02\x00\x10\x00UI"
    assert head + len(old).to_bytes(2, "little") + old in data
    return read_radiograph(
        data.replace(
            head + len(old).to_bytes(2, "little") + old, head + len(new).to_bytes(2, "little") + new, 1
        ),
        FileKind.DICOM,
    )


@pytest.mark.parametrize("syntax", [None, ExplicitVRLittleEndian], ids=["missing", "native"])
@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_data_are_recognised(name, syntax):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = read_radiograph((BUNDLED / name).read_bytes(), FileKind.DICOM)
        result = read_as(name, syntax)
    np.testing.assert_array_equal(result.pixels, expected.pixels)
    assert COMPRESSED[name] in result.notes[0]
    assert expected.notes == result.notes[1:]


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, RLELossless])
def test_uncompressed_data_under_a_compressed_name(syntax):
    expected = read_radiograph((BUNDLED / "MR_small.dcm").read_bytes(), FileKind.DICOM)
    result = read_as("MR_small.dcm", syntax)
    np.testing.assert_array_equal(result.pixels, expected.pixels)
    assert "contradicts" in result.notes[0]


def test_what_is_not_recognised_is_refused(make_dicom, render, ramp):
    ds = make_dicom(ramp)
    ds.PixelData = pydicom.encaps.encapsulate([b"nothing that anyone knows" * 10])
    ds["PixelData"].is_undefined_length = True
    with pytest.raises(RadiographError) as caught:
        render(ds)
    assert caught.value.reason is Reason.DECODE_FAILED
