"""A pool of decoding processes: films come out in the order they went in, a few ahead of the consumer.

A codec that crashes or hangs costs its own worker and its own file, nothing else: the worker is replaced.
"""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cxrbatch.allocator import keep_freed_memory
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.decoding import DecodedFilm, UndecodedFilm, decode_film
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.workers import WorkerDiedError, WorkerPool

DECODE_TIMEOUT = 60.0
"""Seconds after which a decoder counts as hanging."""

ADDRESS_SPACE = 4 << 30
"""Bytes of address space of a decoding process. The largest film that is read at all took 1.2 GiB; a codec
that wants more is refused by the system, and its file is `too_large`."""

AHEAD_PER_WORKER = 3
"""Films in work or waiting for the consumer, per worker: bounds the memory whatever the size of the night."""


LeastSize = Callable[[int, int], tuple[int, int]]
"""(rows, columns) of a film -> the least (rows, columns) at which it may be decoded."""


@dataclass(frozen=True, slots=True)
class FilmFile:
    """A file to decode; `rows` and `columns` are those of its header. `ordinal` numbers it in the run.

    `shelf_mark` is where in the run folder what is kept of it goes, less the suffix; with `hidden` its
    picture is not kept.
    """

    ordinal: int
    path: str
    kind: FileKind
    rows: int
    columns: int
    shelf_mark: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Film:
    """A decoded film: `grey` is float32 (height, width) in [0, 1], fitted to a network's input (`fit_film`);
    and what else decoding found."""

    file: FilmFile
    grey: NDArray[np.float32]
    decoded: DecodedFilm


@dataclass(frozen=True, slots=True)
class FailedFilm:
    """A film that could not be decoded."""

    file: FilmFile
    failure: UndecodedFilm


class DecoderPool:
    """Worker processes that decode films and fit them to the input of `spec`; `close` ends them."""

    def __init__(
        self,
        workers: int,
        spec: InputSpec,
        timeout: float = DECODE_TIMEOUT,
        least_size: LeastSize | None = None,
    ) -> None:
        """`least_size` tells how small a film may be decoded, by its own size; None: in full, always."""
        self._ahead = max(2, workers * AHEAD_PER_WORKER)
        self._spec = spec
        self._timeout = timeout
        self._least_size = least_size
        self._closing = False
        self._pool = WorkerPool(workers, initializer=settle, initargs=(ADDRESS_SPACE,))

    def close(self) -> None:
        """End the workers, whatever they are doing; `decode` ends after the films it has."""
        self._closing = True
        self._pool.close()

    def decode(self, files: Iterable[FilmFile]) -> Iterator[Film | FailedFilm]:
        """Decode `files`, in order. Abandoning the iterator is allowed: what is in work is dropped."""
        waiting: deque[tuple[FilmFile, Future]] = deque()
        try:
            for file in files:
                if self._closing:
                    return
                waiting.append(self._start(file))
                if len(waiting) >= self._ahead:
                    yield self._finish(*waiting.popleft())
            while waiting and not self._closing:
                yield self._finish(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()

    def _start(self, file: FilmFile) -> tuple[FilmFile, Future]:
        least = None if self._least_size is None else self._least_size(file.rows, file.columns)
        arguments = (file.path, file.kind, file.rows * file.columns, self._spec, least)
        return file, self._pool.submit(decode_film, *arguments, timeout=self._timeout)

    def _finish(self, file: FilmFile, future: Future) -> Film | FailedFilm:
        result = self._outcome(future)
        if isinstance(result, UndecodedFilm):
            return FailedFilm(file, result)
        decoded, grey = result
        return Film(file, grey, decoded)

    def _outcome(self, future: Future) -> tuple[DecodedFilm, NDArray[np.float32]] | UndecodedFilm:
        try:
            return future.result()
        except TimeoutError:
            detail = f"Decoding did not end within {self._timeout:g} s and was stopped."
            return UndecodedFilm(Reason.DECODE_TIMEOUT, detail)
        except WorkerDiedError as error:
            detail = f"The decoder crashed on this file (exit code {error.exitcode})."
            return UndecodedFilm(Reason.DECODER_CRASHED, detail)
        except MemoryError:
            return UndecodedFilm(Reason.TOO_LARGE, "Decoding needs more memory than a decoder may have.")
        except Exception as error:  # a defect of ours or of a library: it must not cost the rest of the night
            return UndecodedFilm(Reason.DECODE_FAILED, f"Unexpected {type(error).__name__} while decoding.")


def settle(address_space: int) -> None:
    """In a worker: what a decoder asks for beyond this many bytes is refused, and the machine lives on; what
    one film took is kept for the next. Arithmetic has one thread: the processes share the processors, and
    films are fitted in the same order of operations whatever their number."""
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold a patient's film
    keep_freed_memory()
    threadpool_limits(1)
