"""`cxrbatch train` with the recipe of the default bundle, `models/cxr-lite/cxrbatch.toml`."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.decoder_pool import FilmFile
from cxrbatch.training.film_store import FilmStore
from tools.cxr_lite_films import SPEC, Films, small_films, soft_targets

RECIPE = Path(__file__).parents[1] / "models" / "cxr-lite" / "cxrbatch.toml"
SPARE = 30
"""Small films on a side of the split that the command wants and the recipe does not use."""


def fill_cache(data: Path, cache: Path, workers: int = 1) -> None:
    """Decode every film for the folder `cache`, so that trainings beside each other only read there."""
    folders = (data / "nih" / "images", data / "nih64" / "images")
    paths = sorted(path for folder in folders for path in folder.glob("*.png"))
    files = []
    for number, path in enumerate(paths):
        with Image.open(path) as picture:
            columns, rows = picture.size
        files.append(FilmFile(number, str(path), FileKind.PNG, rows, columns))
    if failed := FilmStore(cache, SPEC).prepare(files, workers):
        raise SystemExit(f"{len(failed)} films in {data} do not decode.")


def run_training(data: Path, films: Films, train: NDArray[np.bool_], out: Path, start: Path) -> Path:
    """Train on the films `train` (n,), and return the command's folder, ``out/train``.

    The other films are its test side. Validation chooses nothing in this recipe but thresholds and
    calibration, which the bundle's card replaces; so that no film of `nih` is lost to it, it gets small films
    of patients whom `nih` has not. Where every film is trained on, so does the test side.
    """
    small = small_films(data, films)
    spare = [small.iloc[:SPARE].assign(split="val")]
    if train.all():
        spare.append(small.iloc[SPARE : 2 * SPARE].assign(split="test"))
    table = pd.concat([films.table.assign(split=np.where(train, "train", "test")), *spare])
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "labels.csv", index=False, quoting=csv.QUOTE_MINIMAL)
    cxrbatch(
        [
            *("train", "--images", str(data), "--labels", str(out / "labels.csv")),
            *("--out", str(out / "train"), "--mode", "full", "--init", str(start)),
            *("--findings", ",".join(films.findings), "--soft-targets", str(soft_targets(data))),
            *("--cache", str(out.parent / "cache"), "--config", str(RECIPE)),
        ],
        out / "train.log",
    )
    return out / "train"


def cxrbatch(command: list[str], log: Path, allowed: tuple[int, ...] = (0,)) -> None:
    """Run it; its messages go to `log`."""
    with log.open("a") as file:
        done = subprocess.run([sys.executable, "-m", "cxrbatch", *command], stdout=file, stderr=file)
    if done.returncode not in allowed:
        sys.exit(f"cxrbatch {command[0]} ended with exit code {done.returncode}: see {log}")
