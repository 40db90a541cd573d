"""Headers under pseudonyms: what changes, what stays, and that nothing of the original is left."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import asdict, replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from cxrbatch.deidentification.free_text import withheld
from cxrbatch.deidentification.header import OVER_OLDEST, pseudonymous
from cxrbatch.deidentification.pseudonyms import LONGEST_SHIFT, SHORTEST_SHIFT, Pseudonyms
from cxrbatch.intake.dicom_elements import Code
from cxrbatch.intake.headers import ScreeningFacts
from cxrbatch.intake.records import FileKind, ImageHeader, Patient, View
from cxrbatch.intake.screening import burned_in_notes, notes, screen
from cxrbatch.intake.view import find_view

KEYED = Pseudonyms(b"k" * 32)
HEADER = ImageHeader(
    kind=FileKind.DICOM,
    rows=2000,
    columns=1500,
    study_uid="1.2.840.99999.1",
    series_uid="1.2.840.99999.2",
    image_uid="1.2.840.99999.3",
    accession="ACZEBRA77",
    study_date="20240229",
    study_time="031415",
    modality="DX",
    body_part="CHEST",
    view=View.PA,
    manufacturer="SIEMENS Healthineers",
    institution="Klinik Zebra",
    transfer_syntax="1.2.840.10008.1.2.1",
    patient=Patient("MRN-ZEBRA-1", "Zebra^Zoe", "F", "19500314", "073Y"),
    notes=("The header names a body part that is not known here: 'Zebra's chest'.",),
)


def _shown(header: ImageHeader, pseudonyms: Pseudonyms = KEYED) -> ImageHeader:
    return pseudonymous(header, "/in/Zebra.dcm", pseudonyms, lambda *_: None)


def test_the_pseudonym_is_hmac_sha256() -> None:
    expected = hmac.new(b"k" * 32, b"patient_id\0MRN-ZEBRA-1", hashlib.sha256).hexdigest()[:12]
    assert _shown(HEADER).patient.id == f"PAT-{expected}"


def test_nothing_that_names_anyone_is_left() -> None:
    text = str(asdict(_shown(HEADER))).lower()
    for planted in ("zebra", "zoe", "99999", "20240229", "2024", "0314", "1950", "mrn"):
        assert planted not in text, planted


def test_what_a_reader_needs_is_kept() -> None:
    shown = _shown(HEADER)
    assert (shown.rows, shown.columns, shown.view, shown.modality) == (2000, 1500, View.PA, "DX")
    assert (shown.patient.sex, shown.patient.age, shown.body_part) == ("F", "073Y", "CHEST")
    assert (shown.manufacturer, shown.transfer_syntax) == ("Siemens", "1.2.840.10008.1.2.1")


def test_uids_are_valid_and_differ() -> None:
    shown = _shown(HEADER)
    uids = {shown.study_uid, shown.series_uid, shown.image_uid}
    assert len(uids) == 3
    assert all(UID(uid).is_valid for uid in uids)


def test_pseudonyms_are_stable_and_another_key_gives_others() -> None:
    assert _shown(HEADER) == _shown(HEADER)
    other = _shown(HEADER, Pseudonyms(b"l" * 32))
    for name in ("study_uid", "series_uid", "image_uid", "accession", "institution"):
        assert getattr(other, name) != getattr(_shown(HEADER), name)
    assert other.patient.id != _shown(HEADER).patient.id


def test_kinds_are_kept_apart() -> None:
    assert KEYED.hexadecimal("patient_id", "1") != KEYED.hexadecimal("accession", "1")
    assert KEYED.hexadecimal("a", "b\0c") != KEYED.hexadecimal("a\0b", "d")


def test_blank_stays_blank() -> None:
    shown = _shown(ImageHeader(FileKind.PNG, 10, 10))
    assert shown == ImageHeader(FileKind.PNG, 10, 10)


@given(st.dates(date(1901, 1, 1)), st.dates(date(1950, 1, 1), date(2050, 1, 1)))
def test_intervals_between_a_patients_studies_are_kept(first: date, second: date) -> None:
    shifts = []
    for day in (first, second):
        shown = _shown(replace(HEADER, study_date=f"{day:%Y%m%d}".zfill(8))).study_date
        if shown:
            shifts.append(day - date(int(shown[:4]), int(shown[4:6]), int(shown[6:])))
    assert len(set(shifts)) <= 1
    assert all(SHORTEST_SHIFT <= shift.days <= LONGEST_SHIFT for shift in shifts)


def test_patients_are_shifted_differently() -> None:
    days = {KEYED.days_earlier(f"patient {n}") for n in range(500)}
    assert len(days) > 450
    assert min(days) >= SHORTEST_SHIFT
    assert max(days) <= LONGEST_SHIFT


@pytest.mark.parametrize("value", ["", "20241301", "2024", "Zebra", "20240229-20240301", "٢٠٢٤٠١٠١"])
def test_what_is_no_date_is_blank(value: str) -> None:
    assert _shown(replace(HEADER, study_date=value)).study_date == ""


@pytest.mark.parametrize(
    ("age", "born", "expected"),
    [
        ("089Y", "", "089Y"),
        ("090Y", "", OVER_OLDEST),
        ("120Y", "", OVER_OLDEST),
        ("999M", "", "999M"),
        ("003D", "", "003D"),
        ("", "19340301", "089Y"),
        ("", "19340228", OVER_OLDEST),
        ("", "20240228", "000Y"),
        ("", "20250101", ""),
        ("Zebra", "x", ""),
    ],
)
def test_ages_above_89_are_one(age: str, born: str, expected: str) -> None:
    patient = replace(HEADER.patient, age=age, birth_date=born)
    assert _shown(replace(HEADER, patient=patient)).patient.age == expected


def test_words_typed_by_hand_are_not_kept() -> None:
    typed = replace(
        HEADER,
        modality="ZEBRA",
        body_part="Zebra chest",
        manufacturer="Zebra",
        transfer_syntax="1.2.99999.1",
        patient=replace(HEADER.patient, sex="ZEBRA"),
    )
    shown = _shown(typed)
    assert (shown.modality, shown.body_part, shown.manufacturer) == ("", "CHEST", "")
    assert (shown.transfer_syntax, shown.patient.sex) == ("", "")


def test_the_crosswalk_is_told_what_stands_for_what() -> None:
    told: dict[tuple[str, str], str] = {}
    shown = pseudonymous(HEADER, "/in", KEYED, lambda kind, new, old: told.update({(kind, new): old}))
    assert told["patient_id", shown.patient.id] == "MRN-ZEBRA-1"
    assert told["patient_name", shown.patient.name] == "Zebra^Zoe"
    assert told["image_uid", shown.image_uid] == "1.2.840.99999.3"
    days = int(told["days_earlier", shown.patient.id])
    moved = date(2024, 2, 29).toordinal() - days
    assert f"{date.fromordinal(moved):%Y%m%d}" == shown.study_date


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Modality (0008,0060) is 'CT', not CR, DX or RG.", None),
        ("BodyPartExamined (0018,0015) is 'HAND': not the chest.", None),
        ("NumberOfFrames (0028,0008) is 20: not a single film.", None),
        ("A film of the patient's left.", None),
        ("Modality (0008,0060) is 'ZEBRA'.", "Modality (0008,0060) is (withheld)."),
        ("It is 'O'Zebra', 'really'.", "It is (withheld)."),
        ("It is 'CT' and 'Zebra'.", "It is (withheld)."),
        ('It is "Zebra\'s".', "It is (withheld)."),
        ("SOPClassUID is 1.2.3.4.5 here.", "SOPClassUID is (withheld) here."),
        ("TransferSyntaxUID is 1.2.840.10008.1.2.1.", None),
        ("See /data/zebra/1.dcm.", "See (withheld)."),
        ("Number 12345678 of it.", "Number (withheld) of it."),
        (
            "No decoder here reads transfer syntax zebra (zebra).",
            "No decoder here reads this transfer syntax.",
        ),
        ("The pixel data cannot be decoded: zebra said so", "The pixel data cannot be decoded."),
    ],
)
def test_sentences_quote_known_words_only(sentence: str, expected: str | None) -> None:
    assert withheld(sentence) == (sentence if expected is None else expected)


ODD = ("Zebra^Quagga", "Zebra Image Storage", "1.2.99999.Zebra", "Zebra's 'Quagga', see", "/in/Zebra")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "name",
    [
        *("sop_class", "modality", "body_part", "presentation_intent", "conversion_type", "image_type"),
        *("regions", "descriptions", "makers", "burned_in", "view", "transfer_syntax"),
    ],
)
def test_no_detail_or_note_of_the_screening_says_what_is_in_a_header(name: str, odd: str) -> None:
    """Every value that screening sees, each with everything else as it is in a film and in a capture."""
    changes: dict[str, object] = {
        "image_type": ("DERIVED", "PRIMARY", odd),
        "regions": (Code(odd, odd, f"{odd} hand"),),
        "descriptions": (("SeriesDescription (0008,103E)", f"screenshot {odd}"),),
        "makers": (("Manufacturer (0008,0070)", f"Lunit {odd}"),),
        "view": find_view(f"LATERAL {odd}", (), ()),
        "body_part": f"HAND {odd}",
    }
    header = HEADER
    said = []
    for sop_class in ("1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.7", odd, ""):
        for pixels in (True, False):
            facts = ScreeningFacts(sop_class, "DX", "CHEST", has_rows=pixels, has_pixel_data=pixels)
            if name == "transfer_syntax":
                header = replace(HEADER, transfer_syntax=odd)
            else:
                facts = replace(facts, **{name: changes.get(name, odd)})
            verdict = screen(header, facts)
            said += [verdict.detail] if verdict else []
            said += [*notes(header, facts), *burned_in_notes(facts)]
    assert said
    for sentence in said:
        assert not re.search("zebra|quagga|99999", withheld(sentence), re.IGNORECASE), sentence


@given(st.text(min_size=3).filter(lambda text: "zebra" not in text.lower()))
def test_whatever_stands_around_it_a_quoted_name_is_withheld(text: str) -> None:
    assert (
        "zebra" not in withheld(f"SeriesDescription (0008,103E) is '{text} Zebra {text}': a result.").lower()
    )
