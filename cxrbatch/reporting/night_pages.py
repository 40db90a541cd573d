"""The pages that speak of the whole night, made from its ledger: the worklist and the audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cxrbatch.bundles.card import Card
from cxrbatch.intake.studies import percent_encode
from cxrbatch.ledger import layout
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.reporting.audit import write_audit
from cxrbatch.reporting.content import AuditContent, RejectedRow, ReportSettings, RunFacts, WorklistRow
from cxrbatch.reporting.worklist import write_worklist
from cxrbatch.scoring.decision import is_flagged, urgency


def worklist_rows(ledger: Ledger, card: Card, acute: tuple[str, ...]) -> list[WorklistRow]:
    """Every scored study, most urgent first."""
    rows = []
    for study, error in ledger.studies():
        flagged = tuple(
            name
            for name, probability in zip(card.findings, study.highest, strict=True)
            if is_flagged(probability, card.thresholds[name])
        )
        rank = urgency(card.findings, study.highest, card.thresholds, acute)
        rows.append(WorklistRow(study, rank, flagged, error))
    return sorted(rows, key=lambda row: row.urgency.sort_key(row.study.key))


def print_night_pages(run: Path, facts: RunFacts, settings: ReportSettings, run_json: dict[str, Any]) -> None:
    """`write_night_pages` from what lies in the run folder: for a process of its own, whose memory, which
    grows with the number of studies, is given back when it ends."""
    ledger = Ledger(run / layout.LEDGER)
    try:
        rows = worklist_rows(ledger, facts.card, settings.acute)
        write_night_pages(run, ledger, rows, facts, settings, run_json)
    finally:
        ledger.close()


def write_night_pages(
    run: Path,
    ledger: Ledger,
    rows: list[WorklistRow],
    facts: RunFacts,
    settings: ReportSettings,
    run_json: dict[str, Any],
) -> None:
    """``index.html``, ``audit.html`` and ``audit.pdf``. `run_json` is what run.json says."""
    rejected = tuple(
        RejectedRow(percent_encode(file.path), str(file.reason), str(file.reason.group), file.detail)
        for file in ledger.rejected()
    )
    write_worklist(run, rows, facts, settings, run_json)
    write_audit(run, AuditContent(facts, run_json, tuple(rows), rejected), settings)
