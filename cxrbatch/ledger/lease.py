"""One run at a time in a folder: a lease with a heartbeat, so that it holds on a network share too.

On one machine the kernel's lock on the folder decides, and a dead process holds nothing. From another
machine, or where the file system has no such locks, the lease counts as held while its file keeps being
touched. A run that stood still for so long that another took its folder over notices, and writes no more.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from cxrbatch.ledger.atomic import write_atomic

HEARTBEAT_SECONDS = 20.0
STALE_SECONDS = 90.0
TAKEOVER_SECONDS = 2.0
"""How long a run that took over a lease waits to see whether another did so at the same moment."""
LEASE = "lease.json"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who works in a run folder. `since` is ISO 8601; `boot` is the kernel's name for this start of the
    machine, which containers share and hosts of the same name do not; `token` tells two leases apart."""

    host: str
    pid: int
    since: str
    boot: str = ""
    token: str = ""

    @classmethod
    def this_process(cls) -> Self:
        since = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        return cls(socket.gethostname(), os.getpid(), since, _boot(), secrets.token_hex(8))

    @property
    def is_on_this_machine(self) -> bool:
        return self.boot == _boot() if self.boot else self.host == socket.gethostname()


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

    def __init__(self, folder: Path, descriptor: int, mine: Holder) -> None:
        self._folder = folder
        self._path = folder / LEASE
        self._descriptor = descriptor
        self._mine = mine
        self._is_lost = False
        self._lost_to: Holder | None = None
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
            locks = _lock(folder, descriptor)
            return cls(folder, descriptor, _claim(folder, locks))
        except BaseException:
            os.close(descriptor)
            raise

    def require_held(self) -> None:
        """See `RunFolder.require_held`.

        Raises:
            FolderHeldError: the folder is another's by now, and nothing more may be written to it.
        """
        self._look()  # and do not wait for the next beat: it is one small file, before a commit a second
        if self._is_lost:
            raise FolderHeldError(self._folder, self._lost_to)

    def release(self) -> None:
        self._done.set()
        self._heart.join()
        if _read(self._path) == self._mine:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT_SECONDS):
            self._look()

    def _look(self) -> None:
        """Touch the lease if it is still ours."""
        holder = _read(self._path)
        if holder is not None and holder != self._mine:
            self._is_lost, self._lost_to = True, holder
            return
        try:
            os.utime(self._path)
        except FileNotFoundError:  # taken over, and given back since
            self._is_lost = True
        except OSError:
            return  # a share that hiccups: the next beat may succeed


def _lock(folder: Path, descriptor: int) -> bool:
    """Lock the folder; says whether the file system has locks.

    Raises:
        FolderHeldError: a process on this machine holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FolderHeldError(folder, _read(folder / LEASE)) from error
    except OSError:
        return False
    return True


def _claim(folder: Path, locks: bool) -> Holder:
    """Write ourselves into the lease.

    Raises:
        FolderHeldError: a living run has it, or took it over at the same moment.
    """
    lease, mine = folder / LEASE, Holder.this_process()
    holder = _read(lease)
    if holder is not None and _may_live(holder, locks) and _is_fresh(lease):
        raise FolderHeldError(folder, holder)
    write_atomic(lease, json.dumps(asdict(mine)).encode())
    if not locks or (holder is not None and not holder.is_on_this_machine):
        time.sleep(TAKEOVER_SECONDS)
        if (now := _read(lease)) != mine:
            raise FolderHeldError(folder, now)
    return mine


def _may_live(holder: Holder, locks: bool) -> bool:
    if not holder.is_on_this_machine:
        return True
    return not locks  # with locks we would not have got ours


def _is_fresh(lease: Path) -> bool:
    """Touched lately, by the clock of the file system itself: the two machines' clocks may differ.

    A time in the future is no better than an old one: that clock was set back, and nobody touched it since.
    """
    probe = lease.with_name(f"{LEASE}.{os.getpid()}")
    try:
        probe.touch()
        now = probe.stat().st_mtime
        return abs(now - lease.stat().st_mtime) < STALE_SECONDS
    except OSError:
        return True
    finally:
        probe.unlink(missing_ok=True)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _read(lease: Path) -> Holder | None:
    try:
        return Holder(**json.loads(lease.read_text()))
    except (OSError, ValueError, TypeError):
        return None
