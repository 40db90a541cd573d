"""Compressed frames that lie about their size or have lost their end, in real files of pydicom's."""

from __future__ import annotations

import io
import struct
import warnings

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.radiograph import RadiographError
from cxrbatch.radiographs.read import read_radiograph

FILES = {
    "JPEG baseline": "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG extended": "JPGExtended.dcm",
    "JPEG lossless SV1": "SC_rgb_jpeg_gdcm.dcm",
    "JPEG-LS": "MR_small_jpeg_ls_lossless.dcm",
    "JPEG-LS near-lossless": "JPEGLSNearLossless_16.dcm",
    "JPEG 2000 lossless": "MR_small_jp2klossless.dcm",
    "JPEG 2000": "JPEG2000.dcm",
}


def frame_of(name: str) -> tuple[pydicom.Dataset, bytes]:
    path = get_testdata_file(FILES[name], download=False)
    assert path is not None
    ds = pydicom.dcmread(path)
    return ds, next(generate_frames(ds.PixelData, number_of_frames=1))


def read_with(ds: pydicom.Dataset, frame: bytes):
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(buffer)
    return read_radiograph(buffer.getvalue(), FileKind.DICOM)


@pytest.mark.parametrize("name", FILES)
def test_the_whole_frame_is_read(name):
    ds, frame = frame_of(name)
    assert read_with(ds, frame).pixels.shape == (ds.Rows, ds.Columns)


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.98])
@pytest.mark.parametrize("name", FILES)
def test_a_truncated_frame_is_never_half_a_picture(name, kept):
    ds, frame = frame_of(name)
    with pytest.raises(RadiographError) as caught:
        read_with(ds, frame[: int(len(frame) * kept)])
    assert caught.value.reason is Reason.DECODE_FAILED


@pytest.mark.parametrize("padding", [b"", b"\0", b"\xff", b"\0" * 6])
def test_bytes_after_the_end_do_no_harm(padding):
    ds, frame = frame_of("JPEG baseline")
    read_with(ds, frame.rstrip(b"\0") + padding)


@pytest.mark.parametrize("name", FILES)
def test_a_size_other_than_the_headers_is_refused_before_decoding(name):
    """A codestream of 65,500 x 65,500 would take gigabytes before anyone looked at the header."""
    ds, frame = frame_of(name)
    if "2000" in name:
        at = frame.index(b"\xff\x4f\xff\x51") + 8
        bomb = frame[:at] + struct.pack(">II", 65500, 65500) + frame[at + 8 :]
    else:
        marker = next(m for m in (0xC0, 0xC1, 0xC3, 0xF7) if bytes([0xFF, m]) in frame)
        at = frame.index(bytes([0xFF, marker])) + 5
        bomb = frame[:at] + struct.pack(">HH", 65500, 65500) + frame[at + 4 :]
    with pytest.raises(RadiographError, match="65500") as caught:
        read_with(ds, bomb)
    assert caught.value.reason is Reason.DECODE_FAILED


def test_a_codestream_of_another_kind_names_the_transfer_syntax():
    ds, _ = frame_of("JPEG 2000")
    _, jpeg = frame_of("JPEG baseline")
    with pytest.raises(RadiographError, match="JPEG 2000"):
        read_with(ds, jpeg)
