"""The exit codes of contract 3.2, and how a command ends with one: a line on stderr, never a traceback."""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

import typer

from cxrbatch.cli.terminal import say


class Exit(IntEnum):
    """What a command's exit status means to the script that called it.

    130 and 143, stopped by Ctrl-C or SIGTERM, are given by `cxrbatch.stopping`.
    """

    FINISHED = 0
    COULD_NOT_FINISH = 1
    WRONG_USAGE = 2
    SOME_FAILED = 3
    FOLDER_HELD = 4
    VERDICT_NOT_PASSED = 5


def leave(code: Exit, message: object) -> NoReturn:
    """Print one line to stderr and exit."""
    say(f"cxrbatch: {message}", err=True)
    raise typer.Exit(int(code))
