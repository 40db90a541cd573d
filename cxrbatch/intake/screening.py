"""Which objects are scored: frontal chest radiographs, as far as their headers tell.

A blank or unknown value never leaves a film out; only one that plainly says something else does.
"""

from __future__ import annotations

from typing import NamedTuple

from cxrbatch.intake import modalities, sop_classes
from cxrbatch.intake.body_part import Region, region_of
from cxrbatch.intake.derived_results import why_derived
from cxrbatch.intake.headers import ScreeningFacts
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind, ImageHeader, View

MAX_PIXELS = 100_000_000
"""Rows times columns of the largest image that is decoded; a chest film has 4 to 20 million."""

SUPPORTED_TRANSFER_SYNTAXES = frozenset(
    {
        *(f"1.2.840.10008.1.2{suffix}" for suffix in ("", ".1", ".1.99", ".2", ".5")),
        *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
    }
)
"""Native, deflated, RLE, and all that pylibjpeg's libjpeg and openjpeg plugins decode."""


class Verdict(NamedTuple):
    """Why a file is not scored: its reason code, and one sentence for ``rejected.csv``."""

    reason: Reason
    detail: str


def screen(header: ImageHeader, facts: ScreeningFacts) -> Verdict | None:
    """The one most telling reason not to score an image, or None.

    First what the object is, then what it shows; failures come last, so that nobody is called to look
    at a broken file that would not have been scored anyway.
    """
    if header.kind is not FileKind.DICOM:
        return _size(header)
    for check in (_object, _modality, _derived, _for_processing, _body_part, _view, _frames):
        verdict = check(facts)
        if verdict is not None:
            return verdict
    return _pixels(header, facts) or _size(header)


def notes(header: ImageHeader, facts: ScreeningFacts) -> tuple[str, ...]:
    """What the reader of a report should know about the header of a scored image."""
    if header.kind is not FileKind.DICOM:
        return (f"A {header.kind.value.upper()} file does not say whose image it is, nor which view.",)
    found = []
    if header.view is View.UNKNOWN:
        found.append("The header does not say which view this is.")
    if region_of(facts.body_part, facts.regions) is Region.UNKNOWN:
        found.append(
            f"The header names a body part that is not known here: '{header.body_part}'."
            if header.body_part
            else "The header does not say which body part this is."
        )
    if not facts.modality:
        found.append("The header does not say which modality this is.")
    elif facts.modality not in modalities.RADIOGRAPHY:
        found.append(f"The header's modality is '{facts.modality}', which is not one of radiographs.")
    elif sop_classes.is_image(facts.sop_class) and not _may_hold_radiograph(facts.sop_class):
        stored_as = sop_classes.name_of(facts.sop_class)
        found.append(f"The header's modality is '{facts.modality}', though it is stored as {stored_as}.")
    return tuple(found)


def burned_in_notes(facts: ScreeningFacts) -> tuple[str, ...]:
    """What the reader should know of text in the pixels."""
    why = why_burned_in(facts)
    return (f"The pixels may hold a name or other text: {why}.",) if why else ()


def why_burned_in(facts: ScreeningFacts) -> str:
    """Why text may be burned into the pixels, such as a patient's name; blank where nothing speaks for it.

    The header's own word counts (PS3.3, C.7.6.1.1.2). Without one, secondary captures and digitised films
    are suspected: screens show names, and films were exposed with a name in a corner.
    """
    if facts.burned_in == "YES":
        return "BurnedInAnnotation (0028,0301) is 'YES'"
    if facts.burned_in == "NO":
        return ""
    if facts.sop_class in sop_classes.SECONDARY_CAPTURE:
        return "it is a secondary capture, and BurnedInAnnotation (0028,0301) is not 'NO'"
    if facts.modality in modalities.CAPTURE or facts.modality == "RG" or facts.conversion_type:
        return "it is a digitised or captured picture, and BurnedInAnnotation (0028,0301) is not 'NO'"
    return ""


def _may_hold_radiograph(sop_class: str) -> bool:
    return sop_class in sop_classes.RADIOGRAPH or sop_class in sop_classes.SECONDARY_CAPTURE


def _object(facts: ScreeningFacts) -> Verdict | None:
    """Objects that are no images, by their SOP class."""
    said = f"SOPClassUID (0008,0016) is {sop_classes.name_of(facts.sop_class)}"
    if sop_classes.is_derived_result(facts.sop_class):
        return Verdict(Reason.DERIVED_RESULT, f"{said}: a result, not an image that was taken.")
    if sop_classes.has_no_image(facts.sop_class):
        return Verdict(Reason.NOT_AN_IMAGE, f"{said}, which holds no image.")
    if facts.has_rows or facts.has_pixel_data or sop_classes.is_image(facts.sop_class):
        return None
    if facts.modality in modalities.OTHER:
        return None  # told by its modality
    if not facts.sop_class:
        return Verdict(
            Reason.UNREADABLE,
            "The DICOM header says neither what the object is (0008,0016) nor how large (0028,0010), and"
            " there is no pixel data: the file is damaged; get it again.",
        )
    return Verdict(Reason.NOT_AN_IMAGE, f"{said}, and there are neither Rows (0028,0010) nor pixel data.")


def _modality(facts: ScreeningFacts) -> Verdict | None:
    if facts.modality in modalities.RADIOGRAPHY:
        return None
    said = f"Modality (0008,0060) is '{facts.modality}', not CR, DX or RG"
    if facts.modality in modalities.OTHER:
        return Verdict(Reason.NOT_A_RADIOGRAPH, f"{said}.")
    if sop_classes.is_image(facts.sop_class) and not _may_hold_radiograph(facts.sop_class):
        stored_as = sop_classes.name_of(facts.sop_class)
        return Verdict(Reason.NOT_A_RADIOGRAPH, f"SOPClassUID (0008,0016) is {stored_as}, and {said}.")
    return None


def _derived(facts: ScreeningFacts) -> Verdict | None:
    why = why_derived(facts)
    return Verdict(Reason.DERIVED_RESULT, why) if why else None


def _for_processing(facts: ScreeningFacts) -> Verdict | None:
    what_it_is = "the raw data of a film, not its picture"
    if facts.presentation_intent.replace("_", " ") == "FOR PROCESSING":
        return Verdict(
            Reason.FOR_PROCESSING, f"PresentationIntentType (0008,0068) is 'FOR PROCESSING': {what_it_is}."
        )
    if facts.sop_class in sop_classes.FOR_PROCESSING and facts.presentation_intent != "FOR PRESENTATION":
        name = sop_classes.name_of(facts.sop_class)
        return Verdict(Reason.FOR_PROCESSING, f"SOPClassUID (0008,0016) is {name}: {what_it_is}.")
    return None


def _body_part(facts: ScreeningFacts) -> Verdict | None:
    if region_of(facts.body_part, facts.regions) is not Region.OTHER:
        return None
    said = [f"BodyPartExamined (0018,0015) is '{facts.body_part}'"] if facts.body_part else []
    if facts.regions:
        named = ", ".join(code.meaning or code.value for code in facts.regions)
        said.append(f"AnatomicRegionSequence (0008,2218) is '{named}'")
    return Verdict(Reason.NOT_CHEST, f"{' and '.join(said)}: not the chest.")


def _view(facts: ScreeningFacts) -> Verdict | None:
    if facts.view.view in (View.LATERAL, View.OBLIQUE):
        return Verdict(Reason.NOT_FRONTAL, f"{facts.view.source}: not a frontal view.")
    return None


def _frames(facts: ScreeningFacts) -> Verdict | None:
    if facts.frames > 1:
        return Verdict(Reason.MULTIFRAME, f"NumberOfFrames (0028,0008) is {facts.frames}: not a single film.")
    return None


def _pixels(header: ImageHeader, facts: ScreeningFacts) -> Verdict | None:
    if facts.is_broken:
        return Verdict(
            Reason.UNREADABLE,
            "The header breaks off before the pixel data: the file is damaged; get it again.",
        )
    if not facts.has_pixel_data:
        return Verdict(
            Reason.PIXEL_DATA_MISSING,
            "There is no pixel data (7FE0,0010) in the file: get it again from where it came from.",
        )
    if header.transfer_syntax not in SUPPORTED_TRANSFER_SYNTAXES:
        return Verdict(
            Reason.UNSUPPORTED_TRANSFER_SYNTAX,
            f"TransferSyntaxUID (0002,0010) is {sop_classes.name_of(header.transfer_syntax)}, which cannot be"
            " decoded here: ask for the file uncompressed or in JPEG 2000.",
        )
    return None


def _size(header: ImageHeader) -> Verdict | None:
    said = f"The header says {header.rows} rows and {header.columns} columns"
    if header.rows <= 0 or header.columns <= 0:
        return Verdict(Reason.UNREADABLE, f"{said}: the file is damaged; get it again.")
    if header.rows * header.columns > MAX_PIXELS:
        return Verdict(
            Reason.TOO_LARGE, f"{said}: more than {MAX_PIXELS // 1_000_000} million pixels, as no film has."
        )
    return None
