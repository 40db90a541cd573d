"""Text in a CSV file that a spreadsheet must not run: formulas from headers are data.

A spreadsheet takes a cell that begins with ``= + - @`` for a formula, and some skip a tab or a carriage
return before it, or take the full-width forms for the same (OWASP, "CSV Injection"). An apostrophe before it
makes it text. `neutral` puts one there and `original` takes it away again: it is the exact inverse, for
values that begin with apostrophes too. Numbers are written as numbers and never pass through here.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_SIGN = "[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
# Where spreadsheets separate cells by semicolons, a cell begins behind each, quoted or not.
_BEGINS = "(?:^|(?<=[;\t\r\n]))"
_DANGEROUS = re.compile(f"{_BEGINS}(?='*[ ]*{_SIGN})")
_NEUTRALISED = re.compile(f"{_BEGINS}'(?='*[ ]*{_SIGN})")


def neutral(text: str) -> str:
    """`text` such that no spreadsheet takes it, or a part of it, for a formula."""
    return _DANGEROUS.sub("'", text)


def original(cell: str) -> str:
    """The text that `neutral` made `cell` of; any other cell stays as it is."""
    return _NEUTRALISED.sub("", cell)


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[str | float]]) -> bytes:
    """A CSV file: UTF-8, lines ended by a line feed, the same bytes for the same cells.

    Text is neutralised. A float is written as the shortest decimal of at most nine digits that is this
    float32, whatever the platform; an int as it is.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([neutral(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def frame_bytes(frame: pd.DataFrame) -> bytes:
    """A data frame as a CSV file: as pandas writes it, with text and the columns' names neutralised."""
    plain = frame.rename(columns=lambda name: neutral(str(name)))
    for position in range(plain.shape[1]):
        if plain.dtypes.iloc[position].kind not in "biuf":
            cells = [neutral(cell) if isinstance(cell, str) else cell for cell in plain.iloc[:, position]]
            plain.isetitem(position, cells)
    return plain.to_csv(index=False, lineterminator="\n").encode("utf-8", "backslashreplace")


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return neutral(value)
    return str(value) if isinstance(value, int) else f"{value:.9g}"
