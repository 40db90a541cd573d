"""Files that are either whole or not there: written beside their place, flushed to disk, renamed."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

TEMPORARY_MARK = ".cxrbatch-tmp-"
"""In the name of every file that is being written; what a crash leaves of them is swept on the next start."""


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `data` to `path` so that a reader or a crash sees the old file or the new one, never half.

    With `durable` the bytes and the new name are on disk when this returns. Without it they may still
    be in the system's cache: for what can be made again from the ledger.

    Raises:
        OSError: the disk is full, the folder is missing or read-only.
    """
    temporary = path.with_name(f"{TEMPORARY_MARK}{secrets.token_hex(6)}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on disk; some network file systems cannot, and keep their own promise."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_temporaries(folder: Path) -> int:
    """Remove what a killed run left half written below `folder`; says how many files."""
    swept = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(TEMPORARY_MARK):
                Path(parent, name).unlink(missing_ok=True)
                swept += 1
    return swept
