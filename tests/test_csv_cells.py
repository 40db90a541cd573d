"""What a spreadsheet would run is text in our tables, and comes back as it was."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.csv_cells import csv_bytes, neutral, original
from cxrbatch.evaluation.delimited import read_delimited

PAYLOADS = (
    "=cmd|'/C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    "\uff1d1+1",
    "'=1+1",
    "''=1+1",
    "a;=1+1;b",
    "a;'=1+1",
    "-5",
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_cell_begins_as_a_formula(payload: str) -> None:
    cell = neutral(payload)
    for part in cell.split(";"):  # as a spreadsheet with semicolons would see it
        assert part.lstrip(" \t\r\n")[:1] not in {*"=+-@", "\uff1d"}, part
    assert original(cell) == payload


@pytest.mark.parametrize("plain", ["", "1.2.3", "O'Brien", "'quoted'", "a=b", "/films/-1.dcm", "x - y"])
def test_other_text_stays_as_it_is(plain: str) -> None:
    assert neutral(plain) == plain
    assert original(plain) == plain


@given(st.text(st.sampled_from("'=+-@;,\t\r\n \"a1\uff0b")) | st.text())
def test_the_original_comes_back_whatever_it_is(text: str) -> None:
    assert original(neutral(text)) == text


@given(
    st.lists(
        st.text(st.sampled_from("'=+-@;,\t\n \"a\uff0b"), min_size=1, max_size=6), min_size=1, max_size=4
    )
)
def test_a_table_is_read_back_to_the_original(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str]
) -> None:
    path: Path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(csv_bytes(("image", "Mass"), [(f"{text}", 0.5) for text in ids]))
    table = read_delimited(path)
    # Reading strips cells, and takes a carriage return for a line feed, as it did before.
    assert [row[0] for row in table.rows] == [text.strip() for text in ids]


def test_numbers_are_numbers() -> None:
    (row,) = list(csv.reader(io.StringIO(csv_bytes(("a", "b", "c"), [(-0.25, 3, "-0.25")]).decode())))[1:]
    assert row == ["-0.25", "3", "'-0.25"]


def test_names_of_columns_are_neutralised_too() -> None:
    assert csv_bytes(("=1+1",), []) == b"'=1+1\n"
