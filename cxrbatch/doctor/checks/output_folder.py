"""The folder that runs are written to: may it be written, do locks and SQLite work there, is there room?"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem, warning

GIB = 2**30
TOO_LITTLE, LITTLE = 1 * GIB, 10 * GIB


def check(subject: Subject) -> Outcome:
    """Write, sync, rename, lock, and keep a database in the nearest folder that exists."""
    folder = nearest_folder(subject.out)
    try:
        with tempfile.TemporaryDirectory(prefix=".cxrbatch-doctor-", dir=folder) as name:
            _write_and_rename(Path(name))
            fault, unlocked = _database(Path(name)), _lock(Path(name))
    except OSError as error:
        return problem(
            f"{folder} cannot be written ({error.strerror})",
            f"Give user {_user()} write permission there, or choose another --out.",
        )
    if fault:
        return problem(f"{folder}: {fault}", "Give a folder on a local disk; many network shares lack this.")
    if unlocked:
        return warning(f"{folder}: {unlocked}", "Take care that no two runs share a run folder there.")
    return _room(folder)


def nearest_folder(path: Path) -> Path:
    """`path` itself, or the nearest folder above it that exists: a run folder is made when it is needed."""
    path = path.absolute()
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))


def _write_and_rename(folder: Path) -> None:
    draft = folder / "draft"
    with draft.open("wb") as file:
        file.write(b"cxrbatch")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / "final")


def _lock(folder: Path) -> str:
    """As a run holds its folder (ledger/lease.py): a lock on the folder itself, gone when the process is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return f"folders cannot be locked ({error.strerror})"
    finally:
        os.close(descriptor)
    return ""


def _database(folder: Path) -> str:
    try:
        connection = sqlite3.connect(folder / "ledger.db")
        try:
            connection.execute("PRAGMA journal_mode = DELETE")  # as the ledger's own (ledger/schema.py)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("CREATE TABLE studies (key TEXT)")
            connection.commit()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return f"SQLite does not work there ({error})"
    return ""


def _room(folder: Path) -> Outcome:
    free = shutil.disk_usage(folder).free
    message = f"{folder} can be written, {free / GIB:.1f} GiB free"
    if free < TOO_LITTLE:
        return problem(message, "Free some space: a night needs more.")
    if free < LITTLE:
        return warning(message, "Keep 10 GiB free, and remove old run folders.")
    status = os.statvfs(folder)
    if status.f_files and status.f_favail < 100_000:
        return warning(
            f"{message}, but only {status.f_favail:,} more files fit",
            "Remove old run folders: each holds many files.",
        )
    return ok(message)


def _user() -> str:
    return os.environ.get("USER") or str(os.getuid())
