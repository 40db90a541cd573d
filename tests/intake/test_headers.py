"""What a header's elements become: plain text in two records, nothing of pydicom's."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from pydicom.dataset import Dataset

from cxrbatch.intake.dicom_elements import Code
from cxrbatch.intake.headers import ScreeningFacts, read_header
from cxrbatch.intake.records import FileKind, ImageHeader, View

Read = Callable[..., tuple[ImageHeader, ScreeningFacts]]


@pytest.fixture
def read(make_film: Callable[..., Dataset], write_film: Callable[..., Path], tmp_path: Path) -> Read:
    """The header of a chest film with changes."""

    def read_film(**changes: object) -> tuple[ImageHeader, ScreeningFacts]:
        with write_film(make_film(**changes), tmp_path / "film").open("rb") as file:
            return read_header(file, FileKind.DICOM)

    return read_film


def test_facts_for_screening(read: Read) -> None:
    knee = Dataset()
    knee.CodeValue, knee.CodingSchemeDesignator, knee.CodeMeaning = "72696002", "SCT", "Knee"
    header, facts = read(
        BodyPartExamined="",
        AnatomicRegionSequence=[knee],
        PresentationIntentType="FOR PROCESSING",
        ConversionType="DF",
        SeriesDescription="Thorax",
        ManufacturerModelName="X1",
        KVP="110",
        NumberOfFrames=2,
        ImageType=["DERIVED", "PRIMARY", "", "AI"],
    )
    assert facts.regions == (Code("72696002", "SCT", "Knee"),)
    assert header.body_part == "Knee"
    assert (facts.presentation_intent, facts.conversion_type, facts.frames) == ("FOR PROCESSING", "DF", 2)
    assert facts.descriptions == (("SeriesDescription (0008,103E)", "Thorax"),)
    assert facts.makers == (("ManufacturerModelName (0008,1090)", "X1"),)
    assert facts.image_type == ("DERIVED", "PRIMARY", "", "AI")
    assert facts.has_exposure
    assert facts.has_rows
    assert facts.has_pixel_data
    assert not facts.is_broken


def test_a_bare_header_is_blank_not_missing(read: Read) -> None:
    removed = (
        "BodyPartExamined",
        "ViewPosition",
        "Modality",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "ImageType",
    )
    header, facts = read(**dict.fromkeys(removed))
    assert header.view is View.UNKNOWN
    assert (header.study_uid, header.series_uid, header.modality, header.body_part) == ("", "", "", "")
    assert (facts.image_type, facts.makers, facts.has_exposure, facts.frames) == ((), (), False, 1)
    strings = [
        v for v in (*dataclasses.astuple(header), *dataclasses.astuple(header.patient)) if isinstance(v, str)
    ]
    assert all(type(v) is str or isinstance(v, FileKind | View) for v in strings)


def test_view_comes_from_the_next_element_where_the_first_is_blank(read: Read) -> None:
    left_lateral = Dataset()
    left_lateral.CodeValue, left_lateral.CodingSchemeDesignator = "399173006", "SCT"
    left_lateral.CodeMeaning = "left lateral"
    assert read(ViewPosition="", ViewCodeSequence=[left_lateral])[0].view is View.LATERAL
    assert read(ViewPosition="AP", ViewCodeSequence=[left_lateral])[0].view is View.AP
    assert read(ViewPosition="", PatientOrientation=["L", "F"])[0].view is View.FRONTAL


def test_a_png_has_only_kind_and_size() -> None:
    buffer = io.BytesIO()
    Image.new("L", (30, 20)).save(buffer, "PNG")
    header, facts = read_header(buffer, FileKind.PNG)
    assert header == ImageHeader(FileKind.PNG, 20, 30)
    assert facts.has_pixel_data
