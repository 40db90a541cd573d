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
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from parts.figures import Figure, conclude
from parts.films import write_studies
from parts.ray_nodes import cluster, environment
from parts.usage import cores, score

MODEL = "cxr-lite"
RATIO = "a study on Ray to one on the local engine, same processors"
GAIN = "two scoring nodes of a processor each to one"
NIGHT_FEW, FEW, TURNS, NODE_TURNS = 4, 16, 3, 5


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
    nights = {engine: Times(len(films) - NIGHT_FEW) for engine in ("local", "ray")}
    for turn in range(TURNS):
        for engine, times in list(nights.items())[:: -1 if turn % 2 else 1]:
            night = partial(_night, run=folder / engine, engine=engine)
            if turn == 0:
                night(films[:1])  # makes what is made once for a model (its OpenVINO form)
            times.few.append(night(films[:NIGHT_FEW]))
            times.all.append(night(films))
    local, on_ray = nights["local"].each, nights["ray"].each
    return [
        Figure("local engine: a study", local, "s"),
        Figure("Ray of this machine: a study", on_ray, "s"),
        Figure(RATIO, on_ray / local, "x", at_most=1.15),
        Figure("Ray of this machine: starting up (not counted)", nights["ray"].start, "s"),
    ]


def node_figures(films: list[Path], folder: Path) -> list[Figure]:
    if cores() < 2:
        return [Figure(GAIN, None, note="this machine has one processor")]
    first, second = sorted(os.sched_getaffinity(0))[:2]
    nights = {nodes: Times(len(films) - FEW) for nodes in ((first,), (first, second))}
    for turn in range(NODE_TURNS):
        for processors, times in list(nights.items())[:: -1 if turn % 2 else 1]:
            with cluster(processors) as address:
                for _ in range(1 if turn else 2):  # the very first may find the films on disk
                    times.few.append(_scoring(films[:FEW], folder / "nodes", address))
                times.all.append(_scoring(films, folder / "nodes", address))
    one, two = (times.each for times in nights.values())
    return [
        Figure("one scoring node: a film", one, "s"),
        Figure("two scoring nodes: a film", two, "s"),
        Figure(GAIN, one / two, "x", at_least=1.8),
    ]


@dataclass
class Times:
    """Wall times of runs over few studies and over all. What is compared takes turns, and the least of each
    counts: a neighbour on the machine slows down one minute and not the next, and speeds up none.
    """

    more: int
    """Studies that a run over all has more."""
    few: list[float] = field(default_factory=list)
    all: list[float] = field(default_factory=list)

    @property
    def each(self) -> float:
        """Wall time of one more study: starting is left out."""
        seconds = (min(self.all) - min(self.few)) / self.more
        if seconds <= 0:
            raise SystemExit("This machine is too busy to measure: a long run cost less than a short one.")
        return seconds

    @property
    def start(self) -> float:
        return min(self.few) - NIGHT_FEW * self.each


def _night(films: Sequence[Path], run: Path, engine: str) -> float:
    shutil.rmtree(run, ignore_errors=True)
    return score(*films, "--out", run, "--model", MODEL, "--engine", engine).wall


def _scoring(films: Sequence[Path], run: Path, address: str) -> float:
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
