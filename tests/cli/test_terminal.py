"""Nothing that a file is called, or a header says, can forge a line or steer the terminal."""

from __future__ import annotations

import logging

import pytest

from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.terminal import OneLineFormatter, printable, say_lines


def test_control_characters_are_shown_as_escapes() -> None:
    text = "a\nb\r\x1b[31mc\x07\x9b\u202e\udcff\x7f"
    assert printable(text) == r"a\nb\r\x1b[31mc\x07\x9b\u202e\udcff\x7f"
    assert printable("Åsa 山田 →") == "Åsa 山田 →"


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    with pytest.raises(typer.Exit):
        leave(Exit.WRONG_USAGE, "no file a\n12:00:00 Found 0 files.\x1b[2J")
    assert capsys.readouterr().err == "cxrbatch: no file a\\n12:00:00 Found 0 files.\\x1b[2J\n"


def test_a_log_record_is_one_line() -> None:
    record = logging.LogRecord("cxrbatch", logging.INFO, "", 0, "odd %s", ("a\r\n\x1b",), None)
    assert OneLineFormatter("%(message)s").format(record) == r"odd a\r\n\x1b"


def test_text_of_several_lines_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    say_lines('{\n "a": "\x1b"\n}')
    assert capsys.readouterr().out == '{\n "a": "\\x1b"\n}\n'
