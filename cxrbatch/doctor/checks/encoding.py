"""Names of patients and files are no ASCII."""

from __future__ import annotations

import locale
import sys

from cxrbatch.doctor.outcome import Outcome, Subject, ok, warning


def check(subject: Subject) -> Outcome:
    """File names and texts are UTF-8."""
    names, texts = sys.getfilesystemencoding(), locale.getencoding()
    if {names.lower().replace("-", ""), texts.lower().replace("-", "")} <= {"utf8"}:
        return ok("UTF-8")
    if names.lower().replace("-", "") == "utf8":
        return ok(f"UTF-8 (the locale's own is {texts})")
    return warning(
        f"file names are {names}, texts {texts}",
        "Set LANG=C.UTF-8 (in a crontab too), or names in messages may be unreadable.",
    )
