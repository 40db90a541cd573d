"""DICOM files made to measure: whatever a test does not name is an ordinary 12-bit CR image."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.radiograph import Radiograph
from cxrbatch.radiographs.read import read_radiograph

MakeDicom = Callable[..., FileDataset]
Encode = Callable[..., bytes]
Render = Callable[..., Radiograph]


def _make(samples: np.ndarray, **elements: Any) -> FileDataset:
    """A data set around `samples` ((rows, columns) or (rows, columns, 3)); None removes an element."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = elements.pop("transfer_syntax", ExplicitVRLittleEndian)
    ds = FileDataset(
        "",
        {},
        file_meta=meta,
        preamble=b"\0" * 128,
        is_implicit_VR=meta.TransferSyntaxUID.is_implicit_VR,
        is_little_endian=meta.TransferSyntaxUID.is_little_endian,
    )
    ds.SOPClassUID = meta.MediaStorageSOPClassUID
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.PatientName = "SECRET^PATIENT"
    ds.PatientID = "SECRET-ID"
    colour = samples.ndim == 3
    bits = 8 * samples.dtype.itemsize
    stored = elements.pop("BitsStored", bits if colour or bits == 8 else 12)
    ds.Rows, ds.Columns = samples.shape[:2]
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, stored, max(stored - 1, 0)
    ds.PixelRepresentation = int(np.issubdtype(samples.dtype, np.signedinteger))
    raw = np.ascontiguousarray(samples)
    if not meta.TransferSyntaxUID.is_little_endian:
        raw = raw.byteswap()
    ds.PixelData = raw.tobytes() + b"\0" * (raw.nbytes % 2)
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    for keyword, value in elements.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    return ds


def _encode(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_dicom() -> MakeDicom:
    return _make


@pytest.fixture(scope="session")
def encode() -> Encode:
    return _encode


@pytest.fixture(scope="session")
def render() -> Render:
    """A data set (or samples and elements to make one) to a Radiograph, by way of the file's bytes."""

    def render_(source: Dataset | np.ndarray, **elements: Any) -> Radiograph:
        ds = source if isinstance(source, Dataset) else _make(source, **elements)
        return read_radiograph(_encode(ds), FileKind.DICOM)

    return render_


@pytest.fixture(scope="session")
def ramp() -> np.ndarray:
    """Every 12-bit value once, uint16 (64, 64)."""
    return np.arange(4096, dtype=np.uint16).reshape(64, 64)
