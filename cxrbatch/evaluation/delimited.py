"""Reading a delimited text table strictly: every complaint names the file, the line and the column."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrbatch.csv_cells import original


class TableError(ValueError):
    """A table the user gave cannot be used as it is (wrong usage: exit code 2).

    `path`, `line` (1-based, the header included) and `column` say where, as far as that makes sense, and
    `place` says it in words; `problem` may quote cells.
    """

    def __init__(self, path: Path, problem: str, line: int | None = None, column: str | None = None) -> None:
        self.path, self.line, self.column = path, line, column
        place = str(path)
        if line is not None:
            place += f", line {line}"
        if column is not None:
            place += f", column {column!r}"
        self.place, self.problem = place, problem
        super().__init__(f"{place}: {problem}")


@dataclass(frozen=True)
class DelimitedTable:
    """Cells as stripped text, in the order of the file; `lines[i]` is the line on which row i starts."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def column(self, index: int) -> tuple[str, ...]:
        return tuple(row[index] for row in self.rows)


def fold(name: str) -> str:
    """A column's or a finding's name without case, spaces and underscores: how names are compared."""
    return "".join(name.casefold().replace("_", " ").split())


def read_delimited(path: Path, error: type[TableError] = TableError) -> DelimitedTable:
    """Read a UTF-8 table (with or without a byte order mark) separated by commas, semicolons or tabs.

    The separator is the one that the header has most of. Blank lines are skipped, and so are columns without
    a name: NIH's own table has one at its end, a data frame's index is one at the beginning. The apostrophe
    that cxrbatch puts before what a spreadsheet would run (`csv_cells`) is taken off again. Raises `error`
    for a file that is missing, empty or not UTF-8, a name that occurs twice in the header (compared as `fold`
    does), a row with more or fewer cells than the header, broken quotes, and a table without rows.
    """
    text = _decode(path, error)
    if not text.strip():
        raise error(path, "the file is empty; it must hold a header and at least one row")
    delimiter = max(",;\t", key=text.lstrip().split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True)
    records: list[tuple[int, tuple[str, ...]]] = []
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                records.append((begins, tuple(original(cell).strip() for cell in cells)))
            begins = reader.line_num + 1
    except csv.Error as problem:
        raise error(path, f"cannot be read as a table ({problem}); check the quotes", begins) from None
    (header_line, header), body = records[0], records[1:]
    _check_header(path, header, header_line, error)
    for line, row in body:
        if len(row) != len(header):
            raise error(path, f"has {len(row)} cells, but the header has {len(header)}", line)
    if not body:
        raise error(path, "holds a header but no rows", header_line)
    named = [position for position, name in enumerate(header) if name]
    return DelimitedTable(
        path,
        tuple(header[position] for position in named),
        tuple(tuple(row[position] for position in named) for _, row in body),
        tuple(line for line, _ in body),
    )


def check_ids(table: DelimitedTable, position: int, error: type[TableError]) -> None:
    """Raise `error` for a blank id, or ids with more than one row: the first, and how many there are."""
    first: dict[str, int] = {}
    again: dict[str, int] = {}
    column = table.header[position]
    for line, name in zip(table.lines, table.column(position), strict=True):
        if not name:
            raise error(table.path, "the id is blank", line, column)
        if name in first:
            again.setdefault(name, line)
        first.setdefault(name, line)
    if again:
        name, line = next(iter(again.items()))
        others = "".join(f", {other!r}" for other in list(again)[1:4])
        many = f". {len(again)} ids have several rows: {name!r}{others}" if others else ""
        more = " ..." if len(again) > 4 else ""
        problem = f"{name!r} has two rows, on lines {first[name]} and {line}; keep one{many}{more}"
        raise error(table.path, problem, line, column)


def more_cells(wrong: Sequence[tuple[int, str]]) -> str:
    """What to add about the cells (line, column) beyond the first that are wrong likewise; "" for one."""
    if len(wrong) < 2:
        return ""
    named = "; ".join(f"line {line}, column {column!r}" for line, column in wrong[1:4])
    more = "; ..." if len(wrong) > 4 else ""
    return f". {len(wrong)} cells are wrong: also {named}{more}"


def _decode(path: Path, error: type[TableError]) -> str:
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise error(path, f"cannot be read: {problem.strerror or problem}") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise error(path, "is encoded as UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        byte = problem.object[problem.start]
        raise error(
            path, f"is not UTF-8 (byte 0x{byte:02X}), maybe Windows-1252 or Latin-1; save it as UTF-8", line
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise error(path, "holds a NUL byte, so it is no text table; save it as CSV in UTF-8", line)
    # Only these end a line of a CSV file: str.splitlines would also cut at form feeds and U+2028.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _check_header(path: Path, header: tuple[str, ...], line: int, error: type[TableError]) -> None:
    seen: dict[str, str] = {}
    for name in filter(None, header):
        if fold(name) in seen:
            raise error(
                path, f"the same column occurs twice, as {seen[fold(name)]!r} and {name!r}", line, name
            )
        seen[fold(name)] = name
