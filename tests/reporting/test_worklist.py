"""The worklist as a page: order, links, notes, failed reports, and nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.bundles.card import Card
from cxrbatch.intake.records import Patient, View
from cxrbatch.ledger.records import StudyRecord
from cxrbatch.reporting.content import ReportSettings, RunFacts, WorklistRow
from cxrbatch.reporting.worklist import write_worklist

MakeStudy = Callable[..., StudyRecord]
NewRow = Callable[..., WorklistRow]
RUN = {"counts": {"found": 9, "screened_out": {"not_chest": 4}, "failed": 2}}
QUIET = (0.01, 0.01, 0.01, 0.01, 0.01)


def data_rows(page: Any) -> list[dict[str, str]]:
    return [attrs for _, attrs in page.elements if "data-place" in attrs]


def test_rows_keep_the_order_they_come_in_and_lead_to_the_reports(
    tmp_path: Path, make_study: MakeStudy, new_row: NewRow, card: Card, facts: RunFacts, read_page: Any
) -> None:
    rows = [
        new_row(make_study("bb", patient=Patient(id="1", name="Zeta^Z")), card),
        new_row(make_study("aa", probabilities=(QUIET,), patient=Patient(id="2", name="Alpha^A")), card),
    ]
    write_worklist(tmp_path, iter(rows), facts, ReportSettings(), RUN)
    page = read_page(tmp_path / "index.html")
    assert [row["data-patient"] for row in data_rows(page)] == ["Zeta, Z 1", "Alpha, A 2"]
    links = page.attributes("href")
    for key in ("bb", "aa"):
        assert f"reports/{key}/report.html" in links
        assert f"reports/{key}/report.pdf" in links
    assert page.attributes("src") == ["reports/bb/thumb.jpg", "reports/aa/thumb.jpg"]
    assert all(image["loading"] == "lazy" for image in page.tags("img"))
    assert "audit.html" in links
    for words in ("Effusion 0.900", "above threshold 0.400", "2 studies scored, 1 with a finding above"):
        assert words in page.text
    for words in ("found 9", "failed 2"):
        assert words in page.text
    assert "not chest" not in page.text  # reasons are the audit's matter


@pytest.mark.parametrize(
    ("html", "pdf", "expected"),
    [(True, False, {"report.html"}), (False, True, {"report.pdf"}), (False, False, set())],
)
def test_only_reports_that_were_asked_for_are_linked(
    tmp_path: Path,
    make_study: MakeStudy,
    new_row: NewRow,
    card: Card,
    facts: RunFacts,
    read_page: Any,
    html: bool,
    pdf: bool,
    expected: set[str],
) -> None:
    write_worklist(tmp_path, [new_row(make_study(), card)], facts, ReportSettings(html=html, pdf=pdf), RUN)
    page = read_page(tmp_path / "index.html")
    assert {link.rpartition("/")[2] for link in page.attributes("href")} - {"audit.html"} == expected
    assert bool(page.attributes("src")) == bool(expected)


def test_a_failed_report_and_an_image_to_check_are_seen(
    tmp_path: Path, make_study: MakeStudy, new_row: NewRow, card: Card, facts: RunFacts, read_page: Any
) -> None:
    rows = [
        new_row(make_study("aa"), card, "The disk is full."),
        new_row(make_study("bb", view=View.UNKNOWN, notes=("The window was broken.",)), card),
    ]
    write_worklist(tmp_path, rows, facts, ReportSettings(), RUN)
    page = read_page(tmp_path / "index.html")
    for words in (
        "No report: The disk is full.",
        "1 without a report",
        "view=unknown. The window was broken.",
    ):
        assert words in page.text
    assert not [link for link in page.attributes("href") if "/aa/" in link]


def test_header_text_is_data_in_text_and_attributes(
    tmp_path: Path, make_study: MakeStudy, new_row: NewRow, card: Card, facts: RunFacts, read_page: Any
) -> None:
    evil = "\"' onmouseover=alert(1) x=<script>alert(1)</script>{{ 7*7 }}]]>"
    study = make_study(
        "aa", patient=Patient(id=evil, name=evil), accession=evil, study_date=evil, notes=(evil,)
    )
    write_worklist(tmp_path, [new_row(study, card, evil)], facts, ReportSettings(hospital=evil), RUN)
    page = read_page(tmp_path / "index.html")
    assert len(page.inline["script"]) == 1
    assert not [key for _, attrs in page.elements for key in attrs if key.startswith("on") or key == "style"]
    assert page.text.count("<script>alert(1)</script>{{ 7*7 }}]]>") >= 5
    assert data_rows(page)[0]["data-patient"].endswith(f" {evil}")
    assert "7*7" not in page.inline["script"][0]


def test_policy_lets_only_our_own_script_and_style_run(
    tmp_path: Path, make_study: MakeStudy, new_row: NewRow, card: Card, facts: RunFacts, read_page: Any
) -> None:
    write_worklist(tmp_path, [new_row(make_study(), card)], facts, ReportSettings(), RUN)
    page = read_page(tmp_path / "index.html")
    policy = next(m["content"] for m in page.tags("meta") if m.get("http-equiv") == "Content-Security-Policy")
    parts = dict(part.split(" ", 1) for part in policy.split("; "))
    assert parts["default-src"] == "'none'"
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.inline[kind][0].encode()).digest()).decode()
        assert parts[f"{kind}-src"] == f"'sha256-{digest}'"
    assert not [
        url for url in (*page.attributes("src"), *page.attributes("href")) if re.match(r"\w+:|//", url)
    ]


def test_a_night_without_studies_has_a_worklist(tmp_path: Path, facts: RunFacts, read_page: Any) -> None:
    write_worklist(tmp_path, [], facts, ReportSettings(), {})
    assert "No study was scored." in read_page(tmp_path / "index.html").text


def test_calibrated_values_are_shown(
    tmp_path: Path,
    make_study: MakeStudy,
    new_row: NewRow,
    calibrated_card: Card,
    new_facts: Callable[[Card], RunFacts],
    read_page: Any,
) -> None:
    rows = [new_row(make_study(), calibrated_card)]
    write_worklist(tmp_path, rows, new_facts(calibrated_card), ReportSettings(), RUN)
    assert "Effusion 0.931 above threshold 0.213" in read_page(tmp_path / "index.html").text


def test_ten_thousand_studies_are_written_in_seconds(
    tmp_path: Path, make_study: MakeStudy, new_row: NewRow, card: Card, facts: RunFacts
) -> None:
    row = new_row(make_study(), card)
    rows = [replace(row, study=replace(row.study, key=f"{number:06x}")) for number in range(10_000)]
    started = time.process_time()
    write_worklist(tmp_path, rows, facts, ReportSettings(), RUN)
    assert time.process_time() - started < 15
    assert (tmp_path / "index.html").stat().st_size < 25e6
