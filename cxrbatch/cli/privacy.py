"""Who may read what a command writes, and what of a path may be printed."""

from __future__ import annotations

import os
from pathlib import Path


def keep_private(umask: str) -> None:
    """For this process and the workers it starts: by default nobody else reads what they write.

    Args:
        umask: octal, as under [patient_data] in cxrbatch.toml.
    """
    os.umask(int(umask, 8))


def own_path(error: OSError, out: Path) -> str:
    """The path that an error is about, if it is one of our own; an input's path may hold a name."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    return name if name and Path(name).absolute().is_relative_to(out.absolute()) else ""
