"""Main memory, locks shared between processes, and the folder for temporary files."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from pathlib import Path

from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem, warning

GIB = 2**30


def check(subject: Subject) -> Outcome:
    """Processes can share a lock, 4 GiB are available."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except OSError as error:
        return problem(
            f"processes cannot share a lock ({error.strerror})", "Mount /dev/shm, writable for all (1777)."
        )
    temporary = Path(tempfile.gettempdir())
    available, free = _available(), shutil.disk_usage(temporary).free
    message = (
        f"{available / GIB:.1f} GiB available, {free / GIB:.1f} GiB free for temporary files in {temporary}"
    )
    if available < 4 * GIB:
        return warning(message, "Keep 4 GiB of memory free, or run with --workers 1.")
    if free < GIB // 2:
        return warning(message, "Free some space there, or set TMPDIR to a larger folder.")
    return ok(message)


def _available() -> int:
    """Bytes that can be had without swapping (proc(5), MemAvailable), or what the container still allows."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    kibibytes = next(line.split()[1] for line in text.splitlines() if line.startswith("MemAvailable:"))
    return min(int(kibibytes) * 1024, _container_allows())


def _container_allows() -> int:
    """The rest of the control group's limit (cgroup v2, memory.max and memory.current)."""
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return 2**63
    return 2**63 if limit == "max" else max(0, int(limit) - int(used))
