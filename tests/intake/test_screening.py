"""One change in a valid chest film at a time, and the one reason that it must give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydicom import uid

from cxrbatch.intake.dicom_elements import Code
from cxrbatch.intake.headers import ScreeningFacts
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind, ImageHeader, View
from cxrbatch.intake.screening import MAX_PIXELS, SUPPORTED_TRANSFER_SYNTAXES, notes, screen
from cxrbatch.intake.view import ViewEvidence

CR = str(uid.ComputedRadiographyImageStorage)
DX = str(uid.DigitalXRayImageStorageForPresentation)
SC = str(uid.SecondaryCaptureImageStorage)
HEADER = ImageHeader(
    FileKind.DICOM,
    2000,
    1800,
    modality="CR",
    body_part="CHEST",
    view=View.PA,
    transfer_syntax="1.2.840.10008.1.2.1",
)
FACTS = ScreeningFacts(
    sop_class=CR,
    modality="CR",
    body_part="CHEST",
    view=ViewEvidence(View.PA, "ViewPosition (0018,5101) is 'PA'"),
    image_type=("DERIVED", "PRIMARY"),
    has_rows=True,
    has_pixel_data=True,
)


def _reason(header: ImageHeader = HEADER, **facts: Any) -> Reason | None:
    verdict = screen(header, replace(FACTS, **facts))
    if verdict is not None:
        assert verdict.detail.endswith(".")
        assert len(verdict.detail) < 300
    return None if verdict is None else verdict.reason


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"sop_class": DX, "modality": "DX"},
        {"modality": "RG"},
        {"modality": ""},
        {"modality": "OT"},  # stored as a radiograph: a lying header
        {"sop_class": ""},
        {"sop_class": "", "modality": "", "body_part": ""},
        {"sop_class": SC},
        {"sop_class": SC, "body_part": "", "view": ViewEvidence(View.UNKNOWN)},
        {"sop_class": SC, "modality": ""},
        {
            "sop_class": SC,
            "modality": "",
            "body_part": "",
            "view": ViewEvidence(View.UNKNOWN),
            "has_exposure": True,
        },
        {"sop_class": SC, "modality": "OT", "conversion_type": "DF"},
        {"sop_class": str(uid.CTImageStorage)},  # CR says the modality: a sloppy converter
        {"image_type": ("DERIVED", "SECONDARY")},
        {"image_type": ("ORIGINAL", "PRIMARY", "POST_PROCESSED")},
        {"body_part": ""},
        {"body_part": "BABYGRAM"},
        {"view": ViewEvidence(View.UNKNOWN)},
        {"view": ViewEvidence(View.FRONTAL)},
        {"presentation_intent": "FOR PRESENTATION"},
        {"makers": (("Manufacturer (0008,0070)", "Lunit-ready Devices"),)},
        {"descriptions": (("SeriesDescription (0008,103E)", "Screening chest PA, AI triage on"),)},
    ],
)
def test_scored(facts: dict[str, Any]) -> None:
    assert _reason(**facts) is None


@pytest.mark.parametrize(
    "modality", ["CT", "MR", "US", "NM", "PT", "MG", "XA", "RF", "PX", "IO", "RTIMAGE", "RTDOSE", "ES"]
)
def test_other_modalities(modality: str) -> None:
    assert _reason(modality=modality) is Reason.NOT_A_RADIOGRAPH
    assert _reason(modality=modality, sop_class=SC) is Reason.NOT_A_RADIOGRAPH


@pytest.mark.parametrize("sop_class", [uid.CTImageStorage, uid.MRImageStorage, uid.UltrasoundImageStorage])
def test_a_blank_modality_is_told_by_the_class(sop_class: str) -> None:
    assert _reason(sop_class=str(sop_class), modality="") is Reason.NOT_A_RADIOGRAPH


@pytest.mark.parametrize(
    "sop_class",
    [
        uid.BasicTextSRStorage,
        uid.Comprehensive3DSRStorage,
        uid.ChestCADSRStorage,
        uid.KeyObjectSelectionDocumentStorage,
        uid.EncapsulatedPDFStorage,
        uid.SegmentationStorage,
        uid.ParametricMapStorage,
        uid.XRayRadiationDoseSRStorage,
    ],
)
def test_results_by_their_class(sop_class: str) -> None:
    assert _reason(sop_class=str(sop_class)) is Reason.DERIVED_RESULT


@pytest.mark.parametrize(
    "sop_class",
    [
        uid.RTPlanStorage,
        uid.RTStructureSetStorage,
        uid.TwelveLeadECGWaveformStorage,
        uid.GrayscaleSoftcopyPresentationStateStorage,
        uid.RawDataStorage,
        uid.SpatialRegistrationStorage,
    ],
)
def test_objects_without_an_image(sop_class: str) -> None:
    assert _reason(sop_class=str(sop_class), has_rows=False, has_pixel_data=False) is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize(
    "facts",
    [
        {"modality": "SR"},
        {"modality": "SEG"},
        {"sop_class": SC, "modality": "OT"},
        {"sop_class": SC, "modality": "DOC"},
        {"sop_class": SC, "modality": "", "body_part": "", "view": ViewEvidence(View.UNKNOWN)},
        {"sop_class": SC, "makers": (("Manufacturer (0008,0070)", "Lunit Inc."),)},
        {"sop_class": SC, "makers": (("ManufacturerModelName (0008,1090)", "qXR"),)},
        {"sop_class": SC, "descriptions": (("SeriesDescription (0008,103E)", "Annalise CXR"),)},
        {"descriptions": (("SeriesDescription (0008,103E)", "PA Bone-Suppressed"),)},
        {"descriptions": (("DerivationDescription (0008,2111)", "AI overlay"),)},
        {"descriptions": (("SeriesDescription (0008,103E)", "Heatmap Effusion"),)},
        {"image_type": ("DERIVED", "SECONDARY", "SCREEN SAVE")},
        {"sop_class": "", "modality": "OT"},
    ],
)
def test_results_by_other_marks(facts: dict[str, Any]) -> None:
    assert _reason(**facts) is Reason.DERIVED_RESULT


def test_for_processing() -> None:
    for_processing = str(uid.DigitalXRayImageStorageForProcessing)
    assert _reason(presentation_intent="FOR PROCESSING") is Reason.FOR_PROCESSING
    assert _reason(sop_class=for_processing, modality="DX") is Reason.FOR_PROCESSING
    assert _reason(sop_class=for_processing, presentation_intent="FOR PRESENTATION") is None


@pytest.mark.parametrize("part", ["EXTREMITY", "HAND", "SKULL", "ABDOMEN", "KNEE", "LSPINE"])
def test_other_body_parts(part: str) -> None:
    verdict = screen(HEADER, replace(FACTS, body_part=part))
    assert verdict is not None
    assert verdict.reason is Reason.NOT_CHEST
    assert part in verdict.detail
    assert "(0018,0015)" in verdict.detail


def test_the_region_is_named_where_the_body_part_is_blank() -> None:
    verdict = screen(HEADER, replace(FACTS, body_part="", regions=(Code("72696002", "SCT", "Knee"),)))
    assert verdict is not None
    assert (verdict.reason, "Knee" in verdict.detail, "(0008,2218)" in verdict.detail) == (
        Reason.NOT_CHEST,
        True,
        True,
    )


@pytest.mark.parametrize("view", [View.LATERAL, View.OBLIQUE])
def test_views_that_are_not_frontal(view: View) -> None:
    assert _reason(view=ViewEvidence(view, "ViewPosition (0018,5101) is 'LL'")) is Reason.NOT_FRONTAL


def test_multiframe() -> None:
    assert _reason(frames=2) is Reason.MULTIFRAME
    assert _reason(frames=1) is None


def test_missing_pixel_data_is_a_failure_only_of_what_would_be_scored() -> None:
    assert _reason(has_pixel_data=False) is Reason.PIXEL_DATA_MISSING
    assert _reason(has_pixel_data=False, has_rows=False) is Reason.PIXEL_DATA_MISSING
    assert _reason(has_pixel_data=False, modality="CT") is Reason.NOT_A_RADIOGRAPH
    assert _reason(has_pixel_data=False, body_part="HAND") is Reason.NOT_CHEST


def test_a_header_that_says_nothing_at_all_is_unreadable() -> None:
    nothing = ScreeningFacts()
    verdict = screen(replace(HEADER, rows=0, columns=0), nothing)
    assert verdict is not None
    assert verdict.reason is Reason.UNREADABLE


def test_a_header_that_breaks_off_is_unreadable_unless_it_said_enough() -> None:
    assert _reason(is_broken=True, has_pixel_data=False) is Reason.UNREADABLE
    assert _reason(is_broken=True, has_pixel_data=False, modality="MR") is Reason.NOT_A_RADIOGRAPH


def test_private_objects_without_an_image() -> None:
    assert (
        _reason(sop_class="1.3.12.2.1107.5.9.1", has_rows=False, has_pixel_data=False) is Reason.NOT_AN_IMAGE
    )


@pytest.mark.parametrize("syntax", [uid.MPEG2MPML, uid.MPEG4HP41, "1.2.840.113619.5.2", "1.2.3", ""])
def test_unsupported_transfer_syntaxes(syntax: str) -> None:
    assert _reason(replace(HEADER, transfer_syntax=str(syntax))) is Reason.UNSUPPORTED_TRANSFER_SYNTAX


def test_supported_are_exactly_those_that_pydicom_decodes_here() -> None:
    from pydicom.pixels.decoders.base import _PIXEL_DATA_DECODERS

    available = {str(syntax) for syntax, (decoder, _) in _PIXEL_DATA_DECODERS.items() if decoder.is_available}
    assert available == SUPPORTED_TRANSFER_SYNTAXES


@pytest.mark.parametrize("kind", list(FileKind))
def test_sizes(kind: FileKind) -> None:
    def reason(rows: int, columns: int) -> Reason | None:
        return _reason(replace(HEADER, kind=kind, rows=rows, columns=columns))

    assert reason(10_000, MAX_PIXELS // 10_000) is None
    assert reason(10_001, MAX_PIXELS // 10_000) is Reason.TOO_LARGE
    assert reason(0, 100) is Reason.UNREADABLE
    assert reason(100, 0) is Reason.UNREADABLE


def test_notes_say_what_is_not_known() -> None:
    assert notes(HEADER, FACTS) == ()
    assert notes(replace(HEADER, view=View.UNKNOWN), FACTS) == (
        "The header does not say which view this is.",
    )
    [note] = notes(replace(HEADER, body_part="BABYGRAM"), replace(FACTS, body_part="BABYGRAM"))
    assert "BABYGRAM" in note
    [note] = notes(HEADER, replace(FACTS, modality=""))
    assert "modality" in note
    [note] = notes(HEADER, replace(FACTS, modality="OT"))
    assert "OT" in note
    [note] = notes(HEADER, replace(FACTS, sop_class=str(uid.CTImageStorage)))
    assert "CT Image Storage" in note
    assert len(notes(ImageHeader(FileKind.PNG, 8, 8), ScreeningFacts())) == 1
