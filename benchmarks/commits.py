"""How many results a second can one driver take from a cluster and commit? The writer is alone, and a limit.

    python benchmarks/commits.py [FILMS]

A night whose engine is stood in for: outcomes arrive pickled in parcels, as from a cluster, and every report
is printed at once; all the rest is as ever: order, duplicates, the ledger with its commits, studies, reports.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from parts.figures import Figure, conclude
from PIL import Image

from cxrbatch import night
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.pipeline.decoder_pool import FilmFile
from cxrbatch.pipeline.decoding import DecodedFilm
from cxrbatch.reporting.study_report import render_study
from cxrbatch.request import Request
from cxrbatch.scoring.engine import Outcome, ScoredFilm, ScoringPlan

PARCEL = 32


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds on the wall and of this process's processors."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Clocks:
        return cls(time.perf_counter(), time.process_time())

    def __add__(self, other: Clocks) -> Clocks:
        return Clocks(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Clocks) -> Clocks:
        return Clocks(self.wall - other.wall, self.cpu - other.cpu)


class InstantEngine:
    """An engine without work: what a night costs its driver is all that is left."""

    status = ""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    def pool(self, **_: object) -> InstantPool:
        return InstantPool()

    def scorer(self, bundle: Bundle, _: ScoringPlan) -> InstantScorer:
        return InstantScorer(len(bundle.card.findings), self)

    def account(self) -> dict[str, Any]:
        return {"name": "instant"}

    def close(self) -> None:
        pass


class InstantPool:
    """Reports are printed as soon as they are asked for; headers are really read."""

    def submit(self, function: Callable[..., Any], *arguments: Any, timeout: float) -> Future:
        future: Future = Future()
        future.set_result(None if function is render_study else function(*arguments))
        return future

    def close(self) -> None:
        pass


class InstantScorer:
    def __init__(self, findings: int, engine: InstantEngine) -> None:
        self._findings = findings
        self._engine = engine
        self.arithmetic = {"runtime": "none", "threads": 1, "batch_size": 1, "precision": "float32"}

    def score(self, films: Iterable[FilmFile]) -> Iterator[Outcome]:
        remaining = iter(films)
        begun, others = Clocks.now(), Clocks(0.0, 0.0)
        while batch := list(islice(remaining, PARCEL)):
            making = Clocks.now()
            arrived = pickle.dumps([self._outcome(film) for film in batch])
            others += Clocks.now() - making
            yield from pickle.loads(arrived)  # noqa: S301 (our own bytes)
        spent = Clocks.now() - begun - others
        self._engine.seconds, self._engine.cpu_seconds = spent.wall, spent.cpu

    def _outcome(self, film: FilmFile) -> ScoredFilm:
        random = np.random.default_rng(film.ordinal)
        digest = f"{film.ordinal:064x}"
        decoded = DecodedFilm(2000, 1800, digest, digest, b"", ())
        return ScoredFilm(film, decoded, random.random(self._findings, np.float32), None, has_maps=True)

    def close(self) -> None:
        pass


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    engine = InstantEngine()
    night.open_engine = lambda *_: engine  # type: ignore[assignment]
    with TemporaryDirectory(prefix="cxrbatch-commits-") as name:
        inbox = Path(name, "inbox")
        inbox.mkdir()
        film = inbox / "000000.png"
        Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(film)
        for number in range(1, count):
            os.link(film, inbox / f"{number:06}.png")
        summary = night.score(Request(inputs=(str(inbox),), out=Path(name, "run")))
        if summary.exit_code:
            raise SystemExit(summary.message)
    conclude(
        [
            Figure("results a second that one driver commits", count / engine.seconds, "/s", at_least=2000),
            Figure("the same, a second of its processor's time", count / engine.cpu_seconds, "/s"),
        ]
    )


if __name__ == "__main__":
    main()
