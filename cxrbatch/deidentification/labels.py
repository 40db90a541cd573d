"""Labels of a de-identified run: joined by their real ids, then told by pseudonyms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from cxrbatch.deidentification.names import KeyedNames, Names
from cxrbatch.evaluation.columns import IdKind
from cxrbatch.evaluation.delimited import fold
from cxrbatch.evaluation.labels import Labels, LabelsError
from cxrbatch.evaluation.matching import match
from cxrbatch.intake.studies import percent_encode
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.records import ScoredImage

_KEPT = {fold(name) for name in ("sex", "gender", "Patient Sex", "Patient Gender", "View Position", "view")}
_AGES = {fold(name) for name in ("age", "Patient Age", "age_years")}


def pseudonymous_labels(labels: Labels, ledger: Ledger, names: Names) -> Labels:
    """The same labels with ids that match the run's own tables, and no other column that names anyone.

    Patient ids stay real within the process: they only count clusters and find patients of the training
    data, and `hidden` reports do not name them. A label without a partner gets a pseudonym as well.

    Raises:
        LabelsError: an id is ambiguous, said by its line and not by itself.
    """
    assert isinstance(names, KeyedNames), "only a de-identified run has labels to hide"
    images = [image for study, _ in ledger.studies() for image in study.images]
    if not images:
        return labels
    real = {
        IdKind.PATH: [percent_encode(names.real_path(image.path)) for image in images],
        IdKind.IMAGE_UID: [names.real("image_uid", image.header.image_uid) for image in images],
        IdKind.STUDY_UID: [names.real("study_uid", image.header.study_uid) for image in images],
    }
    try:
        matching = match(labels, real)
    except LabelsError as error:
        problem = "its id is that of two files, or two lines have the id of one file; see the table"
        raise LabelsError(error.path, problem, error.line, error.column) from None
    partner: dict[int, ScoredImage] = {}
    for label_row, scored_row in zip(matching.label_rows, matching.scored_rows, strict=True):
        partner[int(label_row)] = images[int(scored_row)]
    kind = labels.id_kind
    if kind in (IdKind.IMAGE_UID, IdKind.STUDY_UID):
        ids = [names.study_uid(uid) for uid in labels.ids]
    else:
        kind = IdKind.PATH
        ids = [
            partner[row].path if row in partner else names.unmatched(name)
            for row, name in enumerate(labels.ids)
        ]
    patients = labels.patient_ids or ("",) * len(labels.ids)
    return replace(
        labels,
        id_kind=kind,
        ids=tuple(ids),
        patient_ids=tuple(
            patient or (names.real("patient_id", partner[row].header.patient.id) if row in partner else "")
            for row, patient in enumerate(patients)
        ),
        table=_harmless(labels.table),
        unknown_findings={},
        path=Path(labels.path),
    )


def _harmless(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that groups are made of and that name nobody; ages above 89 are one."""
    kept = {}
    for name in table.columns:
        if fold(str(name)) in _KEPT:
            kept[name] = [
                value if len(str(value)) <= 10 and str(value).isalpha() else "" for value in table[name]
            ]
        elif fold(str(name)) in _AGES:
            kept[name] = [_age(str(value)) for value in table[name]]
    return pd.DataFrame(kept, index=table.index, dtype=object)


def _age(text: str) -> str:
    digits = text.strip().upper().removesuffix("Y").lstrip("0") or "0"
    return str(min(int(digits), 90)) if digits.isdecimal() and len(digits) <= 3 else ""
