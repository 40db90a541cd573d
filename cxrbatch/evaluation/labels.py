"""The reference standard: a table of labels in NIH's layout or the wide one (contract 3.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbatch.evaluation.auroc import Floats
from cxrbatch.evaluation.columns import (
    FINDING_LABELS,
    NEVER_A_FINDING,
    NIH_FINDINGS,
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

_VALUES = {"": np.nan, "0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
_NO_FINDING = fold("No Finding")


class LabelsError(TableError):
    """A labels table cannot be used as it is (wrong usage: exit code 2)."""


@dataclass(frozen=True)
class Labels:
    """A labels table. Row i of everything belongs to `ids[i]`, which stands on line `lines[i]` of the file.

    matrix (n, k): 1, 0, or NaN where unknown. `patient_ids` are "" where blank, and None when the table has
    no such column. `table` holds all columns that are no findings, as text. `unknown_findings` counts names
    in NIH's finding list that are neither NIH's nor asked for: they became no column.
    """

    path: Path
    id_kind: IdKind
    ids: tuple[str, ...]
    findings: tuple[str, ...]
    matrix: Floats
    patient_ids: tuple[str, ...] | None
    table: pd.DataFrame
    lines: tuple[int, ...]
    unknown_findings: Mapping[str, int] = field(default_factory=dict)


def read_labels(path: Path, findings: Sequence[str] = ()) -> Labels:
    """Read a labels table.

    `findings` are the names in use elsewhere, a model's for instance: a column so called (whatever its case,
    spaces and underscores) takes that spelling and may hold nothing but 0, 1 and blanks. In the wide layout a
    column counts as a finding when it is called so, or as one of NIH's, or when all its filled cells are 0 or
    1; any other column is an attribute, kept in `Labels.table`. Of several id columns the most exact is used:
    image_uid, path, image, study_uid.

    Raises LabelsError naming file, line and column: no id column, a blank id, two rows for one id, a value
    other than 0, 1 or blank, "No Finding" beside a finding, no finding at all, and what `read_delimited`
    refuses.
    """
    table = read_delimited(path, LabelsError)
    kinds = id_columns(table.header)
    if not kinds:
        raise LabelsError(path, f"has no id column; it needs {id_column_hint()}", 1)
    kind, position = next(iter(kinds.items()))
    ids = table.column(position)
    check_ids(table, position, LabelsError)
    spelling = {fold(name): name for name in (*NIH_FINDINGS, *findings)}
    unknown: Mapping[str, int] = {}
    nih = [i for i, name in enumerate(table.header) if fold(name) == FINDING_LABELS]
    if nih:
        names, matrix, unknown = _nih_matrix(table, nih[0], spelling, findings)
        taken: set[int] = set()
    else:
        names, matrix, taken = _wide_matrix(table, spelling)
    patient = patient_column(table.header)
    return Labels(
        path=path,
        id_kind=kind,
        ids=ids,
        findings=names,
        matrix=matrix,
        patient_ids=None if patient is None else table.column(patient),
        table=_attributes(table, taken),
        lines=table.lines,
        unknown_findings=unknown,
    )


def _nih_matrix(
    table: DelimitedTable, position: int, spelling: Mapping[str, str], findings: Sequence[str]
) -> tuple[tuple[str, ...], Floats, Mapping[str, int]]:
    """NIH's list tells of its 14 findings and of those named in it; a blank cell tells nothing."""
    parsed = [
        _finding_list(table, line, table.header[position], cell)
        for line, cell in zip(table.lines, table.column(position), strict=True)
    ]
    named = {name for row in parsed if row is not None for name in row}
    nih = tuple(map(fold, NIH_FINDINGS))
    columns = [*nih, *(name for name in map(fold, findings) if name in named and name not in nih)]
    index = {name: j for j, name in enumerate(dict.fromkeys(columns))}
    matrix = np.zeros((len(parsed), len(index)))
    unknown: Counter[str] = Counter()
    for i, row in enumerate(parsed):
        if row is None:
            matrix[i] = np.nan
            continue
        for name, written in row.items():
            if name in index:
                matrix[i, index[name]] = 1.0
            else:
                unknown[written] += 1
    return tuple(spelling[name] for name in index), matrix, dict(unknown)


def _finding_list(table: DelimitedTable, line: int, column: str, cell: str) -> dict[str, str] | None:
    """Folded name -> as written, of the findings in one cell; None when the cell is blank (unknown)."""
    written = [part.strip() for part in cell.split("|") if part.strip()]
    if not written:
        return None
    found = {fold(name): name for name in written}
    if _NO_FINDING in found:
        if len(found) > 1:
            raise LabelsError(table.path, f"{cell!r} has `No Finding` beside a finding", line, column)
        return {}
    return found


def _wide_matrix(
    table: DelimitedTable, spelling: Mapping[str, str]
) -> tuple[tuple[str, ...], Floats, set[int]]:
    names: list[str] = []
    values: list[Floats] = []
    taken: set[int] = set()
    for position, header in enumerate(table.header):
        if fold(header) in NEVER_A_FINDING or fold(header) == _NO_FINDING:
            continue
        cells = table.column(position)
        if fold(header) in spelling:
            _check_values(table, header, cells)
        elif not any(cells) or any(cell not in _VALUES for cell in cells):
            continue
        names.append(spelling.get(fold(header), header))
        values.append(np.array([_VALUES[cell] for cell in cells]))
        taken.add(position)
    if not names:
        problem = (
            "has no finding: neither NIH's `Finding Labels` nor a column of 0, 1 and blanks that is named "
            "after one"
        )
        raise LabelsError(table.path, problem)
    return tuple(names), np.column_stack(values), taken


def _check_values(table: DelimitedTable, column: str, cells: Sequence[str]) -> None:
    pairs = zip(table.lines, cells, strict=True)
    wrong = [(line, cell) for line, cell in pairs if cell not in _VALUES]
    if wrong:
        line, cell = wrong[0]
        problem = f"a label must be 0, 1 or blank for unknown. Received: {cell!r}"
        problem += more_cells([(line, column) for line, _ in wrong])
        raise LabelsError(table.path, problem, line, column)


def _attributes(table: DelimitedTable, taken: set[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: np.array(table.column(position), dtype=object)
            for position, name in enumerate(table.header)
            if position not in taken
        }
    )
