"""Python and the packages, compared with what the installed cxrbatch itself says it needs."""

from __future__ import annotations

import platform
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem

DISTRIBUTION = "cxrbatch"


def check(subject: Subject) -> Outcome:
    """Every required package is installed, in a version that fits."""
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return problem(
            "cxrbatch runs from a folder and is not installed", "Install it: pip install PATH_TO_WHEEL."
        )
    wrong = [line for text in distribution.requires or [] if (line := _wrong(Requirement(text)))]
    python = distribution.metadata["Requires-Python"] or ""
    if platform.python_version() not in SpecifierSet(python, prereleases=True):
        wrong.insert(0, f"Python {platform.python_version()} (needs {python})")
    if wrong:
        return problem(
            "; ".join(wrong), "Install the packages again: pip install --require-hashes -r runtime.txt."
        )
    names = ("tensorflow", "keras", "openvino", "pydicom", "weasyprint")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return ok(f"cxrbatch {distribution.version}, Python {platform.python_version()}, {versions}")


def _wrong(needed: Requirement) -> str:
    """Blank if the requirement is met or belongs to an extra."""
    if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
        return ""
    try:
        found = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        return f"{needed.name} is missing"
    if needed.specifier.contains(found, prereleases=True):
        return ""
    return f"{needed.name} {found} (needs {needed.specifier})"
