"""Scores and labels brought together: what is evaluated, and what was left out and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxrbatch.evaluation.auroc import Floats
from cxrbatch.evaluation.columns import IdKind
from cxrbatch.evaluation.delimited import fold
from cxrbatch.evaluation.labels import Labels, LabelsError
from cxrbatch.evaluation.matching import match
from cxrbatch.evaluation.tables import ProbabilityTable


@dataclass(frozen=True)
class CohortFlow:
    """Rows of each table, what matched, and what did not: counts and the ids themselves."""

    rows_scored: int
    rows_labels: int
    matched: int
    unmatched_scored: tuple[str, ...]
    unmatched_labels: tuple[str, ...]
    findings_scored_only: tuple[str, ...]
    findings_labels_only: tuple[str, ...]


@dataclass(frozen=True)
class Cohort:
    """The matched images in the order of the scored table.

    y_true (n, k): 0, 1, NaN where unknown; y_score (n, k) in [0, 1]; clusters (n,): each image's patient;
    ids (n,): its name in the scored table; attributes (n rows): columns of both tables that are no findings,
    the labels' first.
    """

    findings: tuple[str, ...]
    y_true: Floats
    y_score: Floats
    clusters: NDArray[np.str_]
    ids: tuple[str, ...]
    attributes: pd.DataFrame
    flow: CohortFlow


def join(labels: Labels, scores: ProbabilityTable) -> Cohort:
    """Match the rows, and take the findings that both tables have, in the scored table's order and spelling.

    A patient is the labels' patient id, else the scored table's, else the study, else
    the image. Raises LabelsError when no row or no finding is in both, and what `match` raises.
    """
    matching = match(labels, scores.ids)
    rows, partner = matching.scored_rows, matching.label_rows
    if not rows.size:
        problem = (
            f"none of its {len(labels.ids)} ids (such as {labels.ids[0]!r}) is among the {len(scores.lines)} "
            f"rows of {scores.path} (such as {matching.unmatched_scored[0]!r})"
        )
        raise LabelsError(labels.path, problem)
    column = {fold(name): j for j, name in enumerate(labels.findings)}
    shared = [j for j, name in enumerate(scores.findings) if fold(name) in column]
    if not shared:
        problem = (
            f"has no finding in common with {scores.path}: {', '.join(labels.findings)} here, "
            f"{', '.join(scores.findings)} there"
        )
        raise LabelsError(labels.path, problem)
    findings = tuple(scores.findings[j] for j in shared)
    both = set(map(fold, findings))
    attributes = labels.table.iloc[partner].reset_index(drop=True)
    known = set(map(fold, attributes.columns))
    extra = scores.table.iloc[rows].reset_index(drop=True)
    for name in extra.columns:
        if fold(name) not in known:
            attributes[name] = extra[name]
    flow = CohortFlow(
        rows_scored=len(scores.lines),
        rows_labels=len(labels.ids),
        matched=len(rows),
        unmatched_scored=matching.unmatched_scored,
        unmatched_labels=matching.unmatched_labels,
        findings_scored_only=tuple(name for name in scores.findings if fold(name) not in both),
        findings_labels_only=tuple(name for name in labels.findings if fold(name) not in both),
    )
    return Cohort(
        findings=findings,
        y_true=labels.matrix[partner][:, [column[fold(name)] for name in findings]],
        y_score=scores.probabilities[rows][:, shared],
        clusters=_clusters(labels, scores, partner, rows),
        ids=tuple(_names(scores)[row] for row in rows),
        attributes=attributes,
        flow=flow,
    )


def _names(scores: ProbabilityTable) -> Sequence[str]:
    order = (IdKind.PATH, IdKind.IMAGE, IdKind.IMAGE_UID, IdKind.STUDY_UID)
    return next(scores.ids[kind] for kind in order if kind in scores.ids)


def _clusters(
    labels: Labels, scores: ProbabilityTable, partner: NDArray[np.intp], rows: NDArray[np.intp]
) -> NDArray[np.str_]:
    """The prefixes keep a patient "7" apart from an image "7"."""
    study = scores.ids.get(IdKind.STUDY_UID)
    names: list[str] = []
    for label_row, row in zip(partner, rows, strict=True):
        patient = (labels.patient_ids[label_row] if labels.patient_ids else "") or (
            scores.patient_ids[row] if scores.patient_ids else ""
        )
        if patient:
            names.append(f"patient {patient}")
        elif study is not None and study[row]:
            names.append(f"study {study[row]}")
        else:
            names.append(f"row {row}")
    return np.array(names, dtype=np.str_)
