"""Order, parcels and blame of the distributed scorer, with a crew that is stood in for."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.decoder_pool import FailedFilm, FilmFile
from cxrbatch.pipeline.decoding import DecodedFilm
from cxrbatch.scoring.engine import EngineLostError, ScoredFilm
from cxrbatch.workers import WorkerDiedError

pytestmark = pytest.mark.ray
DECODED = DecodedFilm(8, 8, "f", "p", b"", ())


def film(ordinal: int) -> FilmFile:
    return FilmFile(ordinal, f"/films/{ordinal}.png", FileKind.PNG, 8, 8)


class Crew:
    """Settles what it is handed in an order drawn by chance; `deadly` films kill whoever has them."""

    def __init__(self, seed: int, ready: int, deadly: frozenset[int] = frozenset()) -> None:
        self.ready = ready
        self._random = random.Random(seed)
        self._deadly = deadly
        self._jobs: list[tuple[tuple[FilmFile, ...], bool, Future]] = []
        self.handed: list[tuple[int, ...]] = []
        self.most = 0
        self._lock = threading.Lock()

    def submit(self, films: tuple[FilmFile, ...], *, limit: float, lives: int, alone: bool = False) -> Future:
        assert lives == 1
        assert limit > 60.0 * len(films)
        future: Future = Future()
        self.handed.append(tuple(one.ordinal for one in films))
        with self._lock:
            self._jobs.append((films, alone, future))
            self.most = max(self.most, len(self._jobs))
        threading.Timer(0.001 * self._random.random(), self._settle_one).start()
        return future

    def _settle_one(self) -> None:
        from cxrbatch.scoring.on_ray.stations import Scored

        with self._lock:
            films, _, future = self._jobs.pop(self._random.randrange(len(self._jobs)))
        if any(one.ordinal in self._deadly for one in films):
            future.set_exception(WorkerDiedError(None))
        else:
            outcomes = [ScoredFilm(one, DECODED, np.zeros(1, np.float32), None) for one in films]
            future.set_result(Scored(outcomes, {}))

    def close(self) -> None:
        pass


def scorer(crew: Any, batch_size: int = 1) -> Any:
    from cxrbatch.scoring.on_ray.scorer import RayScorer
    from cxrbatch.scoring.on_ray.work import Work

    return RayScorer(crew, {"batch_size": batch_size}, Work(), 60.0)


@settings(max_examples=25, deadline=None)
@given(
    ordinals=st.sets(st.integers(0, 300), max_size=80),
    batch_size=st.integers(1, 9),
    ready=st.integers(1, 5),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_every_film_once_and_in_order(
    ordinals: set[int], batch_size: int, ready: int, seed: int, data: st.DataObject
) -> None:
    some = st.sets(st.sampled_from(sorted(ordinals)), max_size=3) if ordinals else st.just(set())
    deadly = frozenset(data.draw(some))
    crew = Crew(seed, ready, deadly)
    outcomes = list(scorer(crew, batch_size).score(map(film, sorted(ordinals))))
    assert [outcome.file.ordinal for outcome in outcomes] == sorted(ordinals)
    failed = {o.file.ordinal: o.failure.reason for o in outcomes if isinstance(o, FailedFilm)}
    assert failed == dict.fromkeys(deadly, Reason.DECODER_CRASHED)
    for ordinal in deadly:  # once among others (or as the only one of its parcel), once alone
        parcels = [handed for handed in crew.handed if ordinal in handed]
        assert len(parcels) == 2
        assert parcels[-1] == (ordinal,)
    first_way = [set(handed) for handed in crew.handed if len(handed) > 1]
    for parcel in first_way:  # a batch is never cut
        for ordinal in parcel:
            batch = {other for other in ordinals if other // batch_size == ordinal // batch_size}
            assert batch <= parcel


def test_no_more_under_way_than_scorers_can_take() -> None:
    crew = Crew(1, ready=3)
    assert len(list(scorer(crew).score(map(film, range(400))))) == 400
    assert crew.most <= 3 * 2 + 1


def test_a_film_that_takes_long_does_not_fill_the_memory() -> None:
    """Outcomes behind it are waited for only so far."""
    from cxrbatch.scoring.on_ray import scorer as module

    asked: list[int] = []

    def films() -> Iterator[FilmFile]:
        for ordinal in range(100_000):
            asked.append(ordinal)
            yield film(ordinal)

    held: list[Future] = []

    class FirstHangs(Crew):
        def submit(self, films: tuple[FilmFile, ...], **options: Any) -> Future:
            if films[0].ordinal == 0:
                held.append(Future())
                threading.Timer(0.8, lambda: held[0].set_exception(EngineLostError("gone"))).start()
                return held[0]
            return super().submit(films, **options)

    with pytest.raises(EngineLostError, match="gone"):
        list(scorer(FirstHangs(2, ready=2)).score(films()))
    read_ahead = module.LARGEST * (2 * module.AT_ONCE + 2)
    assert 8 < len(asked) <= 2 * module.AHEAD_PER_SCORER + read_ahead


def test_an_error_of_the_disk_ends_the_scoring() -> None:
    class FullDisk(Crew):
        def submit(self, films: tuple[FilmFile, ...], **options: Any) -> Future:
            future: Future = Future()
            future.set_exception(OSError(28, "No space left on device"))
            return future

    with pytest.raises(OSError, match="No space"):
        list(scorer(FullDisk(0, 1)).score([film(0)]))
