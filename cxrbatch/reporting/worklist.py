"""``index.html``: the worklist of the night, most urgent first; works from disk, without a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cxrbatch.bundles.card import Card
from cxrbatch.intake.records import View
from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.reporting.content import ReportSettings, RunFacts, WorklistRow
from cxrbatch.reporting.findings_table import FindingLine, finding_lines
from cxrbatch.reporting.rendering import render, to_bytes
from cxrbatch.reporting.run_summary import count_lines, failed_files


@dataclass(frozen=True, slots=True)
class Entry:
    """One row as the template shows it. `top` is the finding with the largest margin."""

    place: int
    row: WorklistRow
    flagged: tuple[FindingLine, ...]
    top: FindingLine
    notes: tuple[str, ...]
    views: tuple[str, ...]


def write_worklist(
    run_dir: Path,
    rows: Iterable[WorklistRow],
    facts: RunFacts,
    settings: ReportSettings,
    run: Mapping[str, object],
) -> None:
    """Write ``index.html``.

    Args:
        rows: sorted, most urgent first (``Urgency.sort_key``).
        run: the content of run.json; its ``counts`` are summed up at the head of the page.
    """
    entries = [worklist_entry(place, row, facts.card) for place, row in enumerate(rows, start=1)]
    flags = Counter(line.name for entry in entries for line in entry.flagged)
    page = render(
        settings.templates,
        "worklist.html",
        entries=entries,
        flags={name: flags[name] for name in facts.card.findings if flags[name]},
        flagged_studies=sum(bool(entry.flagged) for entry in entries),
        to_check=sum(bool(entry.notes or entry.row.error) for entry in entries),
        failed_reports=sum(bool(entry.row.error) for entry in entries),
        counts=count_lines(run),
        failed_files=failed_files(run),
        finding_index={name: index for index, name in enumerate(facts.card.findings)},
        facts=facts,
        card=facts.card,
        settings=settings,
        rendered=settings.html or settings.pdf,
    )
    write_atomic(run_dir / "index.html", to_bytes(page))


def worklist_entry(place: int, row: WorklistRow, card: Card) -> Entry:
    """What the worklist and the audit show of one study."""
    lines = finding_lines(card, row.study.highest)
    images = row.study.images
    views = tuple(dict.fromkeys(image.header.view.value for image in images))
    notes = [note for image in images for note in (*image.notes, *image.header.notes)]
    if any(image.header.view is View.UNKNOWN for image in images):
        notes.insert(0, "view=unknown.")
    return Entry(
        place=place,
        row=row,
        flagged=tuple(line for line in lines if line.name in row.flagged),
        top=lines[0],
        notes=tuple(dict.fromkeys(notes)),
        views=views,
    )
