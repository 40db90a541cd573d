"""The command line: the commands, and what becomes of their errors.

Nothing heavy is imported at the top of any module here, so that ``cxrbatch --help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from cxrbatch import __version__
from cxrbatch.cli import model
from cxrbatch.cli.compare import compare
from cxrbatch.cli.doctor import doctor
from cxrbatch.cli.report import report
from cxrbatch.cli.sample import sample
from cxrbatch.cli.score import score
from cxrbatch.cli.validate import validate

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
app.add_typer(model.app, name="model", help="List, show, add and verify model bundles.")
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
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    # Only our own messages: libraries quote header values, which are patient data.
    for library in ("pydicom", "weasyprint", "fontTools", "PIL", "matplotlib", "openvino"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def main() -> None:
    """Entry point of the console script."""
    app()
