"""One run at a time in a folder: a lease with a heartbeat, so that it holds on a network share too.

On one machine the kernel's lock on the folder decides, and a dead process holds nothing. From another
machine, where such a lock may not be seen, the lease counts as held while its file keeps being touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from cxrbatch.ledger.atomic import write_atomic

HEARTBEAT_SECONDS = 20.0
STALE_SECONDS = 90.0
LEASE = "lease.json"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who works in a run folder. `since` is ISO 8601."""

    host: str
    pid: int
    since: str


class FolderHeldError(Exception):
    """Another run holds this folder (exit code 4)."""

    def __init__(self, folder: Path, holder: Holder | None) -> None:
        who = (
            "another process" if holder is None else f"{holder.host}, pid {holder.pid}, since {holder.since}"
        )
        super().__init__(f"Another run holds {folder}: {who}. Wait for it, or choose another --out.")
        self.holder = holder


class Lease:
    """Held from `take` to `release`, or until the process dies."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self._path = folder / LEASE
        self._descriptor = descriptor
        self._done = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._heart.start()

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Take the lease on `folder`.

        Raises:
            FolderHeldError: a living run has it.
        """
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _lock(descriptor)
        except BlockingIOError as error:
            os.close(descriptor)
            raise FolderHeldError(folder, _read(folder / LEASE)) from error
        holder = _read(folder / LEASE)
        if holder is not None and holder.host != socket.gethostname() and _is_fresh(folder / LEASE):
            os.close(descriptor)
            raise FolderHeldError(folder, holder)
        mine = Holder(socket.gethostname(), os.getpid(), time.strftime("%Y-%m-%dT%H:%M:%S%z"))
        write_atomic(folder / LEASE, json.dumps(asdict(mine)).encode())
        return cls(folder, descriptor)

    def release(self) -> None:
        self._done.set()
        self._heart.join()
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT_SECONDS):
            with suppress(OSError):  # a share that hiccups: the next beat may succeed
                os.utime(self._path)


def _lock(descriptor: int) -> None:
    """Lock the folder; file systems without locks pass (the heartbeat remains), a held lock does not.

    Raises:
        BlockingIOError: a process on this machine holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return


def _is_fresh(lease: Path) -> bool:
    """Touched lately, by the clock of the file system itself: the two machines' clocks may differ."""
    probe = lease.with_name(f"{LEASE}.{os.getpid()}")
    try:
        probe.touch()
        now = probe.stat().st_mtime
        return now - lease.stat().st_mtime < STALE_SECONDS
    except OSError:
        return True
    finally:
        probe.unlink(missing_ok=True)


def _read(lease: Path) -> Holder | None:
    try:
        return Holder(**json.loads(lease.read_text()))
    except (OSError, ValueError, TypeError):
        return None
