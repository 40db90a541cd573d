"""The clock of this machine, and that of the file server: reports carry dates, --settle compares the two."""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from pathlib import Path

import cxrbatch
from cxrbatch.doctor.checks.output_folder import nearest_folder
from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem, warning

DRIFT = 2.0
"""Seconds between the two clocks that nobody needs to know of."""


def check(subject: Subject) -> Outcome:
    """The clock is not before the installation of cxrbatch, and a new file is dated now."""
    now = datetime.now().astimezone()
    installed = Path(cxrbatch.__file__).stat().st_mtime
    if now.timestamp() < installed - 86_400:
        return problem(
            f"the clock says {now:%Y-%m-%d %H:%M}, before cxrbatch was installed", "Set the clock (NTP)."
        )
    drift = _file_time(nearest_folder(subject.out)) - time.time()
    if abs(drift) > DRIFT:
        return warning(
            f"the clock of the output folder's file server is off by {drift:+.0f} s",
            "Set both clocks by NTP: --settle compares them.",
        )
    return ok(f"{now:%Y-%m-%d %H:%M %Z (UTC%z)}")


def _file_time(folder: Path) -> float:
    """When a file made now was made, says the file system; now, where none can be made (another check's)."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".cxrbatch-doctor-") as file:
            return Path(file.name).stat().st_mtime
    except OSError:
        return time.time()
