"""``audit.jsonl``: who ran what on which inputs with which bundle, a line for each event, none ever changed.

Each line carries the digest of the line before it, so that a line that was altered, removed or moved shows
(`audit_check`). That the last lines are missing shows by the newest digest, which run.json records and
audit.pdf prints.
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
from cxrbatch.ledger.atomic import sync_folder

FIRST = "0" * 64
"""What the first line of a log carries in place of a predecessor's digest."""
AFTER_TORN = "after_torn_line"
"""Set in a line whose predecessor is the remains of one that a crash cut short."""


def append_event(run: Path, event: str, facts: dict[str, Any]) -> str:
    """Append one event and put it on disk; gives the digest of its line, the newest of the log.

    What a crash left of a line is kept as it is, ended, and said to be torn by the line after it.

    Args:
        run: the run folder, which the caller holds.
        event: ``started``, ``resumed``, ``finished``, ``stopped`` or ``reported``.
        facts: what it was about, as JSON values. No patient data.
    """
    path = run / layout.AUDIT_LOG
    is_new = not path.exists()
    torn = is_torn(path)
    line = json.dumps(
        {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "event": event,
            "user": _user(),
            "host": platform.node(),
            "pid": os.getpid(),
            **facts,
            **({AFTER_TORN: True} if torn else {}),
            "previous": newest_digest(path),
        },
        sort_keys=True,
    ).encode()
    with path.open("ab") as file:
        file.write((b"\n" if torn else b"") + line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_folder(run)
    return line_digest(line)


def newest_digest(path: Path) -> str:
    """SHA-256 of the last line of a log, without its line end; `FIRST` for a log that is not there."""
    lines = read_lines(path)
    return line_digest(lines[-1]) if lines else FIRST


def line_digest(line: bytes) -> str:
    """SHA-256 of a line without its line end, hexadecimal."""
    return hashlib.sha256(line).hexdigest()


def read_lines(path: Path) -> list[bytes]:
    """The lines of a log without their ends, a torn last one included; none where there is no log."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def is_torn(path: Path) -> bool:
    """Whether the log ends within a line, as a crash or a full disk leaves it."""
    try:
        return not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a numeric user without a name, as in containers
        return str(os.getuid())
