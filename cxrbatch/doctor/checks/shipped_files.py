"""The templates, models and samples that come with cxrbatch."""

from __future__ import annotations

from typing import Literal

from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem
from cxrbatch.resources import shipped_folder

FOLDERS: tuple[Literal["templates", "models", "sample_data"], ...] = ("templates", "models", "sample_data")


def check(subject: Subject) -> Outcome:
    """All three folders are there and hold something."""
    missing: list[str] = []
    found: list[str] = []
    for name in FOLDERS:
        try:
            folder = shipped_folder(name)
        except FileNotFoundError:
            missing.append(name)
            continue
        number = sum(1 for path in folder.rglob("*") if path.is_file())
        if number:
            found.append(f"{name} ({number} files)")
        else:
            missing.append(f"{name} (empty: {folder})")
    if missing:
        return problem(f"missing: {', '.join(missing)}", "Install cxrbatch again from its wheel.")
    return ok(", ".join(found))
