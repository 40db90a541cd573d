"""``audit.jsonl``: who ran what on which inputs with which bundle, a line for each event, none ever changed.

Each line carries the digest of the line before it, so that a line that was altered, removed or moved shows.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from cxrbatch.ledger import layout

FIRST = "0" * 64
"""What the first line of a log carries in place of a predecessor's digest."""


def append_event(run: Path, event: str, facts: dict[str, Any]) -> None:
    """Append one event and put it on disk.

    Args:
        run: the run folder, which the caller holds.
        event: ``started``, ``resumed``, ``finished``, ``stopped`` or ``reported``.
        facts: what it was about, as JSON values. No patient data.
    """
    path = run / layout.AUDIT_LOG
    line = json.dumps(
        {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "event": event,
            "user": _user(),
            "host": platform.node(),
            "pid": os.getpid(),
            **facts,
            "previous": newest_digest(path),
        },
        sort_keys=True,
    )
    with path.open("ab") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def newest_digest(path: Path) -> str:
    """SHA-256 of the last line of a log, without its line end; `FIRST` for a log that is not there."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return FIRST
    return hashlib.sha256(lines[-1]).hexdigest() if lines else FIRST


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a numeric user without a name, as in containers
        return str(os.getuid())
