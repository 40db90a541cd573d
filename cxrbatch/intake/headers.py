"""What a file's header says: the part that is handed on, and the part that only screening needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from cxrbatch.intake.dicom_elements import Code, DicomElements
from cxrbatch.intake.dicom_stream import DicomHeader, read_dicom
from cxrbatch.intake.raster import read_size
from cxrbatch.intake.records import FileKind, ImageHeader, Patient
from cxrbatch.intake.view import NO_VIEW, ViewEvidence, find_view


@dataclass(frozen=True, slots=True)
class ScreeningFacts:
    """What decides whether a DICOM object is a chest radiograph to score; blank where not said."""

    sop_class: str = ""
    modality: str = ""
    body_part: str = ""
    regions: tuple[Code, ...] = ()
    view: ViewEvidence = NO_VIEW
    presentation_intent: str = ""
    conversion_type: str = ""
    burned_in: str = ""
    """BurnedInAnnotation (0028,0301): YES, NO or blank."""
    image_type: tuple[str, ...] = ()
    descriptions: tuple[tuple[str, str], ...] = ()
    """Free texts that are not blank, as (where, text); `where` names the element and its tag."""
    makers: tuple[tuple[str, str], ...] = ()
    """Who or what made the object, in the same form."""
    has_exposure: bool = False
    """Whether the header names an exposure (KVP, mAs ...), as that of a radiograph does."""
    frames: int = 1
    has_rows: bool = False
    has_pixel_data: bool = False
    is_broken: bool = False
    """The header could not be read to its end."""


_DESCRIPTIONS = {
    "SeriesDescription": "SeriesDescription (0008,103E)",
    "DerivationDescription": "DerivationDescription (0008,2111)",
    "ImageComments": "ImageComments (0020,4000)",
}
_MAKERS = {
    "Manufacturer": "Manufacturer (0008,0070)",
    "ManufacturerModelName": "ManufacturerModelName (0008,1090)",
    "SoftwareVersions": "SoftwareVersions (0018,1020)",
    "SecondaryCaptureDeviceManufacturer": "SecondaryCaptureDeviceManufacturer (0018,1016)",
    "SecondaryCaptureDeviceManufacturerModelName": "SecondaryCaptureDeviceManufacturerModelName (0018,1018)",
}
_EXPOSURE = (
    "KVP",
    "ExposureInmAs",
    "Exposure",
    "ExposureTime",
    "XRayTubeCurrent",
    "ExposureIndex",
    "RelativeXRayExposure",
)
_KEYWORDS = (
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("AccessionNumber", "StudyDate", "StudyTime", "Modality", "InstitutionName"),
    *("PatientID", "PatientName", "PatientSex", "PatientBirthDate", "PatientAge"),
    *("BodyPartExamined", "AnatomicRegionSequence", "ViewPosition", "ViewCodeSequence", "PatientOrientation"),
    *(
        "PresentationIntentType",
        "ConversionType",
        "BurnedInAnnotation",
        "ImageType",
        "NumberOfFrames",
        "Rows",
        "Columns",
    ),
    *_DESCRIPTIONS,
    *_MAKERS,
    *_EXPOSURE,
)


def read_header(file: BinaryIO, kind: FileKind) -> tuple[ImageHeader, ScreeningFacts]:
    """The header of an open file of the given kind. A value that cannot be read is blank.

    Raises:
        HeaderError: the header as a whole cannot be read.
        OSError: the file cannot be read.
    """
    if kind is not FileKind.DICOM:
        rows, columns = read_size(file, kind)
        return ImageHeader(kind, rows, columns), ScreeningFacts(has_rows=True, has_pixel_data=True)
    header = read_dicom(file, _KEYWORDS)
    facts = _facts(header)
    return _image_header(header, facts), facts


def _facts(header: DicomHeader) -> ScreeningFacts:
    elements = header.elements
    position = elements.text("ViewPosition")
    return ScreeningFacts(
        sop_class=elements.uid("SOPClassUID") or header.meta.uid("MediaStorageSOPClassUID"),
        modality=elements.text("Modality").upper(),
        body_part=elements.text("BodyPartExamined"),
        regions=elements.codes("AnatomicRegionSequence"),
        view=find_view(position, elements.codes("ViewCodeSequence"), elements.texts("PatientOrientation")),
        presentation_intent=elements.text("PresentationIntentType").upper(),
        conversion_type=elements.text("ConversionType").upper(),
        burned_in=elements.text("BurnedInAnnotation").upper(),
        image_type=tuple(value.upper() for value in elements.texts("ImageType")),
        descriptions=_present(elements, _DESCRIPTIONS),
        makers=_present(elements, _MAKERS),
        has_exposure=any(elements.text(keyword) for keyword in _EXPOSURE),
        frames=elements.number("NumberOfFrames") or 1,
        has_rows="Rows" in elements and "Columns" in elements,
        has_pixel_data=header.has_pixel_data,
        is_broken=header.is_broken,
    )


def _present(elements: DicomElements, places: dict[str, str]) -> tuple[tuple[str, str], ...]:
    found = ((where, elements.text(keyword)) for keyword, where in places.items())
    return tuple((where, text) for where, text in found if text)


def _image_header(header: DicomHeader, facts: ScreeningFacts) -> ImageHeader:
    elements = header.elements
    return ImageHeader(
        kind=FileKind.DICOM,
        rows=elements.number("Rows") or 0,
        columns=elements.number("Columns") or 0,
        study_uid=elements.uid("StudyInstanceUID"),
        series_uid=elements.uid("SeriesInstanceUID"),
        image_uid=elements.uid("SOPInstanceUID"),
        accession=elements.text("AccessionNumber"),
        study_date=elements.text("StudyDate"),
        study_time=elements.text("StudyTime"),
        modality=facts.modality,
        body_part=facts.body_part or next((code.meaning for code in facts.regions if code.meaning), ""),
        view=facts.view.view,
        manufacturer=elements.text("Manufacturer"),
        institution=elements.text("InstitutionName"),
        transfer_syntax=header.transfer_syntax,
        patient=Patient(
            id=elements.text("PatientID"),
            name=elements.person_name("PatientName"),
            sex=elements.text("PatientSex").upper(),
            birth_date=elements.text("PatientBirthDate"),
            age=elements.text("PatientAge").upper(),
        ),
    )
