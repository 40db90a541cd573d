"""The CSV files of a run (contract 3.3), made from the ledger: sorted rows, the same bytes every time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from cxrbatch.bundles.card import Card
from cxrbatch.csv_cells import csv_bytes
from cxrbatch.intake.studies import percent_encode
from cxrbatch.ledger import layout
from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.ledger.ledger import RejectedFile
from cxrbatch.ledger.records import ScoredImage, StudyRecord

IMAGE_COLUMNS = (
    "study_key",
    "study_uid",
    "image_uid",
    "path",
    "patient_id",
    "view",
    "bundle",
    "atypicality",
    "notes",
)
STUDY_COLUMNS = (
    "study_key",
    "study_uid",
    "patient_id",
    "accession",
    "study_date",
    "images",
    "flagged",
    "bundle",
    "notes",
)
REJECTED_COLUMNS = ("path", "reason", "detail")


def bundle_label(card: Card, bundle_sha256: str) -> str:
    """Which model a row is from: name, version, and the start of the bundle's digest."""
    return f"{card.name} {card.version} {bundle_sha256[:12]}"


def write_scores(run: Path, studies: Iterable[StudyRecord], card: Card, label: str) -> None:
    """``scores.csv``: a row for each image, raw probabilities, sorted by study key and path."""
    _write_image_table(run / layout.SCORES, studies, card, label, lambda _, p: p)


def write_calibrated(run: Path, studies: Iterable[StudyRecord], card: Card, label: str) -> None:
    """``calibrated.csv``: as scores.csv, through the card's calibration; no file without one."""
    curves = card.calibration
    if curves is not None:
        _write_image_table(
            run / layout.CALIBRATED, studies, card, label, lambda finding, p: curves[finding](p)
        )


def write_studies(run: Path, studies: Iterable[StudyRecord], card: Card, label: str) -> None:
    """``studies.csv``: a row for each study in the order given (most urgent first), highest probabilities."""
    rows: list[list[str | float]] = []
    for study in studies:
        first = study.images[0].header
        highest = dict(zip(card.findings, study.highest, strict=True))
        flagged = [f for f, p in highest.items() if p >= card.thresholds[f]]
        notes = dict.fromkeys(note for image in study.images for note in image.notes)
        rows.append(
            [
                study.key,
                study.uid,
                first.patient.id,
                first.accession,
                first.study_date,
                len(study.images),
                "|".join(flagged),
                label,
                " ".join(notes),
                *map(_number, highest.values()),
            ]
        )
    write_atomic(run / layout.STUDIES, csv_bytes((*STUDY_COLUMNS, *card.findings), rows))


def write_rejected(run: Path, rejected: Iterable[RejectedFile]) -> None:
    """``rejected.csv``: what was not scored and why, sorted by path."""
    rows = [[percent_encode(file.path), str(file.reason), file.detail] for file in rejected]
    write_atomic(run / layout.REJECTED, csv_bytes(REJECTED_COLUMNS, rows))


def _write_image_table(
    path: Path,
    studies: Iterable[StudyRecord],
    card: Card,
    label: str,
    value: Callable[[str, float], float],
) -> None:
    rows = [
        [
            *_image_cells(study, image, label),
            *(_number(value(f, p)) for f, p in zip(card.findings, image.probabilities, strict=True)),
        ]
        for study in studies
        for image in study.images
    ]
    write_atomic(path, csv_bytes((*IMAGE_COLUMNS, *card.findings), rows))


def _image_cells(study: StudyRecord, image: ScoredImage, label: str) -> list[str | float]:
    return [
        study.key,
        study.uid,
        image.header.image_uid,
        percent_encode(image.path),
        image.header.patient.id,
        str(image.header.view),
        label,
        "" if image.atypicality is None else _number(image.atypicality),
        " ".join(image.notes),
    ]


def _number(value: float) -> float:
    """As float32, which the table then shows in full: at least 6 significant digits."""
    return float(np.float32(value))
