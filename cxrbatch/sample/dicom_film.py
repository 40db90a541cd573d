"""One film as a DICOM file that says in every place that it is a phantom."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    PYDICOM_ROOT_UID,
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from cxrbatch.sample.encodings import Encoding, Tone, store
from cxrbatch.sample.grid import Plane

SENTENCE = "PHANTOM: a synthetic radiograph computed from geometry. Not a patient."

VIEW_CODES = {
    "PA": ("272479007", "postero-anterior"),
    "AP": ("399348003", "antero-posterior"),
    "LL": ("399173006", "left lateral"),
}
"""DX views in SNOMED CT (PS3.16 CID 4010)."""

ORIENTATIONS = {"PA": ["L", "F"], "AP": ["L", "F"], "LL": ["P", "F"]}
"""Patient Orientation: where the picture's rows and columns run to (PS3.3 C.7.6.1.1.1)."""


@dataclass(frozen=True, slots=True)
class Sitter:
    """Who the phantom pretends to be. `charset` is what the name is written in."""

    id: str
    name: str
    charset: tuple[str, ...]
    sex: str
    age: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image belongs; dates are YYYYMMDD. `number` counts the images of its series."""

    study_uid: str
    series_uid: str
    image_uid: str
    accession: str
    date: str
    number: int = 1


def uid(*entropy: object) -> str:
    """The same UID for the same words, below pydicom's root (PS3.5 section 9)."""
    return str(generate_uid(PYDICOM_ROOT_UID, entropy_srcs=["cxrbatch phantom", *map(str, entropy)]))


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def _add_patient(ds: Dataset, sitter: Sitter, place: Place) -> None:
    ds.SpecificCharacterSet = sitter.charset[0] if len(sitter.charset) == 1 else list(sitter.charset)
    ds.PatientName, ds.PatientID = sitter.name, sitter.id
    ds.PatientSex, ds.PatientAge = sitter.sex, f"{sitter.age:03d}Y"
    ds.PatientBirthDate = f"{int(place.date[:4]) - sitter.age - 1}1231"
    ds.PatientComments = SENTENCE


def _add_study(ds: Dataset, place: Place, modality: str, description: str) -> None:
    ds.StudyInstanceUID, ds.SeriesInstanceUID = place.study_uid, place.series_uid
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = place.date
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "080000"
    ds.AccessionNumber, ds.StudyID, ds.SeriesNumber = place.accession, "1", 1
    ds.InstanceNumber, ds.ReferringPhysicianName = place.number, ""
    ds.Modality, ds.Manufacturer = modality, "cxrbatch phantom"
    ds.ManufacturerModelName, ds.InstitutionName = "projected thorax", "PHANTOM (synthetic)"
    ds.StudyDescription, ds.SeriesDescription = f"PHANTOM {description}", "PHANTOM"
    ds.ImageComments = SENTENCE
    # "This image is a quality control or phantom image" (PS3.3 C.7.6.1).
    ds.QualityControlImage = "YES"
    # NO although the notice is burned in: the tag asks for text that identifies a patient and a date.
    ds.BurnedInAnnotation = "NO"


def _add_view(ds: Dataset, view: str, body_part: str, silent: bool) -> None:
    ds.BodyPartExamined = "" if silent else body_part
    ds.ViewPosition = "" if silent else view
    ds.PatientOrientation = "" if silent else ORIENTATIONS.get(view, "")
    if not silent and view in VIEW_CODES:
        ds.ViewCodeSequence = [_code(*VIEW_CODES[view])]
    if not silent and body_part == "CHEST":
        ds.AnatomicRegionSequence = [_code("816094009", "Chest")]


def _add_pixels(ds: Dataset, film: Plane, encoding: Encoding, spacing: float) -> NDArray[np.uint16]:
    ds.ImageType = ["ORIGINAL" if encoding.tone is Tone.RAW else "DERIVED", "PRIMARY"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = (
        1,
        "MONOCHROME1" if encoding.inverted else "MONOCHROME2",
    )
    ds.Rows, ds.Columns = film.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, encoding.bits, encoding.bits - 1
    ds.PixelRepresentation = 0
    ds.ImagerPixelSpacing = [round(spacing, 5), round(spacing, 5)]
    ds.LossyImageCompression = "00"
    if encoding.modality == "DX":
        raw = encoding.tone is Tone.RAW
        ds.PresentationIntentType = "FOR PROCESSING" if raw else "FOR PRESENTATION"
        # -1: higher stored values mean fewer quanta (PS3.3 C.8.11.3.1.2).
        sign = 1 if encoding.inverted else -1
        ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = (
            ("LIN", 1) if raw else ("LOG", sign)
        )
        # With MONOCHROME1 the standard wants INVERSE (PS3.3 C.8.11.3): the same inversion, not a second one.
        ds.PresentationLUTShape = "INVERSE" if encoding.inverted else "IDENTITY"
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    return store(film, encoding, ds)


def _sop_class(encoding: Encoding) -> UID:
    if encoding.modality == "CR":
        return ComputedRadiographyImageStorage
    if encoding.tone is Tone.RAW:
        return DigitalXRayImageStorageForProcessing
    return DigitalXRayImageStorageForPresentation


def dicom_bytes(
    film: Plane,
    encoding: Encoding,
    sitter: Sitter,
    place: Place,
    view: str,
    body_part: str = "CHEST",
    spacing: float = 0.35,
) -> bytes:
    """A DICOM file of a film (rows, cols) of display values 0..1; `spacing` is mm a pixel at the detector.

    The same arguments give the same bytes: nothing in it comes from a clock or a random source.
    """
    ds = FileDataset("phantom", {}, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = _sop_class(encoding), place.image_uid
    _add_patient(ds, sitter, place)
    _add_study(ds, place, encoding.modality, f"{body_part.lower()} {view}".strip())
    _add_view(ds, view, body_part, encoding.silent)
    stored = _add_pixels(ds, film, encoding, spacing)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.ImplementationClassUID = UID(uid("implementation"))
    ds.file_meta.ImplementationVersionName = "CXRBATCH_PHANTOM"
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = (
        ds.SOPClassUID,
        place.image_uid,
    )
    syntax = encoding.transfer_syntax
    big = syntax == ExplicitVRBigEndian
    ds.add_new("PixelData", "OW", stored.astype(">u2" if big else "<u2").tobytes())
    if syntax.is_encapsulated:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(syntax, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    ds.file_meta.TransferSyntaxUID = syntax
    out = BytesIO()
    if encoding.bare:
        # As some archives keep them: the data set as it came over the network (PS3.10 says more is needed).
        naked = Dataset(ds)
        dcmwrite(out, naked, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    else:
        dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()
