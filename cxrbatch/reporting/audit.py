"""``audit.html`` and ``audit.pdf``: what ran, what was found, scored and rejected, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrbatch.intake.reasons import Reason, ReasonGroup
from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.reporting.content import AuditContent, RejectedRow, ReportSettings, WorklistRow
from cxrbatch.reporting.distributions import score_distributions
from cxrbatch.reporting.rendering import render, to_bytes
from cxrbatch.reporting.run_summary import count_lines, flat_lines
from cxrbatch.reporting.worklist import Entry, worklist_entry

FOLDER = "audit_files"
"""Pictures of audit.html, below the run folder."""
PDF_ROWS = 500
"""Longest table in the PDF: WeasyPrint needs 12 ms and 0.15 MB a row, and nobody reads more on paper."""

PDF_ITEMS = 20
"""Longest list of a setting in the PDF (the files of a command that names each); audit.html has them all."""

# Keys of run.json that stand under a heading of their own.
_ELSEWHERE = {"bundle", "counts", "settings", "arithmetic", "versions", "seconds", "report_errors"}


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many files were not scored for one reason."""

    reason: str
    group: str
    count: int


def write_audit(run_dir: Path, content: AuditContent, settings: ReportSettings) -> None:
    """Write ``audit.html`` and ``audit.pdf`` with their plot, whatever formats the studies' reports have.

    The HTML has a row for every study and every rejected file; the PDF those that are flagged or failed, the
    first `PDF_ROWS` of each, and says how many it leaves out.

    Raises:
        PdfError: a site's PDF template asks for something that is not part of the report.
    """
    from cxrbatch.reporting.pdf import SCHEME, write_pdf

    folder = run_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    card = content.facts.card
    entries = [worklist_entry(place, row, card) for place, row in enumerate(content.rows, start=1)]
    pictures = _pictures(content, settings)
    common = _common(content, settings, entries, plot=bool(pictures))
    for name, data in pictures.items():
        write_atomic(folder / name, data)
    page = render(
        settings.templates,
        "audit.html",
        at=f"{FOLDER}/",
        entries=entries,
        rejected=content.rejected,
        **common,
    )
    write_atomic(run_dir / "audit.html", to_bytes(page))

    notable = [entry for entry in entries if entry.flagged or entry.row.error]
    failed = [row for row in content.rejected if row.group == ReasonGroup.FAILED]
    cut: dict[str, object] = {
        "setting_lines": _part(content.run, "settings", PDF_ITEMS),
        "entries": notable[:PDF_ROWS],
        "left_out": len(notable[PDF_ROWS:]),
        "rejected": failed[:PDF_ROWS],
        "rejected_left_out": len(failed[PDF_ROWS:]),
    }
    shape = (len(notable[:PDF_ROWS]), len(failed[:PDF_ROWS]), len(card.findings))
    pdf = write_pdf(
        lambda pages: render(settings.templates, "audit_pdf.html", at=SCHEME, pages=pages, **common | cut),
        pictures,
        "audit_pdf.css",
        settings.page_size,
        settings.templates,
        shape,
    )
    write_atomic(run_dir / "audit.pdf", pdf)


def _common(
    content: AuditContent, settings: ReportSettings, entries: Sequence[Entry], plot: bool
) -> dict[str, object]:
    """What both pages tell."""
    run = content.run
    return {
        "facts": content.facts,
        "card": content.facts.card,
        "settings": settings,
        "plot": plot,
        "counts": count_lines(run),
        "run_lines": flat_lines({key: value for key, value in run.items() if key not in _ELSEWHERE}),
        "setting_lines": _part(run, "settings"),
        "version_lines": _part(run, "versions"),
        "arithmetic_lines": _part(run, "arithmetic"),
        "timing_lines": _part(run, "seconds"),
        "screened_out": _by_reason(content.rejected, ReasonGroup.SCREENED_OUT),
        "failed": _by_reason(content.rejected, ReasonGroup.FAILED),
        "failed_reports": [entry for entry in entries if entry.row.error],
        "finding_lines": _finding_counts(content.rows, content.facts.card.findings),
        "studies": len(entries),
        "images": sum(len(row.study.images) for row in content.rows),
        "flagged_studies": sum(bool(entry.flagged) for entry in entries),
    }


def _part(run: Mapping[str, object], key: str, most: int | None = None) -> list[tuple[str, str]]:
    part = run.get(key)
    return flat_lines(part, most=most) if isinstance(part, Mapping) else []


def _by_reason(rejected: Sequence[RejectedRow], group: ReasonGroup) -> list[ReasonCount]:
    """Counts in the order of the closed list; every reason of the group, so that a zero is seen as a zero."""
    counts = Counter(row.reason for row in rejected if row.group == group)
    known = [reason.value for reason in Reason if reason.group is group]
    reasons = known + sorted(set(counts) - set(known))
    return [ReasonCount(reason, group.value, counts[reason]) for reason in reasons]


def _finding_counts(rows: Sequence[WorklistRow], findings: Sequence[str]) -> list[tuple[str, int, float]]:
    """Per finding: name, studies above threshold, and their share."""
    flagged = Counter(name for row in rows for name in row.flagged)
    return [(name, flagged[name], flagged[name] / max(len(rows), 1)) for name in findings]


def _pictures(content: AuditContent, settings: ReportSettings) -> dict[str, bytes]:
    if not content.rows:
        return {}
    probabilities = [image.probabilities for row in content.rows for image in row.study.images]
    return {"distributions.png": score_distributions(content.facts.card, probabilities)}
