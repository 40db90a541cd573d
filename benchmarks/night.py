"""A night against the notebook's way: 48 studies of 1955 x 1841 pixels, HTML and PDF with four overlays.

    python benchmarks/night.py [--studies 48] [--sample 5]

DenseNet121 at 320 pixels with random weights, `cxrbatch score` against `notebook_way.py` on a sample, wall
time a study; starting up is left out of both and shown apart. Then the same night with the shipped model.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from parts.figures import Figure, conclude
from parts.films import write_studies
from parts.models import random_bundle
from parts.nights import measure_night

REPORTS = ("--reports", "html,pdf", "--findings", "top:4")
HOUR = 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=48)
    parser.add_argument("--sample", type=int, default=5)
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="cxrbatch-night-") as name:
        folder = Path(name)
        films = write_studies(folder / "inbox", arguments.studies)
        bundle = random_bundle(folder / "models" / "random-densenet121")
        ours = measure_night(films, str(bundle.folder), folder / "run", *REPORTS)
        lite = measure_night(films, "cxr-lite", folder / "run", *REPORTS)
        sample = films[: arguments.sample + 1]
        eager = notebook(bundle.weights_path, sample, folder / "eager")
        compiled = notebook(bundle.weights_path, sample, folder / "compiled", "--compiled")
    wall = ours.study.wall
    conclude(
        [
            Figure("DenseNet121, `cxrbatch score`: a study", wall, "s"),
            Figure("DenseNet121, starting up (not counted)", ours.start.wall, "s"),
            Figure("DenseNet121, notebook as written: a study", eager, "s"),
            Figure("DenseNet121, notebook with compiled Grad-CAM: a study", compiled, "s"),
            Figure("faster than the notebook as written", eager / wall, "x", at_least=20),
            Figure("faster than the notebook with compiled Grad-CAM", compiled / wall, "x", at_least=4),
            Figure("shipped model: studies a second", 1 / lite.study.wall, "/s"),
            Figure("shipped model: a night of 10,000 studies", 10_000 * lite.study.wall / HOUR, "h"),
            Figure("DenseNet121: a night of 10,000 studies", 10_000 * wall / HOUR, "h"),
        ]
    )


def notebook(weights: Path, films: list[Path], out: Path, *options: str) -> float:
    """Median seconds of a study, the first left out."""
    script = Path(__file__).with_name("notebook_way.py")
    command = [sys.executable, script, weights, out, *films, *options]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return statistics.median(float(line) for line in done.stdout.split()[1:])


if __name__ == "__main__":
    main()
