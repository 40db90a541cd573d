"""Inspecting many files: in this process when they are few, in several when they are many."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from cxrbatch.intake.inspect import inspect
from cxrbatch.intake.records import Candidate, Ignored, Rejection, SourceFile

FEW = 200
"""Below this number starting processes takes longer than it saves."""


def survey(sources: Sequence[SourceFile], workers: int) -> Iterator[Candidate | Rejection | Ignored]:
    """What each file is, in the order given. Only headers are read."""
    if workers == 1 or len(sources) < FEW:
        yield from map(inspect, sources)
        return
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(inspect, sources, chunksize=32)
