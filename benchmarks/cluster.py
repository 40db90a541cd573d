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
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from parts.figures import Figure, conclude
from parts.films import write_studies
from parts.nights import Runs, begin, take_turn
from parts.ray_nodes import cluster, environment
from parts.usage import Cost, cores

MODEL = "cxr-lite"
RATIO = "a study on Ray to one on the local engine, same processors"
GAIN = "two scoring nodes of a processor each to one"
FEW, TURNS, NODE_TURNS = 16, 3, 5


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
    engines = {name: (folder / name, "--engine", name) for name in ("local", "ray")}
    runs = {name: begin(films, MODEL, *where) for name, where in engines.items()}
    for turn in range(TURNS):
        for name in there_and_back(runs, turn):
            take_turn(runs[name], films, MODEL, *engines[name])
    local, on_ray = runs["local"].night, runs["ray"].night
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
    runs = {nodes: Runs(FEW, len(films)) for nodes in ((first,), (first, second))}
    for turn in range(NODE_TURNS):
        for nodes in there_and_back(runs, turn):
            with cluster(nodes) as address:
                for _ in range(1 if turn else 2):  # the very first may find the films on disk
                    runs[nodes].shorts.append(_scoring(films[:FEW], folder / "nodes", address))
                runs[nodes].longs.append(_scoring(films, folder / "nodes", address))
    one, two = (found.night.study.wall for found in runs.values())
    return [
        Figure("one scoring node: a film", one, "s"),
        Figure("two scoring nodes: a film", two, "s"),
        Figure(GAIN, one / two, "x", at_least=1.8),
    ]


def there_and_back(compared: Iterable[Any], turn: int) -> list[Any]:
    """In the order of this turn: a machine that grows busy slows down no one more than the others."""
    return list(compared)[:: -1 if turn % 2 else 1]


def _scoring(films: Sequence[Path], run: Path, address: str) -> Cost:
    """Wall time alone: what nodes spend is not this process's children's."""
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
    return Cost(time.perf_counter() - begun)


if __name__ == "__main__":
    main()
