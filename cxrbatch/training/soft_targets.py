"""Probabilities to learn from beside the labels: a teacher's or published ones (``--soft-targets``).

Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015 (arXiv 1503.02531).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.columns import IdKind
from cxrbatch.evaluation.delimited import fold
from cxrbatch.evaluation.labels import Labels
from cxrbatch.evaluation.matching import Matching, match
from cxrbatch.evaluation.tables import ProbabilityTable, read_probabilities
from cxrbatch.training.records import TrainingError

_log = logging.getLogger("cxrbatch")

CERTAIN = 1e-5
"""Closest to 0 and 1 that a soft target gets: a table's rounded 0 is no infinite certainty."""


def read_soft_targets(
    path: Path, films: Mapping[IdKind, Sequence[str]], findings: Sequence[str]
) -> NDArray[np.float32]:
    """(n, k) in (0, 1) for `films`, whose ids are given by kind, each (n,); NaN where the table has nothing.

    A table of more images or findings than are trained is no error: it is counted in the log.

    Raises:
        ProbabilitiesError: the table cannot be used: a value outside of [0, 1], two rows for one id, ...
        LabelsError: an id in it fits two films, or two of its rows fit one.
        TrainingError: it has no film or no finding in common with what is trained.
    """
    table = read_probabilities(path)
    matching = _match(table, films)
    count = len(next(iter(films.values())))
    if not matching.scored_rows.size:
        raise TrainingError(
            f"--soft-targets: none of the {len(table.lines)} rows of {path} is that of one of the {count} "
            "films to train on: look whether they belong together."
        )
    column = {fold(name): j for j, name in enumerate(table.findings)}
    shared = [(j, column[fold(name)]) for j, name in enumerate(findings) if fold(name) in column]
    if not shared:
        raise TrainingError(
            f"--soft-targets: {path} has no finding in common with the labels: {', '.join(table.findings)} "
            f"there, {', '.join(findings)} here."
        )
    targets = np.full((count, len(findings)), np.nan, dtype=np.float32)
    for j, theirs in shared:
        values = table.probabilities[matching.label_rows, theirs]
        targets[matching.scored_rows, j] = np.clip(values, CERTAIN, 1.0 - CERTAIN)
    if matching.unmatched_labels:
        _log.warning(
            "%d of %d rows of the soft targets are of no film to train on.",
            len(matching.unmatched_labels),
            len(table.lines),
        )
    without = [name for name in findings if fold(name) not in column]
    if without:
        _log.warning("The soft targets have no column for %s.", ", ".join(without))
    return targets


def _match(table: ProbabilityTable, films: Mapping[IdKind, Sequence[str]]) -> Matching:
    """By the first kind of id under which anything is found: paths change when a folder is moved."""
    found: Matching | None = None
    for kind in (IdKind.PATH, IdKind.IMAGE, IdKind.IMAGE_UID, IdKind.STUDY_UID):
        if kind not in table.ids:
            continue
        rows = [row for row, name in enumerate(table.ids[kind]) if name]
        ids = tuple(table.ids[kind][row] for row in rows)
        part = match(_as_labels(table, kind, ids, rows), films)
        found = Matching(
            np.array([rows[row] for row in part.label_rows], dtype=np.intp),
            part.scored_rows,
            part.unmatched_labels,
            part.unmatched_scored,
        )
        if found.scored_rows.size:
            break
    assert found is not None, "a table without ids is refused when it is read"
    return found


def _as_labels(table: ProbabilityTable, kind: IdKind, ids: tuple[str, ...], rows: Sequence[int]) -> Labels:
    """What `match` needs of a table: its ids and their lines."""
    return Labels(
        path=table.path,
        id_kind=kind,
        ids=ids,
        findings=table.findings,
        matrix=table.probabilities[list(rows)],
        patient_ids=None,
        table=table.table,
        lines=tuple(table.lines[row] for row in rows),
    )
