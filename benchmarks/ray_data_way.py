"""Films scored on Ray Core, as `cxrbatch score --engine ray` does it, and the Ray Data way: wall time a film.

    python benchmarks/ray_data_way.py [--films 240]

On a Ray of this machine with the same processors, with the shipped model and without reports. What Ray Data
is given to do is in `parts/ray_data.py`. All its arrangements are measured, then the best again in turns with
ours. Needs pyarrow, which is no dependency of this project: ``pip install pyarrow``.

A film's time is that of a run over all films less one over a third of them: enough for what Ray Data decodes
while the model loads, which is no merit in a long night, to be in both.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from parts.figures import Figure, conclude
from parts.films import write_studies
from parts.ray_data import ARRANGEMENTS
from parts.usage import Cost, run, score

MODEL = "cxr-lite"
RATIO = "a film on Ray Data, at its best, to one of ours on Ray Core"
DIFFERENCE = "probabilities of the two: largest difference"
OURS = "Ray Core (`cxrbatch score --engine ray --reports none`)"


@dataclass(frozen=True, slots=True)
class Film:
    """`cost` of one more film; `stored`: bytes of it that went through the object store."""

    cost: Cost
    stored: float = 0.0

    @property
    def is_sound(self) -> bool:
        """False where the machine was so noisy that a long run cost less than a short one."""
        return self.cost.wall > 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A run over a third of the films, and one over all."""

    short: Film
    long: Film


Probabilities = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--films", type=int, default=240)
    parser.add_argument("--arrangement", action="append", choices=ARRANGEMENTS, help="only this (repeatable)")
    parser.add_argument("--turns", type=int, default=2, help="of the best arrangement and ours")
    arguments = parser.parse_args()
    missing = [name for name in ("ray", "pyarrow") if find_spec(name) is None]
    if missing:
        note = f"{' and '.join(missing)} not installed"
        conclude([Figure(name, None, note=note) for name in (RATIO, DIFFERENCE)])
    with TemporaryDirectory(prefix="cxrbatch-ray-data-") as name:
        folder = Path(name)
        films = write_studies(folder / "inbox", arguments.films)
        arrangements = arguments.arrangement or list(ARRANGEMENTS)
        conclude(compare(films, folder, arrangements, arguments.turns))


def compare(films: list[Path], folder: Path, arrangements: Sequence[str], turns: int) -> list[Figure]:
    bench = Bench(films, folder)
    bench.ours(films[:1])  # what is made once for a model
    first = {name: bench.pair(partial(bench.ray_data, arrangement=name)) for name in arrangements}
    found = {name: bench.one_more([pair]) for name, pair in first.items()}
    best = min(found, key=lambda name: found[name].cost.wall if found[name].is_sound else inf)
    pairs = [
        (bench.pair(bench.ours), bench.pair(partial(bench.ray_data, arrangement=best))) for _ in range(turns)
    ]
    ours, theirs = (bench.one_more(some) for some in zip(*pairs, strict=True))
    if not (ours.is_sound and theirs.is_sound):
        raise SystemExit("This machine is too busy to measure: a long run cost less than a short one.")
    ratio = theirs.cost.wall / ours.cost.wall
    return [
        *(figure for name in arrangements for figure in rows(f"Ray Data, {name}", found[name])),
        *rows(OURS, ours),
        *rows(f"Ray Data at its best ({best}), in turns", theirs),
        Figure(RATIO, ratio, "x", note=f"(Ray Data is {'slower' if ratio > 1 else 'FASTER'})"),
        Figure(DIFFERENCE, bench.difference, at_most=1e-5),
    ]


def rows(name: str, film: Film) -> list[Figure]:
    seconds = film.cost.wall if film.is_sound else None
    note = f"({film.cost.cpu:.3f} s of processors)" if film.is_sound else "(too noisy)"
    figures = [Figure(f"{name}: a film", seconds, "s", note=note)]
    if name != OURS:
        figures.append(Figure(f"{name}: through the object store, a film", film.stored / 1e3, "kB"))
    return figures


def cheapest(runs: Sequence[Film]) -> Film:
    wall, cpu = (min(getattr(run.cost, what) for run in runs) for what in ("wall", "cpu"))
    return Film(Cost(wall, cpu), runs[0].stored)


class Bench:
    """Runs over films, and what they found."""

    def __init__(self, films: list[Path], folder: Path) -> None:
        self._films = films
        self._folder = folder
        self._scores: Probabilities = {}
        self._found: list[Probabilities] = []

    def pair(self, measure: Callable[[list[Path]], Film]) -> Pair:
        return Pair(measure(self._films[: len(self._films) // 3]), measure(self._films))

    def one_more(self, pairs: Sequence[Pair]) -> Film:
        """What one more film costs, by the cheapest long run and the cheapest short one: what else the
        machine does only ever makes a run dearer.
        """
        short, long = cheapest([pair.short for pair in pairs]), cheapest([pair.long for pair in pairs])
        more = len(self._films) - len(self._films) // 3
        return Film((long.cost - short.cost) / more, (long.stored - short.stored) / more)

    def ours(self, films: list[Path]) -> Film:
        out = self._fresh("run")
        cost = score(*films, "--out", out, "--model", MODEL, "--reports", "none", "--engine", "ray")
        with (out / "scores.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                self._scores[Path(row["path"]).name] = [float(row[name]) for name in self._findings()]
        return Film(cost)

    def ray_data(self, films: list[Path], arrangement: str) -> Film:
        out = self._fresh("ray-data")
        script = Path(__file__).parent / "parts" / "ray_data.py"
        command = [sys.executable, str(script), arrangement, MODEL, str(out), *map(str, films)]
        cost = run(command)
        result = json.loads((out / "result.json").read_text(encoding="utf-8"))
        if len(result["probabilities"]) != len(films):
            raise SystemExit(f"Ray Data gave {len(result['probabilities'])} of {len(films)} films.")
        self._found.append(result["probabilities"])
        return Film(cost, result["stored"])

    @property
    def difference(self) -> float:
        """The largest between what Ray Data found, however arranged, and ours. NaN counts as largest."""
        return float(
            np.max([
                np.max(np.abs(np.subtract(values, self._scores[name])))
                for found in self._found
                for name, values in found.items()
            ])
        )  # fmt: skip

    def _findings(self) -> list[str]:
        from cxrbatch.bundles.bundle import open_bundle

        return list(open_bundle(MODEL).card.findings)

    def _fresh(self, name: str) -> Path:
        shutil.rmtree(self._folder / name, ignore_errors=True)
        return self._folder / name


if __name__ == "__main__":
    main()
