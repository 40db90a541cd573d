"""Films in order to many scorers, and their outcomes in the same order back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any

from cxrbatch.intake.reasons import Reason
from cxrbatch.pipeline.decoder_pool import FailedFilm, FilmFile
from cxrbatch.pipeline.decoding import UndecodedFilm
from cxrbatch.scoring.engine import EngineLostError, Outcome
from cxrbatch.scoring.on_ray.foreman import Foreman
from cxrbatch.scoring.on_ray.work import Work
from cxrbatch.workers import WorkerDiedError

AT_ONCE = 2
"""Parcels in the hands of a scorer: while one is scored the next is decoded."""
PARCEL_SECONDS = 5.0
"""What a parcel should take from here to here: TensorFlow needs 0.1 s of a processor to begin one."""
SMALLEST, LARGEST = 4, 512
"""Films of a parcel, but for the last."""
AHEAD_PER_SCORER = 512
"""Films whose outcomes are waited for, or wait themselves for one before them: bounds memory."""


class Parcel:
    """Films that travel together. `outcomes` is None as long as they are under way; of one that is
    `suspected` a scorer has died."""

    def __init__(self, films: tuple[FilmFile, ...], *, suspected: bool = False) -> None:
        self.films = films
        self.suspected = suspected
        self.outcomes: list[Outcome] | None = None


class RayScorer:
    """See `cxrbatch.scoring.engine.Scorer`."""

    def __init__(
        self,
        foreman: Foreman,
        arithmetic: dict[str, Any],
        work: Work,
        decode_timeout: float,
        stopping: Callable[[], bool] = bool,
    ) -> None:
        self._foreman = foreman
        self._work = work
        self._stopping = stopping
        self._decode_timeout = decode_timeout
        self._arrived: SimpleQueue[tuple[Parcel, Future]] = SimpleQueue()
        self.arithmetic = arithmetic

    def score(self, films: Iterable[FilmFile]) -> Iterator[Outcome]:
        parcels = self._cut(films)
        waiting: deque[Parcel] = deque()
        under_way = outstanding = 0
        more = True
        while True:
            while more and under_way < self._hands and outstanding < self._ahead:
                parcel = next(parcels, None)
                if parcel is None:
                    more = False
                    break
                waiting.append(parcel)
                self._send(parcel)
                under_way, outstanding = under_way + 1, outstanding + len(parcel.films)
            while waiting and waiting[0].outcomes is not None:
                done = waiting.popleft()
                outstanding -= len(done.films)
                begun = time.monotonic()
                yield from done.outcomes or ()
                self._work.committed(time.monotonic() - begun)
            if not waiting and not more:
                return
            under_way += self._receive(waiting)

    def close(self) -> None:
        self._foreman.close()

    @property
    def _hands(self) -> int:
        """Parcels that may be under way: one more than scorers take, so that none waits for this thread."""
        return max(1, self._foreman.ready) * AT_ONCE + 1

    @property
    def _ahead(self) -> int:
        return max(1, self._foreman.ready) * AHEAD_PER_SCORER

    def _cut(self, films: Iterable[FilmFile]) -> Iterator[Parcel]:
        """Films in parcels, smaller ones towards the end, so that all scorers end at the same time. A batch
        is never cut, since its films are computed together.
        """
        batch_size = int(self.arithmetic["batch_size"])
        batches = (list(group) for _, group in groupby(films, key=lambda film: film.ordinal // batch_size))
        ahead: deque[list[FilmFile]] = deque()
        known = 0
        while True:
            usual = self._work.films_in(PARCEL_SECONDS, SMALLEST, LARGEST)
            while known < usual * self._hands and (batch := next(batches, None)) is not None:
                ahead.append(batch)
                known += len(batch)
            if not ahead:
                return
            size = max(SMALLEST, min(usual, known // self._hands))
            parcel: list[FilmFile] = []
            while ahead and len(parcel) < size:
                parcel += ahead.popleft()
            known -= len(parcel)
            yield Parcel(tuple(parcel))

    def _send(self, parcel: Parcel, *, alone: bool = False) -> None:
        # Decoders are stopped by their own clock; this one is for a scorer that hangs.
        limit = 600.0 + len(parcel.films) * (self._decode_timeout + 10.0)
        future = self._foreman.submit(parcel.films, limit=limit, lives=1, alone=alone)
        future.add_done_callback(lambda done: self._arrived.put((parcel, done)))

    def _receive(self, waiting: deque[Parcel]) -> int:
        """Wait a moment for a parcel; says by how many those under way have become more."""
        try:
            parcel, done = self._arrived.get(timeout=1.0)
        except Empty:
            if self._stopping():
                raise EngineLostError("Stopped while films were being scored.") from None
            return 0
        try:
            parcel.outcomes = done.result().outcomes
        except WorkerDiedError:
            return self._after_death(parcel, waiting)
        except CancelledError as error:
            raise EngineLostError("The Ray cluster was left before the films were scored.") from error
        return -1

    def _after_death(self, parcel: Parcel, waiting: deque[Parcel]) -> int:
        """A scorer died with these films. Each is given to one that has nothing else in its hands; a film of
        which that one dies too is not tried again.
        """
        if len(parcel.films) == 1 and parcel.suspected:
            detail = "Two scoring processes died of this file, the second with nothing else to do."
            parcel.outcomes = [FailedFilm(parcel.films[0], UndecodedFilm(Reason.DECODER_CRASHED, detail))]
            return -1
        singles = [Parcel((film,), suspected=True) for film in parcel.films]
        place = waiting.index(parcel)
        waiting.remove(parcel)
        for offset, single in enumerate(singles):
            waiting.insert(place + offset, single)
            self._send(single, alone=True)
        return len(singles) - 1
