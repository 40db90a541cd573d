"""The command line: the commands, and what becomes of their errors.

Nothing heavy is imported at the top of any module here, so that ``cxrbatch --help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import Annotated

import typer

from cxrbatch import __version__
from cxrbatch.cli import model
from cxrbatch.cli.compare import compare
from cxrbatch.cli.doctor import doctor
from cxrbatch.cli.exits import Exit
from cxrbatch.cli.report import report
from cxrbatch.cli.sample import sample
from cxrbatch.cli.score import score
from cxrbatch.cli.terminal import OneLineFormatter
from cxrbatch.cli.train import train
from cxrbatch.cli.validate import validate
from cxrbatch.stopping import exit_code_for_signals

app = typer.Typer(
    name="cxrbatch",
    help="Score chest radiographs in batches, and report on them. A decision aid, no medical device.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(score)
app.command()(report)
app.command()(validate)
app.command()(compare)
app.command()(train)
app.add_typer(model.app, name="model", help="List, show, add, pull and verify model bundles.")
app.command()(sample)
app.command()(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cxrbatch {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    _log_our_own_messages_only()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _log_our_own_messages_only() -> None:
    """Libraries quote header values, paths and page texts, which are patient data: none of them is heard."""
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(OneLineFormatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    ours = logging.getLogger("cxrbatch")
    ours.setLevel(logging.INFO)
    ours.propagate = False
    ours.handlers = [shown]
    logging.getLogger().addHandler(logging.NullHandler())  # else their warnings go to stderr by default
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for the processes that are started from here
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    threading.excepthook = lambda defect: _tell_defect(defect.exc_type, defect.exc_traceback)


def _tell_defect(kind: type[BaseException], trace: TracebackType | None) -> None:
    """Where an error that nobody expected came from; not its text, which may quote a path or a header."""
    places = "".join(
        f"  {frame.filename}, line {frame.lineno}, {frame.name}\n" for frame in traceback.extract_tb(trace)
    )
    print(f"{places}cxrbatch: unexpected {kind.__name__}: please report these lines.", file=sys.stderr)


def main() -> None:
    """Entry point of the console script."""
    with exit_code_for_signals():
        try:
            app()
        except Exception as error:
            _tell_defect(type(error), error.__traceback__)
            sys.exit(int(Exit.COULD_NOT_FINISH))
