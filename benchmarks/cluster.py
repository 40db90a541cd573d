"""A night on Ray against the engine of one machine, and two scoring nodes against one.

    python benchmarks/cluster.py [--studies 400] [--films 240]

First the whole night, HTML and PDF, on a Ray of this machine with the same processors as the local engine:
wall time a study, starting up left out. Then scoring alone on a cluster whose nodes are held to a processor
each by the system.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from parts.figures import Figure, conclude
from parts.films import write_studies
from parts.nights import measure_night
from parts.ray_nodes import cluster, environment
from parts.usage import cores

MODEL = "cxr-lite"
RATIO = "a study on Ray to one on the local engine, same processors"
GAIN = "two scoring nodes of a processor each to one"
FEW, TURNS = 16, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=400, help="of the night")
    parser.add_argument("--films", type=int, default=240, help="for the nodes")
    arguments = parser.parse_args()
    if find_spec("ray") is None:
        conclude([Figure(name, None, note="Ray is not installed") for name in (RATIO, GAIN)])
    with TemporaryDirectory(prefix="cxrbatch-cluster-") as name:
        folder = Path(name)
        films = write_studies(folder / "inbox", max(arguments.studies, arguments.films))
        figures = night_figures(films[: arguments.studies], folder)
        figures += node_figures(films[: arguments.films], folder)
    conclude(figures)


def night_figures(films: list[Path], folder: Path) -> list[Figure]:
    # In turns, and the better of each: a neighbour on the machine slows down one minute and not the next.
    turns = [
        (
            measure_night(films, MODEL, folder / f"local{turn}"),
            measure_night(films, MODEL, folder / f"ray{turn}", "--engine", "ray"),
        )
        for turn in range(TURNS)
    ]
    local, on_ray = (min(nights, key=lambda night: night.study.wall) for nights in zip(*turns, strict=True))
    return [
        Figure("local engine: a study", local.study.wall, "s"),
        Figure("Ray of this machine: a study", on_ray.study.wall, "s"),
        Figure(RATIO, on_ray.study.wall / local.study.wall, "x", at_most=1.15),
        Figure("Ray of this machine: starting up (not counted)", on_ray.start.wall, "s"),
    ]


def node_figures(films: list[Path], folder: Path) -> list[Figure]:
    if cores() < 2:
        return [Figure(GAIN, None, note="this machine has one processor")]
    first, second = sorted(os.sched_getaffinity(0))[:2]
    # In turns, and the better of each: the films may come from the page cache or from a disk.
    turns = [
        [seconds_a_film(films, folder / "nodes", processors) for processors in ([first], [first, second])]
        for _ in range(TURNS)
    ]
    one, two = (min(times) for times in zip(*turns, strict=True))
    return [
        Figure("one scoring node: a film", one, "s"),
        Figure("two scoring nodes: a film", two, "s"),
        Figure(GAIN, one / two, "x", at_least=1.8),
    ]


def seconds_a_film(films: list[Path], run: Path, processors: Sequence[int]) -> float:
    """Wall time of one more film: of a run over all, less one over few."""
    with cluster(processors) as address:
        few = min(_wall(films[:FEW], run, address) for _ in range(2))
        seconds = (_wall(films, run, address) - few) / (len(films) - FEW)
    if seconds <= 0:
        raise SystemExit("This machine is too busy to measure: a long run cost less than a short one.")
    return seconds


def _wall(films: Sequence[Path], run: Path, address: str) -> float:
    shutil.rmtree(run, ignore_errors=True)
    options = [
        "--out",
        run,
        "--model",
        MODEL,
        "--reports",
        "none",
        "--engine",
        "ray",
        "--ray-address",
        address,
    ]
    command = [sys.executable, "-m", "cxrbatch", "score", *films, *options, "--cpus-per-scorer", "1"]
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
