"""A table of probabilities: ``scores.csv``, or any table with an id and one column a finding (3.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbatch.evaluation.auroc import Floats
from cxrbatch.evaluation.columns import (
    NEVER_A_FINDING,
    IdKind,
    id_column_hint,
    id_columns,
    patient_column,
)
from cxrbatch.evaluation.delimited import (
    DelimitedTable,
    TableError,
    check_ids,
    fold,
    more_cells,
    read_delimited,
)

_PREFIX = "prob"
_UNIQUE = (IdKind.PATH, IdKind.IMAGE, IdKind.IMAGE_UID, IdKind.STUDY_UID)
"""The first of these that a table has names its rows. In scores.csv a path does: a UID can occur twice there,
with other pixels."""


class ProbabilitiesError(TableError):
    """A table of probabilities cannot be used as it is (wrong usage: exit code 2)."""


@dataclass(frozen=True)
class ProbabilityTable:
    """Probabilities (n, k) in [0, 1]; each id column the table has, (n,) strings; attributes as text."""

    path: Path
    ids: Mapping[IdKind, tuple[str, ...]]
    findings: tuple[str, ...]
    probabilities: Floats
    patient_ids: tuple[str, ...] | None
    table: pd.DataFrame
    lines: tuple[int, ...]


def read_probabilities(path: Path) -> ProbabilityTable:
    """Read a table of probabilities.

    If any column begins with `prob_`, those are the findings; otherwise every column that is neither an id
    nor a known attribute (those of scores.csv, age, sex, view ...) is one. Raises ProbabilitiesError naming
    file, line and column for a value that is no number in [0, 1], for a table without id or finding columns,
    and for what `read_delimited` refuses.
    """
    table = read_delimited(path, ProbabilitiesError)
    kinds = id_columns(table.header)
    if not kinds:
        raise ProbabilitiesError(path, f"has no id column; it needs {id_column_hint()}", 1)
    check_ids(table, next(kinds[kind] for kind in _UNIQUE if kind in kinds), ProbabilitiesError)
    columns = _finding_columns(table)
    probabilities = _probabilities(table, list(columns.values()))
    patient = patient_column(table.header)
    others = [position for position in range(len(table.header)) if position not in columns.values()]
    return ProbabilityTable(
        path=path,
        ids={kind: table.column(position) for kind, position in kinds.items()},
        findings=tuple(columns),
        probabilities=probabilities,
        patient_ids=None if patient is None else table.column(patient),
        table=pd.DataFrame({table.header[p]: np.array(table.column(p), dtype=object) for p in others}),
        lines=table.lines,
    )


def _finding_columns(table: DelimitedTable) -> dict[str, int]:
    prefixed = {
        name[len(_PREFIX) :].lstrip(" _"): position
        for position, name in enumerate(table.header)
        if name.casefold().startswith((f"{_PREFIX}_", f"{_PREFIX} "))
    }
    columns = prefixed or {
        name: position for position, name in enumerate(table.header) if fold(name) not in NEVER_A_FINDING
    }
    if not columns:
        raise ProbabilitiesError(table.path, "has no column of probabilities beside its ids and attributes")
    if "" in columns:
        column = table.header[columns[""]]
        raise ProbabilitiesError(table.path, "has no finding's name after the prefix", 1, column)
    return columns


def _probabilities(table: DelimitedTable, positions: Sequence[int]) -> Floats:
    values = np.array([[_number(row[position]) for position in positions] for row in table.rows])
    wrong = np.argwhere(~((values >= 0.0) & (values <= 1.0)))
    if len(wrong):
        row, j = wrong[0]
        column, cell = table.header[positions[j]], table.rows[row][positions[j]]
        problem = f"must be a probability from 0 to 1. Received: {cell!r}"
        problem += more_cells([(table.lines[i], table.header[positions[k]]) for i, k in wrong])
        raise ProbabilitiesError(table.path, problem, table.lines[row], column)
    return values


def _number(cell: str) -> float:
    try:
        return float(cell) if "_" not in cell else math.nan
    except ValueError:
        return math.nan
