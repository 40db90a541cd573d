"""A run is de-identified from its first file to its last, or not at all."""

from __future__ import annotations

from dataclasses import replace

from cxrbatch.deidentification.names import Names
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.run_folder import RunFolder, RunFolderError
from cxrbatch.reporting.content import ReportSettings

_MARK = "deidentified_with_key"


def is_deidentified(ledger: Ledger) -> bool:
    """Whether a run was begun with ``--deidentify``."""
    settings = ledger.fact("settings")
    return isinstance(settings, dict) and _MARK in settings


def check_mode(folder: RunFolder, names: Names) -> None:
    """Refuse to go on with a run the other way, without quoting a path of either.

    Raises:
        RunFolderError: it was begun with ``--deidentify`` and is resumed without, or the reverse.
    """
    if folder.ledger.fact("settings") is None:
        return
    begun, now = is_deidentified(folder.ledger), _MARK in names.settings()
    if begun != now:
        raise RunFolderError(
            f"{folder.path} was begun {'with' if begun else 'without'} --deidentify: resume it so, choose "
            "another --out, or start over with --fresh."
        )


def anonymous_pages(settings: ReportSettings) -> ReportSettings:
    """Pages that do not say which hospital they are from, and do say that their names and dates are none."""
    return replace(settings, hospital="De-identified: pseudonyms, dates moved", department="", logo=None)
