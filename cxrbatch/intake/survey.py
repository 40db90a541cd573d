"""Inspecting many files: in this process when they are few, in several when they are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cxrbatch.intake.inspect import inspect
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import Candidate, Ignored, Rejection, SourceFile
from cxrbatch.workers import Executor, OpenPool, WorkerDiedError

FEW = 200
"""Below this number starting processes takes longer than it saves."""
CHUNK = 32
"""Files that a process is given at once."""
HEADER_TIMEOUT = 60.0
"""Seconds after which reading one header counts as hanging, on a share that does not answer, say."""


def survey(sources: Sequence[SourceFile], open_pool: OpenPool) -> Iterator[Candidate | Rejection | Ignored]:
    """What each file is, in the order given. Only headers are read."""
    if len(sources) < FEW:
        yield from map(inspect, sources)
        return
    chunks = [sources[start : start + CHUNK] for start in range(0, len(sources), CHUNK)]
    pool = open_pool()
    try:
        futures = [pool.submit(_inspect_all, chunk, timeout=HEADER_TIMEOUT * len(chunk)) for chunk in chunks]
        for chunk, future in zip(chunks, futures, strict=True):
            try:
                results = future.result()
            except (TimeoutError, WorkerDiedError):
                results = [_alone(source, pool) for source in chunk]
            yield from results
    finally:
        pool.close()


def _inspect_all(sources: Sequence[SourceFile]) -> list[Candidate | Rejection | Ignored]:
    return [inspect(source) for source in sources]


def _alone(source: SourceFile, pool: Executor) -> Candidate | Rejection | Ignored:
    """One of the files of a chunk of which one is poison."""
    try:
        (result,) = pool.submit(_inspect_all, [source], timeout=HEADER_TIMEOUT).result()
    except TimeoutError:
        detail = f"Reading the header did not end within {HEADER_TIMEOUT:g} s: check the disk or share."
        return Rejection(source, Reason.UNREADABLE, detail)
    except WorkerDiedError as error:
        detail = f"Reading the header crashed (exit code {error.exitcode})."
        return Rejection(source, Reason.DECODER_CRASHED, detail)
    return result
