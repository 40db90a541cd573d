"""What runs on the nodes: a station that scores films, and one that carries out tasks.

Both do their work in processes of their own, as on one machine, so that what crashes or hangs there costs
no more than there. What goes wrong is returned and never raised: Ray keeps the text of exceptions in its logs
and events, where patient data has no place. For the same reason nothing is printed.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.pipeline.decoder_pool import FilmFile
from cxrbatch.scoring.engine import Outcome, ScoredFilm, ScoringPlan
from cxrbatch.scoring.prediction import B, Prediction, Predictor
from cxrbatch.workers import WorkerPool


@dataclass(frozen=True, slots=True)
class House:
    """How a process is to be set up: what the driver's is."""

    umask: int
    preload: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """Films that were scored, and the seconds for which each stage was waited for on the way."""

    outcomes: list[Outcome]
    seconds: dict[str, float]


class TaskStation:
    """A pool of processes on a node."""

    def __init__(
        self,
        house: House,
        workers: int,
        initializer: Callable[..., object] | None,
        max_tasks: int | None,
    ) -> None:
        _settle_in(house)
        self._pool = WorkerPool(workers, initializer=initializer, max_tasks=max_tasks)

    def hello(self) -> tuple[bool, Any]:
        return True, None

    def work(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], timeout: float
    ) -> tuple[bool, Any]:
        try:
            return True, self._pool.submit(function, *arguments, timeout=timeout).result()
        except Exception as error:
            return False, _portable(error)


class ScoringStation:
    """A model, and the decoding processes that feed it."""

    def __init__(self, house: House, plan: ScoringPlan, workers: int) -> None:
        _settle_in(house)
        self._plan = plan
        self._workers = workers
        self._clock = _Clock()

    def hello(self) -> tuple[bool, Any]:
        """Load the model; gives the arithmetic."""
        try:
            from cxrbatch.scoring.local_scorer import LocalScorer
            from cxrbatch.scoring.predictor import load_predictor

            plan, bundle = self._plan, open_bundle(self._plan.model)
            predictor = load_predictor(
                bundle, plan.runtime, plan.batch_size, plan.threads, plan.mixed_precision, plan.processors
            )
            watched = _Watched(predictor, self._clock)
            timed = replace(plan, keep=_Timed(plan.keep, self._clock, "storing"))
            self._scorer = LocalScorer.of(watched, bundle.card.input, timed, self._workers)
            return True, self._scorer.arithmetic
        except Exception as error:
            return False, _portable(error)

    def work(self, films: tuple[FilmFile, ...]) -> tuple[bool, Any]:
        """Two calls at once are meant: the films of one are decoded while those of the other are scored."""
        try:
            with self._clock.measured("work"):
                outcomes = list(self._scorer.score(films))
            return True, Scored(outcomes, self._clock.take())
        except Exception as error:
            return False, _portable(error)


class _Watched:
    """A predictor whose passes are waited for by the clock; films are not, which it waits for on the way."""

    def __init__(self, predictor: Predictor, clock: _Clock) -> None:
        self._predictor = predictor
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def predict(self, batches: Iterable[B]) -> Iterator[tuple[B, Prediction]]:
        predictions = self._predictor.predict(self._fed(batches))
        while True:
            with self._clock.measured("scoring"):
                found = next(predictions, None)
            if found is None:
                return
            yield found

    def _fed(self, batches: Iterable[B]) -> Iterator[B]:
        remaining = iter(batches)
        while True:
            with self._clock.measured("scoring", by=-1):
                batch = next(remaining, None)
            if batch is None:
                return
            yield batch


@dataclass(frozen=True, slots=True)
class _Timed:
    keep: Callable[[ScoredFilm], ScoredFilm]
    clock: _Clock
    stage: str

    def __call__(self, film: ScoredFilm) -> ScoredFilm:
        with self.clock.measured(self.stage):
            return self.keep(film)


class _Clock:
    """Seconds for which a stage was waited for by somebody. As long as there is work, and neither model nor
    disk is waited for, films are.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = {"decoding": 0.0, "scoring": 0.0, "storing": 0.0}
        self._waiting = {"work": 0, "scoring": 0, "storing": 0}
        self._since = time.monotonic()

    @contextmanager
    def measured(self, stage: str, by: int = 1) -> Iterator[None]:
        """So many more wait for this stage; ``work`` is what films wait for."""
        self._change(stage, by)
        try:
            yield
        finally:
            self._change(stage, -by)

    def take(self) -> dict[str, float]:
        """Seconds since the last call."""
        with self._lock:
            taken = dict(self._seconds)
            self._seconds = dict.fromkeys(taken, 0.0)
        return taken

    def _change(self, stage: str, by: int) -> None:
        with self._lock:
            now = time.monotonic()
            stages = [stage for stage in ("scoring", "storing") if self._waiting[stage]]
            if not stages and self._waiting["work"]:
                stages = ["decoding"]
            for each in stages:
                self._seconds[each] += now - self._since
            self._since = now
            self._waiting[stage] += by


def _settle_in(house: House) -> None:
    """Make an actor's process what a run's own is."""
    os.umask(house.umask)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # Ray keeps both in files, and libraries may print what they read
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())
    os.environ["PYTHONWARNINGS"] = "ignore"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.pop("OMP_NUM_THREADS", None)  # Ray's guess; how many threads there are is the run's to say
    # Processes that are started from here would import Ray's worker as their main module.
    sys.modules["__main__"].__file__ = None
    multiprocessing.set_forkserver_preload(list(house.preload))


def _portable(error: Exception) -> Exception:
    """An error as it may travel: without its trace, and of a kind that can be pickled."""
    import pickle

    bare = error.with_traceback(None)
    bare.__cause__ = bare.__context__ = None
    try:
        pickle.loads(pickle.dumps(bare))  # noqa: S301 (our own bytes)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return bare
