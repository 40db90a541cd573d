"""The audit report: every number of the night, every study in the HTML, the notable ones in the PDF."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pypdf import PdfReader

from cxrbatch.bundles.card import Card
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import Patient
from cxrbatch.ledger.records import StudyRecord
from cxrbatch.reporting import audit, pdf
from cxrbatch.reporting.content import (
    AuditContent,
    PageSize,
    RejectedRow,
    ReportSettings,
    RunFacts,
    WorklistRow,
)

MakeStudy = Callable[..., StudyRecord]
NewRow = Callable[..., WorklistRow]
QUIET = (0.01, 0.01, 0.01, 0.01, 0.01)
RUN: dict[str, object] = {
    "schema_version": 1,
    "state": "finished",
    "versions": {"python": "3.11.99", "keras": "3.15.77"},
    "settings": {"workers": 3, "acute": ["Effusion", "Edema"], "deidentify": False},
    "counts": {"found": 9, "ignored": 4},
    "seconds": {"decoding": 12.5},
    "arithmetic": {"runtime": "openvino", "threads": 2},
}


def squeezed(text: str) -> str:
    return "".join(text.split())


def pdf_text(run: Path) -> str:
    return squeezed("".join(page.extract_text() for page in PdfReader(run / "audit.pdf").pages))


@pytest.fixture
def content(make_study: MakeStudy, new_row: NewRow, card: Card, facts: RunFacts) -> AuditContent:
    rows = (
        new_row(make_study("aa", patient=Patient(id="F1", name="Flagged^One")), card),
        new_row(make_study("bb", probabilities=(QUIET,), patient=Patient(id="Q2", name="Quiet^Two")), card),
        new_row(
            make_study("cc", probabilities=(QUIET, QUIET), patient=Patient(id="E3", name="Broken^Three")),
            card,
            "The disk is full.",
        ),
    )
    rejected = (
        RejectedRow("/in/hand.dcm", Reason.NOT_CHEST, "screened_out", "BodyPartExamined is HAND."),
        RejectedRow("/in/hand2.dcm", Reason.NOT_CHEST, "screened_out", "BodyPartExamined is HAND."),
        RejectedRow("/in/<b>.dcm", Reason.DECODE_FAILED, "failed", "The stream ends early."),
    )
    return AuditContent(facts, RUN, rows, rejected)


def test_both_say_what_ran_what_was_found_and_why_it_was_not_scored(
    tmp_path: Path, content: AuditContent, read_page: Any
) -> None:
    audit.write_audit(tmp_path, content, ReportSettings(hospital="St. Anna"))
    page, pdf = squeezed(read_page(tmp_path / "audit.html").text), pdf_text(tmp_path)
    said = [
        "St. Anna", "test-net 1.2.3", content.facts.bundle_sha256, "3.11.99", "3.15.77", "workers 3",
        "acute Effusion, Edema", "deidentify no", "found 9", "ignored 4", "decoding 12.5", "runtime openvino",
        "4 images of 3 studies scored; 1 study has a finding above threshold",
        "To look at: 1 failed file, 1 failed report.", "Screened out (2)", "Failed (1)", "not_chest 2",
        "decode_failed 1", "unreadable 0", "/in/<b>.dcm", "The stream ends early.", "Effusion 1 (33.3%)",
        "Flagged, One, F1", "No report: The disk is full.", "no medical device",
    ]  # fmt: skip
    for words in said:
        assert squeezed(words) in page, words
        assert squeezed(words) in pdf, words


def test_the_html_has_every_study_and_file_the_pdf_the_notable_ones(
    tmp_path: Path, content: AuditContent, read_page: Any
) -> None:
    audit.write_audit(tmp_path, content, ReportSettings())
    page, pdf = read_page(tmp_path / "audit.html").text, pdf_text(tmp_path)
    assert "Quiet, Two" in page
    assert "/in/hand2.dcm" in page
    assert "Quiet,Two" not in pdf
    assert "hand2" not in pdf
    assert "Everystudyisinaudit.htmlandstudies.csv." in pdf


def test_the_pdf_says_how_many_rows_it_leaves_out(
    tmp_path: Path, content: AuditContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PDF_ROWS", 3)
    flagged, failed = content.rows[0], content.rejected[2]
    many = replace(content, rows=(flagged,) * 8, rejected=(failed,) * 5)
    audit.write_audit(tmp_path, many, ReportSettings())
    text = pdf_text(tmp_path)
    assert "5moreflaggedorfailedstudiesarenotinthisPDF" in text
    assert "2morefailedfilesarenotinthisPDF" in text
    assert text.count("Flagged,One") == 3


def test_every_page_is_numbered(tmp_path: Path, content: AuditContent) -> None:
    many = replace(content, rows=content.rows[:1] * 120)
    audit.write_audit(tmp_path, many, ReportSettings(page_size=PageSize.LETTER))
    pages = PdfReader(tmp_path / "audit.pdf").pages
    assert len(pages) > 3
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page.extract_text()
        assert float(page.mediabox.width) == pytest.approx(612, abs=0.5)


def test_a_long_list_of_inputs_is_cut_in_the_pdf_and_whole_in_the_html(
    tmp_path: Path, content: AuditContent, read_page: Any
) -> None:
    inputs = [f"/in/film{number:02}.dcm" for number in range(audit.PDF_ITEMS + 3)]
    run = {**content.run, "settings": {"inputs": inputs, "engine": {"nodes": inputs[:3]}}}
    audit.write_audit(tmp_path, replace(content, run=run), ReportSettings())
    page, pdf = read_page(tmp_path / "audit.html").text, pdf_text(tmp_path)
    assert all(path in page for path in inputs)
    assert "more: see run.json" not in page
    assert f"{inputs[audit.PDF_ITEMS - 1]}and3more:seerun.json" in pdf
    assert inputs[audit.PDF_ITEMS] not in pdf
    assert pdf.count(inputs[2]) == 2


def test_a_long_card_begins_on_the_first_page(tmp_path: Path, content: AuditContent) -> None:
    """Its column is taller than what the heading leaves of a page."""
    card = content.facts.card
    long = card.model_copy(update={"limits": "Weak where few films were seen. " * 150})
    audit.write_audit(tmp_path, replace(content, facts=replace(content.facts, card=long)), ReportSettings())
    first = squeezed(PdfReader(tmp_path / "audit.pdf").pages[0].extract_text())
    assert "3.11.99" in first
    assert "Weakwherefewfilmswereseen." in first


def test_the_pdf_is_laid_out_once(
    tmp_path: Path, content: AuditContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It grows with the night, and most of its time is layout."""
    laid_out, lay_out = [], pdf._document

    def counted(*arguments: Any, **options: Any) -> Any:
        laid_out.append(lay_out(*arguments, **options))
        return laid_out[-1]

    monkeypatch.setattr(pdf, "_document", counted)
    many = replace(content, rows=content.rows[:1] * 119)
    audit.write_audit(tmp_path, many, ReportSettings())
    (document,) = laid_out
    assert len(document.pages) > 3


def test_the_page_needs_nothing_from_outside(tmp_path: Path, content: AuditContent, read_page: Any) -> None:
    audit.write_audit(tmp_path, content, ReportSettings())
    page = read_page(tmp_path / "audit.html")
    assert page.attributes("src") == ["audit_files/distributions.png"]
    assert Image.open(tmp_path / "audit_files" / "distributions.png").width > 1000
    assert "script" not in {tag for tag, _ in page.elements}
    assert not [link for link in page.attributes("href") if ":" in link]


def test_a_night_with_nothing_scored_has_an_audit(tmp_path: Path, facts: RunFacts, read_page: Any) -> None:
    audit.write_audit(tmp_path, AuditContent(facts, {}, ()), ReportSettings())
    assert "Nothing failed." in read_page(tmp_path / "audit.html").text
    assert "Nothingfailed." in pdf_text(tmp_path)
