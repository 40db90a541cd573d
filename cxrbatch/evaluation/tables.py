"""A table of probabilities: ``scores.csv``, or any table with an id and one column a finding (3.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
from cxrbatch.evaluation.delimited import DelimitedTable, TableError, fold, read_delimited

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
    _check_unique(table, next(kinds[kind] for kind in _UNIQUE if kind in kinds))
    columns = _finding_columns(table)
    probabilities = np.array(
        [
            [_probability(table, line, position, row[position]) for position in columns.values()]
            for line, row in zip(table.lines, table.rows, strict=True)
        ]
    )
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


def _check_unique(table: DelimitedTable, position: int) -> None:
    first: dict[str, int] = {}
    for line, name in zip(table.lines, table.column(position), strict=True):
        if not name:
            raise ProbabilitiesError(table.path, "the id is blank", line, table.header[position])
        if name in first:
            problem = f"{name!r} has two rows, on lines {first[name]} and {line}; keep one"
            raise ProbabilitiesError(table.path, problem, line, table.header[position])
        first[name] = line


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


def _probability(table: DelimitedTable, line: int, position: int, cell: str) -> float:
    try:
        value = float(cell) if "_" not in cell else math.nan
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        column = table.header[position]
        problem = f"must be a probability from 0 to 1. Received: {cell!r}"
        raise ProbabilitiesError(table.path, problem, line, column)
    return value
