"""What a command cost: wall time, and the processor time of all processes that it started."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

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


def score(
    *arguments: str | os.PathLike[str], allowed: Sequence[int] = (0,), since: Callable[[], bool] | None = None
) -> Cost:
    """``cxrbatch score`` with these arguments, in processes of its own; exits with its words if it fails."""
    return run([sys.executable, "-m", "cxrbatch", "score", *map(os.fspath, arguments)], allowed, since)


def run(
    command: Sequence[str], allowed: Sequence[int] = (0,), since: Callable[[], bool] | None = None
) -> Cost:
    """Run a command, and wait for its orphans too: workers outlive the process that started them by a moment.

    They become children of this process meanwhile, so that their time counts. What came before `since` first
    says yes is left out; it is asked every 20 ms. Exits if it never does: a cost with the start in it would
    look like any other.
    """
    with _adopting_orphans(), TemporaryFile() as messages:
        before, begun = _children(), time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=messages)
        counts = since is None
        while since is not None and not counts and process.poll() is None:
            if since():
                before, begun, counts = _children() + _living(), time.perf_counter(), True
            time.sleep(0.02)
        code = process.wait()
        wall = time.perf_counter() - begun
        if code not in allowed:
            messages.seek(0)
            said = messages.read().decode(errors="replace")
            raise SystemExit(f"{' '.join(command[:4])} ended with status {code}:\n{said}")
        if not counts:
            raise SystemExit(f"{' '.join(command[:4])} ended before what was to be measured began.")
    return Cost(wall, _children() - before)


@contextmanager
def measured() -> Iterator[list[Cost]]:
    """The cost of the block, this process and its children, as the one item of the list."""
    result: list[Cost] = []
    before, begun = _own() + _children(), time.perf_counter()
    yield result
    wall = time.perf_counter() - begun
    result.append(Cost(wall, _own() + _children() - before))


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    """``prctl(2)``, PR_SET_CHILD_SUBREAPER; whoever was adopted has ended after the block."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _own() -> float:
    return _seconds(resource.RUSAGE_SELF)


def _children() -> float:
    return _seconds(resource.RUSAGE_CHILDREN)


def _living() -> float:
    """Processor seconds of all processes below this one so far, and of their children that have ended."""
    parents, seconds = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # ended just now
                numbers = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[folder.name] = numbers[1]
                seconds[folder.name] = sum(map(int, numbers[11:15])) / os.sysconf("SC_CLK_TCK")
    below = {str(os.getpid())}
    while new := {one for one, parent in parents.items() if parent in below} - below:
        below |= new
    return sum(seconds[one] for one in below - {str(os.getpid())})


def _seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime
