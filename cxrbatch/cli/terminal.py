"""What is printed: a file's name or a header must not forge a line of a log, nor steer the terminal."""

from __future__ import annotations

import logging
import re

import typer

# C0 and C1 controls and DEL; line separators; bidirectional overrides; bytes that are no UTF-8 (PEP 383).
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """`text` on one line, with every control character written as an escape such as ``\\x1b``."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def say(message: object, *, err: bool = False) -> None:
    """Print one line to stdout, or with `err` to stderr."""
    typer.echo(printable(str(message)), err=err)


def say_lines(text: str) -> None:
    """Print text of several lines to stdout."""
    for line in text.split("\n"):
        say(line)


class OneLineFormatter(logging.Formatter):
    """A log record on one line, whatever it quotes."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
