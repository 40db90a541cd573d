"""What a command cost: wall time, and the processor time of all processes that it started."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall time, and of processor time (user and system, of every process)."""

    wall: float = 0.0
    cpu: float = 0.0

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)

    def __truediv__(self, count: float) -> Cost:
        return Cost(self.wall / count, self.cpu / count)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def score(*arguments: str | os.PathLike[str], allowed: Sequence[int] = (0,)) -> Cost:
    """``cxrbatch score`` with these arguments, in processes of its own; exits with its words if it fails."""
    return run([sys.executable, "-m", "cxrbatch", "score", *map(os.fspath, arguments)], allowed)


def run(command: Sequence[str], allowed: Sequence[int] = (0,)) -> Cost:
    """Run a command, and wait for its orphans too: workers outlive the process that started them by a moment.

    They become children of this process (``prctl(2)``, PR_SET_CHILD_SUBREAPER), so that their time counts.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before, begun = _children(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    messages = process.stderr.read().decode(errors="replace")
    code = process.wait()
    wall = time.perf_counter() - begun
    if code not in allowed:
        raise SystemExit(f"{' '.join(command[:4])} ended with status {code}:\n{messages}")
    _wait_for_orphans()
    return Cost(wall, _children() - before)


@contextmanager
def measured() -> Iterator[list[Cost]]:
    """The cost of the block, this process and its children, as the one item of the list."""
    result: list[Cost] = []
    before, begun = _own() + _children(), time.perf_counter()
    yield result
    wall = time.perf_counter() - begun
    result.append(Cost(wall, _own() + _children() - before))


def _wait_for_orphans() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _own() -> float:
    return _seconds(resource.RUSAGE_SELF)


def _children() -> float:
    return _seconds(resource.RUSAGE_CHILDREN)


def _seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime
