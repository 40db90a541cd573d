"""Every family of DICOM compression is really decoded, by the very function that reads films."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from cxrbatch.doctor.codec_samples import CODEC_SAMPLES, CodecSample, picture
from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem
from cxrbatch.intake.records import FileKind

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DIGITAL_X_RAY = "1.2.840.10008.5.1.4.1.1.1.1"


def check(subject: Subject) -> Outcome:
    """Each sample gives the same picture as the uncompressed file does."""
    faults = {sample.name: fault for sample in CODEC_SAMPLES if (fault := decoding_fault(sample))}
    if faults:
        return problem(
            "; ".join(f"{name}: {fault}" for name, fault in faults.items()),
            "Install pylibjpeg, pylibjpeg-libjpeg, pylibjpeg-openjpeg and pylibjpeg-rle again.",
        )
    return ok(", ".join(sample.name for sample in CODEC_SAMPLES))


def decoding_fault(sample: CodecSample) -> str:
    """What is wrong with the decoding of `sample`; blank if nothing is."""
    from cxrbatch.radiographs.radiograph import RadiographError
    from cxrbatch.radiographs.read import read_radiograph

    try:
        decoded = read_radiograph(_compressed(sample), FileKind.DICOM).pixels
    except RadiographError as error:
        return error.detail
    expected = read_radiograph(_uncompressed(sample.bits), FileKind.DICOM).pixels
    return "" if np.array_equal(decoded, expected) else "decodes to wrong grey values"


def _compressed(sample: CodecSample) -> bytes:
    from pydicom.encaps import encapsulate

    dataset = _header(sample.bits)
    dataset.file_meta.TransferSyntaxUID = sample.transfer_syntax
    dataset.PixelData = encapsulate([sample.frame])
    dataset["PixelData"].VR = "OB"
    return _file(dataset)


def _uncompressed(bits: int) -> bytes:
    dataset = _header(bits)
    dataset.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE_ENDIAN
    dataset.PixelData = picture(bits).astype("<u2" if bits > 8 else "u1").tobytes()
    dataset["PixelData"].VR = "OW"
    return _file(dataset)


def _header(bits: int) -> Dataset:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = DIGITAL_X_RAY
    dataset.SOPInstanceUID = dataset.StudyInstanceUID = dataset.SeriesInstanceUID = generate_uid()
    dataset.Rows, dataset.Columns = picture(bits).shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 16 if bits > 8 else 8
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    return dataset


def _file(dataset: Dataset) -> bytes:
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()
