"""What reports are made from.

Everything here can be pickled, so that pages are rendered in worker processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cxrbatch.bundles.card import Card
from cxrbatch.ledger.records import StudyRecord
from cxrbatch.scoring.decision import Urgency

DEFAULT_ACUTE = ("Pneumothorax", "Effusion", "Edema", "Consolidation", "Pneumonia")


class PageSize(StrEnum):
    A4 = "A4"
    LETTER = "Letter"


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """How the site wants its reports. `templates` overrides the shipped templates file by file."""

    hospital: str = ""
    department: str = ""
    logo: Path | None = None
    page_size: PageSize = PageSize.A4
    templates: Path | None = None
    acute: tuple[str, ...] = DEFAULT_ACUTE
    findings: str = "flagged"
    """``flagged`` (and at least the top one), ``top:N``, ``all``, or names separated by commas."""
    findings_from: str = "--findings"
    """Who chose `findings`, for messages: the option, or a place in the configuration file."""
    acute_from: str = "acute"
    """Likewise, who named the acute findings."""
    html: bool = True
    pdf: bool = True


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What every page says of the run: which model, which run, when."""

    run_id: str
    started: str
    """ISO 8601 with offset."""
    version: str
    bundle_sha256: str
    card: Card


@dataclass(frozen=True, slots=True)
class WorklistRow:
    """One study in the worklist and the audit; `error` says why its report is missing."""

    study: StudyRecord
    urgency: Urgency
    flagged: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One line of rejected.csv."""

    path: str
    reason: str
    group: str
    detail: str


@dataclass(frozen=True, slots=True)
class AuditContent:
    """What the audit report tells: `run` is the content of run.json (settings, counts, timings, versions)."""

    facts: RunFacts
    run: dict[str, object]
    rows: tuple[WorklistRow, ...]
    rejected: tuple[RejectedRow, ...] = field(default=())
