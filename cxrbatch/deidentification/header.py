"""A header with pseudonyms in place of what says who and when (cf. PS3.15, Annex E; 45 CFR 164.514(b)(2)).

What is kept: sex, age in years up to 89, view, size, encoding, and words of closed lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from cxrbatch.deidentification.free_text import withheld
from cxrbatch.deidentification.pseudonyms import Pseudonyms
from cxrbatch.deidentification.vocabulary import BODY_PARTS, MODALITIES, UIDS, maker_of
from cxrbatch.intake.body_part import Region, region_of_words
from cxrbatch.intake.records import ImageHeader, Patient

OLDEST = 89
"""Ages above are one group (45 CFR 164.514(b)(2)(i)(C))."""
OVER_OLDEST = f"over {OLDEST} years"

Tell = Callable[[str, str, str], None]
"""Called with (kind, pseudonym, real value), for the crosswalk."""


def pseudonymous(header: ImageHeader, path: str, pseudonyms: Pseudonyms, tell: Tell) -> ImageHeader:
    """The header that may be written anywhere. `path` stands for the patient where nothing else does."""
    patient = header.patient
    whose = patient.id or patient.name or header.study_uid or path
    days = pseudonyms.days_earlier(whose)
    shown = replace(
        header,
        study_uid=pseudonyms.uid(header.study_uid),
        series_uid=pseudonyms.uid(header.series_uid),
        image_uid=pseudonyms.uid(header.image_uid),
        accession=pseudonyms.short("accession", "ACC-", header.accession),
        study_date=_earlier(header.study_date, days),
        study_time="",
        modality=header.modality if header.modality in MODALITIES else "",
        body_part=_body_part(header.body_part),
        manufacturer=maker_of(header.manufacturer),
        institution=pseudonyms.short("institution", "SITE-", header.institution),
        transfer_syntax=header.transfer_syntax if header.transfer_syntax in UIDS else "",
        patient=Patient(
            id=pseudonyms.short("patient_id", "PAT-", patient.id),
            # With the ID, so that how often a pseudonym occurs does not tell a common name.
            name=_name(pseudonyms, patient),
            sex=patient.sex if patient.sex in ("M", "F", "O") else "",
            birth_date="",
            age=_age(patient, header.study_date),
        ),
        notes=tuple(withheld(note) for note in header.notes),
    )
    for kind, pseudonym, value in (
        ("patient_id", shown.patient.id, patient.id),
        ("patient_name", shown.patient.name, patient.name),
        ("accession", shown.accession, header.accession),
        ("study_uid", shown.study_uid, header.study_uid),
        ("series_uid", shown.series_uid, header.series_uid),
        ("image_uid", shown.image_uid, header.image_uid),
        ("institution", shown.institution, header.institution),
        ("days_earlier", shown.patient.id or shown.study_uid, str(days)),
    ):
        if pseudonym:
            tell(kind, pseudonym, value)
    return shown


def _name(pseudonyms: Pseudonyms, patient: Patient) -> str:
    if not patient.name:
        return ""
    return pseudonyms.short("patient_name", "NAME-", f"{patient.id}\0{patient.name}")


def _earlier(value: str, days: int) -> str:
    day = _date(value)
    if day is None or day.toordinal() <= days:
        return ""
    return (day - timedelta(days)).strftime("%Y%m%d")


def _date(value: str) -> date | None:
    """A DICOM DA (PS3.5 6.2), the old form with dots too; None for anything else."""
    match = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", value, re.ASCII)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def _age(patient: Patient, study_date: str) -> str:
    """As in the header, else whole years from the dates; `OVER_OLDEST` above 89 years."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", patient.age, re.ASCII)
    if match:
        per_year = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match[2]]
        return OVER_OLDEST if int(match[1]) / per_year >= OLDEST + 1 else patient.age
    born, taken = _date(patient.birth_date), _date(study_date)
    if born is None or taken is None or taken < born:
        return ""
    years = taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
    return OVER_OLDEST if years > OLDEST else f"{years:03d}Y"


def _body_part(text: str) -> str:
    if text.upper() in BODY_PARTS:
        return text.upper()
    return "CHEST" if region_of_words(text) is Region.CHEST else ""
