"""The short way into WeasyPrint gives the same pages as its own parser and style sheet."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from weasyprint import HTML

from cxrbatch.bundles.card import Card
from cxrbatch.intake.records import Patient
from cxrbatch.ledger.records import StudyRecord
from cxrbatch.reporting import pdf as pdf_module
from cxrbatch.reporting.content import PageSize, ReportSettings, RunFacts
from cxrbatch.reporting.page_tree import parse_page
from cxrbatch.reporting.pdf import PictureFetcher
from cxrbatch.reporting.study_report import render_study

MakeStudy = Callable[..., StudyRecord]
HOSTILE = Patient(
    id="]]><b>&nbsp;", name="<script>^\N{LATIN SMALL LETTER E WITH ACUTE}=山田^太郎", sex="F", age=""
)

needs_poppler = pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="poppler-utils is not installed")


def pixels(pdf: Path) -> list[np.ndarray]:
    """Its pages as pictures, 150 dots an inch."""
    subprocess.run(["pdftoppm", "-r", "150", "-png", pdf, pdf.with_suffix("")], check=True)
    pages = sorted(pdf.parent.glob("report-*.png"))
    found = [
        np.asarray(Image.open(io.BytesIO(page.read_bytes())).convert("RGB")).astype(int) for page in pages
    ]
    for page in pages:
        page.unlink()
    return found


@needs_poppler
@pytest.mark.parametrize("findings", ["flagged", "all"])
def test_the_pages_are_those_of_weasyprint_itself(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, monkeypatch: pytest.MonkeyPatch, findings: str
) -> None:
    study = make_study(patient=HOSTILE, notes=("First <i>note</i>.", "Second & last."))
    settings = ReportSettings(findings=findings)
    report = tmp_path / "reports" / study.key / "report.pdf"
    render_study(tmp_path, study, facts, settings)
    ours = pixels(report)

    def plain(page: bytes, fetcher: PictureFetcher, base_url: str | None, *, ours: bool) -> HTML:
        return HTML(string=page, encoding="utf-8", url_fetcher=fetcher, base_url=base_url)

    monkeypatch.setattr(pdf_module, "parse_page", plain)
    render_study(tmp_path, study, facts, settings)
    theirs = pixels(report)
    assert len(ours) == len(theirs)
    for mine, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize(
    ("page", "ours", "short"),
    [
        (b"<html><body><p>x</p></body></html>", True, True),
        (b"<html><body><p>x</p></body></html>", False, False),
        (b"<html><body><p>x<br>y</body></html>", True, False),
        (b"<html><body><p>&nbsp;</p></body></html>", True, False),
        ("<html><body><p>\ufffe</p></body></html>".encode(), True, False),
        (b"<p>x</p>", True, False),
    ],
)
def test_what_is_no_xml_or_not_ours_is_read_as_html(page: bytes, ours: bool, short: bool) -> None:
    tree = parse_page(page, PictureFetcher({}), None, ours=ours)
    assert isinstance(tree, HTML)
    assert (type(tree) is not HTML) == short
    assert tree.etree_element.find(".//p") is not None


@needs_poppler
@pytest.mark.parametrize("size", list(PageSize))
@pytest.mark.parametrize("calibrated", [False, True])
def test_every_bar_lies_on_the_line_of_its_finding_and_nothing_in_the_margin(
    tmp_path: Path,
    make_study: MakeStudy,
    card: Card,
    calibrated_card: Card,
    new_facts: Callable[[Card], RunFacts],
    size: PageSize,
    calibrated: bool,
) -> None:
    chosen = calibrated_card if calibrated else card
    study = make_study(probabilities=((0.9, 0.8, 0.7, 0.95, 0.6),), with_maps=False)
    render_study(tmp_path, study, new_facts(chosen), replace(ReportSettings(), page_size=size))
    report = tmp_path / "reports" / study.key / "report.pdf"
    page = pixels(report)[0]
    red = (np.abs(page - (0x8A, 0x2F, 0x12)).sum(axis=2) < 40).sum(axis=1) > 10
    edges = np.flatnonzero(np.diff(red.astype(int)))
    bars = (edges[::2] + edges[1::2] + 1) / 2
    boxes = subprocess.run(
        ["pdftotext", "-bbox", report, "-"], check=True, capture_output=True, text=True
    ).stdout
    width = float(re.findall(r'<page width="([\d.]+)"', boxes)[0])
    assert (
        max(float(right) for right in re.findall(r'xMax="([\d.]+)"', boxes)) <= width - 15 / 25.4 * 72 + 0.5
    )
    words = re.findall(r'yMin="([\d.]+)"[^>]*yMax="([\d.]+)">above<', boxes)
    lines = [(float(top) + float(bottom)) / 2 * 150 / 72 for top, bottom in words]
    assert len(bars) == 5
    # The next "above" stands in the sentence below the table. Lines are 30 pixels apart.
    assert np.abs(bars - lines[:5]).max() < 3


def test_a_name_that_may_wrap_gets_rows_of_its_own_height(
    tmp_path: Path,
    make_study: MakeStudy,
    new_card: Callable[..., Card],
    new_facts: Callable[[Card], RunFacts],
) -> None:
    names = ("Enlarged_Cardiomediastinum", "Pneumothorax", "Effusion", "Nodule", "Hernia")
    card = new_card(findings=names, thresholds=dict.fromkeys(names, 0.5), validation=None)
    study = make_study(with_maps=False)
    seen: list[str] = []

    def page_of(page: bytes, *rest: object, **options: object) -> HTML:
        seen.append(page.decode())
        return parse_page(page, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf_module, "parse_page", page_of)
        render_study(tmp_path, study, new_facts(card), ReportSettings())
    assert "Enlarged cardiomediastinum" in seen[-1]
    assert "rowspan" not in seen[-1]
    assert seen[-1].count("<svg") == 1 + len(names)  # the axis, and a bar a finding
