"""What a full disk and other trouble with a file looks like, and the one sentence it becomes."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxrbatch.training.records import BrokenOffError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(path: Path, what: str) -> Iterator[None]:
    """Within the block `path` is written; what goes wrong becomes a sentence.

    h5py reports a full disk as OSError, RuntimeError or ValueError, sometimes with the number only in its
    text and sometimes while the file is being closed.

    Raises:
        BrokenOffError: the disk is full, or the file cannot be written; what was written before stays.
    """
    try:
        yield
    except Exception as error:
        if is_full(error):
            free = shutil.disk_usage(_existing(path)).free / 1e6
            raise BrokenOffError(
                f"The disk is full ({free:,.0f} MB free): {what} could not be written to {path}. What was "
                "trained up to the last finished epoch is kept. Free some space and start the same command "
                "again to go on from there."
            ) from error
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise BrokenOffError(
                f"{what[0].upper()}{what[1:]} could not be written to {path}: {reason}. What was trained up "
                "to the last finished epoch is kept; mend this and start the same command again."
            ) from error
        raise


def require_room(path: Path, needed: int) -> None:
    """Asked before h5py writes `needed` bytes beside `path`: on a full disk it leaves half a file, and prints
    tracebacks of its own that nobody can catch.

    Raises:
        OSError: there is less room (``ENOSPC``).
    """
    if shutil.disk_usage(path.parent).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk (or quota) is among the causes of `error`."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        text = str(error).lower()
        if "no space left" in text or "quota exceeded" in text or f"errno = {errno.ENOSPC}," in text:
            return True
        error = error.__cause__ or error.__context__
    return False


def sync_file(path: Path) -> None:
    """Put a file's bytes on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
