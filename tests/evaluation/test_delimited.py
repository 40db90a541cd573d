from __future__ import annotations

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxrbatch.evaluation.delimited import TableError, fold, read_delimited


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_separators_line_ends_and_byte_order_mark(write, separator, newline, mark):
    text = newline.join([f"image{separator}Größe", f"a.png{separator}1", "", f"b.png{separator} 0 "])
    table = read_delimited(write(mark + text.encode()))
    assert table.header == ("image", "Größe")
    assert table.rows == (("a.png", "1"), ("b.png", "0"))
    assert table.lines == (2, 4)


def test_line_of_a_row_after_a_quoted_line_break(write):
    table = read_delimited(write('image,note\na,"two\nlines"\nb,x\n'))
    assert table.lines == (2, 4)


def test_columns_without_a_name_are_left_out(write):
    table = read_delimited(write(",image,Mass,\n0,a,1,\n1,b,0,\n"))
    assert table.header == ("image", "Mass")
    assert table.rows == (("a", "1"), ("b", "0"))


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"", None, "empty"),
        (b"\xef\xbb\xbf\n \n", None, "empty"),
        (b"image,Mass\n", 1, "no rows"),
        (b"image,Mass\na,1\nb\n", 3, "1 cells, but the header has 2"),
        (b"image,Mass\na,1,0\n", 2, "3 cells"),
        (b"image,Mass,MASS\na,1,0\n", 1, "twice"),
        (b"image,Mass\na,1\nJos\xe9,0\n", 3, "0xE9"),
        ("image,Mass\na,1\n".encode("utf-16"), None, "UTF-16"),
        (b"image,Mass\na,1\nb,\x001\n", 3, "NUL"),
        (b'image,Mass\na,1\n"b,0\n', 3, "quotes"),
    ],
)
def test_what_is_wrong_is_named(write, content, line, said):
    path = write(content)
    with pytest.raises(TableError, match=said) as raised:
        read_delimited(path)
    assert raised.value.line == line
    assert str(path) in str(raised.value)
    assert line is None or f"line {line}" in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TableError, match=r"nowhere\.csv.*No such file"):
        read_delimited(tmp_path / "nowhere.csv")


cells = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=8))
def test_reads_back_what_a_csv_writer_wrote(write, rows):
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("image", "Mass"), *rows])
    expected = tuple((a.strip(), b.strip()) for a, b in rows if a.strip() or b.strip())
    path = write(out.getvalue())
    if expected:
        assert read_delimited(path).rows == expected
    else:
        with pytest.raises(TableError):
            read_delimited(path)


@pytest.mark.parametrize(
    "name", ["Pleural_Thickening", "pleural thickening", " PLEURALTHICKENING ", "pleural__Thickening"]
)
def test_fold_leaves_only_the_letters(name):
    assert fold(name) == "pleuralthickening"
