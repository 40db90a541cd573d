"""Two tables of probabilities and one of labels brought together on the images that all three have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.auroc import Floats
from cxrbatch.evaluation.cohort import Cohort, join
from cxrbatch.evaluation.columns import IdKind
from cxrbatch.evaluation.delimited import TableError, fold
from cxrbatch.evaluation.labels import Labels
from cxrbatch.evaluation.matching import Matching, match
from cxrbatch.evaluation.tables import ProbabilityTable

_SAME_FILE = (IdKind.PATH, IdKind.IMAGE, IdKind.IMAGE_UID)


@dataclass(frozen=True)
class LeftOut:
    """What is in some of the tables only: image ids as their table has them, and names of findings."""

    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    unlabelled_a: tuple[str, ...]
    unlabelled_b: tuple[str, ...]
    unscored_labels: tuple[str, ...]
    findings: tuple[tuple[str, str], ...]
    """(finding, where it is): `A`, `B`, `labels`, or two of them."""


@dataclass(frozen=True)
class PairedCohort:
    """The images that both models scored and that are labelled, in the order of A's table.

    y_true, score_a, score_b (n, k); clusters (n,): patients; ids (n,) as A's table names them.
    """

    findings: tuple[str, ...]
    y_true: Floats
    score_a: Floats
    score_b: Floats
    clusters: NDArray[np.str_]
    ids: tuple[str, ...]
    rows_a: int
    rows_b: int
    rows_labels: int
    left_out: LeftOut


def pair(labels: Labels, table_a: ProbabilityTable, table_b: ProbabilityTable) -> PairedCohort:
    """Match both tables with the labels, and take the images and findings that all have.

    Two rows are the same image when they belong to the same row of labels; with labels of whole studies,
    when they also agree in path, name or image UID. Findings come in A's order and spelling. Raises
    TableError when nothing is left, and what `join` raises.
    """
    a, b = join(labels, table_a), join(labels, table_b)
    match_a, match_b = match(labels, table_a.ids), match(labels, table_b.ids)
    keys_a, keys_b = _keys(labels, (table_a, match_a), (table_b, match_b))
    where_b = {key: row for row, key in enumerate(keys_b)}
    rows_a = np.array([row for row, key in enumerate(keys_a) if key in where_b], dtype=np.intp)
    rows_b = np.array([where_b[keys_a[row]] for row in rows_a], dtype=np.intp)
    if not rows_a.size:
        problem = f"shares no labelled image with {table_a.path}; both models must score the same images"
        raise TableError(table_b.path, problem)
    columns_b = {fold(name): j for j, name in enumerate(b.findings)}
    shared = [j for j, name in enumerate(a.findings) if fold(name) in columns_b]
    if not shared:
        problem = (
            f"has no labelled finding in common with {table_a.path}: {', '.join(b.findings)} here, "
            f"{', '.join(a.findings)} there"
        )
        raise TableError(table_b.path, problem)
    findings = tuple(a.findings[j] for j in shared)
    paired_a, paired_b = set(rows_a.tolist()), set(rows_b.tolist())
    return PairedCohort(
        findings=findings,
        y_true=a.y_true[rows_a][:, shared],
        score_a=a.y_score[rows_a][:, shared],
        score_b=b.y_score[rows_b][:, [columns_b[fold(name)] for name in findings]],
        clusters=_clusters(a, b, rows_a, rows_b, match_a),
        ids=tuple(a.ids[row] for row in rows_a),
        rows_a=len(table_a.lines),
        rows_b=len(table_b.lines),
        rows_labels=len(labels.ids),
        left_out=LeftOut(
            only_a=tuple(name for row, name in enumerate(a.ids) if row not in paired_a),
            only_b=tuple(name for row, name in enumerate(b.ids) if row not in paired_b),
            unlabelled_a=match_a.unmatched_scored,
            unlabelled_b=match_b.unmatched_scored,
            unscored_labels=_in_both(match_a.unmatched_labels, match_b.unmatched_labels),
            findings=_unshared(findings, table_a.findings, table_b.findings, labels.findings),
        ),
    )


def _in_both(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    others = set(second)
    return tuple(name for name in first if name in others)


def _keys(
    labels: Labels, a: tuple[ProbabilityTable, Matching], b: tuple[ProbabilityTable, Matching]
) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """What identifies an image in both tables: its row of labels, and, if that is a study's, a name."""
    if labels.id_kind is not IdKind.STUDY_UID:
        return [(int(row), "") for row in a[1].label_rows], [(int(row), "") for row in b[1].label_rows]
    best: tuple[list[tuple[int, str]], list[tuple[int, str]]] = ([], [])
    most = -1
    for kind in _SAME_FILE:
        if kind in a[0].ids and kind in b[0].ids:
            keys = _study_keys(*a, kind), _study_keys(*b, kind)
            unique = all(len(set(side)) == len(side) for side in keys)
            common = len(set(keys[0]) & set(keys[1]))
            if unique and common > most:
                best, most = keys, common
    if most < 0:
        kinds = ", ".join(kind.value for kind in _SAME_FILE)
        problem = f"its rows cannot be told apart within a study: both tables need one of {kinds}"
        raise TableError(b[0].path, problem)
    return best


def _study_keys(table: ProbabilityTable, matching: Matching, kind: IdKind) -> list[tuple[int, str]]:
    names = table.ids[kind]
    pairs = zip(matching.label_rows, matching.scored_rows, strict=True)
    return [(int(label_row), names[row]) for label_row, row in pairs]


def _clusters(
    a: Cohort, b: Cohort, rows_a: NDArray[np.intp], rows_b: NDArray[np.intp], match_a: Matching
) -> NDArray[np.str_]:
    """A patient as A's table and the labels know it, else as B's does, else the image alone.

    An image alone is named after its row of labels, so that exchanging A and B changes no draw.
    """
    names = []
    for row_a, row_b in zip(rows_a, rows_b, strict=True):
        one, other = str(a.clusters[row_a]), str(b.clusters[row_b])
        known = [name for name in (one, other) if not name.startswith("row ")]
        # A patient says more than a study.
        known.sort(key=lambda name: not name.startswith("patient "))
        names.append(known[0] if known else f"row {match_a.label_rows[row_a]}")
    return np.array(names, dtype=np.str_)


def _unshared(
    shared: Sequence[str], in_a: Sequence[str], in_b: Sequence[str], in_labels: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    taken = set(map(fold, shared))
    places: dict[str, tuple[str, list[str]]] = {}
    for names, where in ((in_a, "A"), (in_b, "B"), (in_labels, "labels")):
        for name in names:
            if fold(name) not in taken:
                places.setdefault(fold(name), (name, []))[1].append(where)
    return tuple((name, " and ".join(where)) for name, where in places.values())
