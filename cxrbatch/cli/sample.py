"""`cxrbatch sample`: a synthetic cohort with known findings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cxrbatch.cli.terminal import say


def parse_size(text: str) -> tuple[int, int]:
    """Rows and columns of ``ROWSxCOLS``; raises ValueError for anything else."""
    rows, cross, cols = text.lower().partition("x")
    if not (cross and rows.isdigit() and cols.isdigit()):
        raise ValueError(f"--size takes ROWSxCOLS, such as 1024x896. Received: {text!r}.")
    return int(rows), int(cols)


def sample(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder to write the cohort to.")],
    studies: Annotated[int, typer.Option(min=1, help="Number of chest studies.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same cohort.")] = 0,
    size: Annotated[str, typer.Option(help="Rows and columns of each film.")] = "1024x896",
) -> None:
    """Write a synthetic cohort: phantoms as DICOM, with labels and lesion masks. No patients in it.

    From 6 studies up there are also what a night must not score: a lateral film, a limb, a raw film (for
    processing) and a broken one.
    """
    from tqdm import tqdm

    from cxrbatch.sample.cohort import write_cohort

    try:
        with tqdm(desc="films", unit="film", disable=not sys.stderr.isatty()) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            summary = write_cohort(folder, studies, seed, parse_size(size), progress)
    except (FileExistsError, ValueError) as error:
        say(f"cxrbatch sample: {error}", err=True)
        raise typer.Exit(2) from error
    except OSError as error:
        say(f"cxrbatch sample: cannot write to {folder}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from error
    planted = ", ".join(f"{name} {count}" for name, count in summary.positives.items())
    say(
        f"Wrote {summary.files} files of {summary.studies} phantom studies to {folder}; "
        f"{summary.labelled} frontal images are labelled ({planted}). Try: cxrbatch score {folder} --out RUN",
        err=True,
    )
