"""A study's report as its readers and machines see it: text, pictures, pages, and nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from cxrbatch.bundles.card import Card
from cxrbatch.intake.records import Patient, View
from cxrbatch.ledger.records import StudyRecord
from cxrbatch.reporting.content import PageSize, ReportSettings, RunFacts
from cxrbatch.reporting.pdf import PdfError
from cxrbatch.reporting.study_report import render_study

SETTINGS = ReportSettings(hospital="St. Anna", department="Radiology")
NOTICE = "A machine's estimate, for a radiologist to review."
MakeStudy = Callable[..., StudyRecord]
ReadPage = Callable[[Path], Any]

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "']]> {{ 7*7 }} {% raw %} ${x}",
    "</style><style>*{display:none}",
    "javascript:alert(1)&amp;&lt;",
]


def text_of(pdf: Path) -> str:
    """All text of a PDF with every white space taken out: lines break anywhere."""
    return "".join("".join(page.extract_text().split()) for page in PdfReader(pdf).pages)


def squeezed(text: str) -> str:
    return "".join(text.split())


def report_folder(run: Path, study: StudyRecord) -> Path:
    return run / "reports" / study.key


def test_both_formats_say_who_when_which_image_and_which_model(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, read_page: ReadPage
) -> None:
    study = make_study(notes=("The window was broken.",), view=View.AP)
    render_study(tmp_path, study, facts, SETTINGS)
    folder = report_folder(tmp_path, study)
    said = [
        "St. Anna", "Radiology", "Doe, Jane", "P-1", "female, 61 years", "2026-11-21 07:31", "ACC-9",
        "View AP", "CR", "film.dcm", "1.2.3.4.5.0", "The window was broken.", NOTICE, "no medical device",
        "test-net 1.2.3", facts.bundle_sha256, facts.bundle_sha256[:12], "run-20261122-77",
        "2026-11-22 23:00 +01:00", "not a boundary", "Raw probabilities",
        "Effusion", "Pneumothorax", "Pleural thickening", "Nodule", "Hernia", "0.900", "0.400",
    ]  # fmt: skip
    page, pdf = read_page(folder / "report.html").text, text_of(folder / "report.pdf")
    for words in said:
        assert squeezed(words) in squeezed(page), words
        assert squeezed(words) in pdf, words
    assert page.count(NOTICE) == 1
    assert pdf.count(squeezed(NOTICE)) == 1


def test_above_and_below_are_said_in_words_and_shape(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, read_page: ReadPage
) -> None:
    study = make_study()  # Effusion .9 of .4 and Pleural thickening .35 of .2 are above
    render_study(tmp_path, study, facts, SETTINGS)
    html = (report_folder(tmp_path, study) / "report.html").read_text(encoding="utf-8")
    rows = re.findall(r'<tr class="(above|below)">\s*<th scope="row">([^<]+)</th>(.*?)</tr>', html, re.S)
    assert [(name, word) for word, name, _ in rows] == [
        ("Effusion", "above"), ("Pleural thickening", "above"), ("Pneumothorax", "below"),
        ("Hernia", "below"), ("Nodule", "below"),
    ]  # fmt: skip
    thickness = {word: max(map(float, re.findall(r"v([\d.]+)H0z", cells))) for word, _, cells in rows}
    assert thickness["above"] > thickness["below"]  # told apart without colour
    assert all(f">{word}</td>" in cells for word, _, cells in rows)


def test_calibrated_values_and_mapped_thresholds_are_printed_and_said_to_be(
    tmp_path: Path, make_study: MakeStudy, calibrated_card: Card, new_facts: Callable[[Card], RunFacts]
) -> None:
    study = make_study()
    render_study(tmp_path, study, new_facts(calibrated_card), SETTINGS)
    pdf = text_of(report_folder(tmp_path, study) / "report.pdf")
    # sigmoid(1.5 * logit(p) - 0.7): 0.9 -> 0.931, 0.4 -> 0.213
    for words in ("Calibrated", "0.931", "0.213", "Raw", "0.900", "mapped through the same curves"):
        assert squeezed(words) in pdf, words
    assert "Rawprobabilities" not in pdf


@pytest.mark.parametrize("size", list(PageSize))
def test_every_page_has_its_number_its_patient_and_the_size_asked_for(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, size: PageSize
) -> None:
    values = (0.9, 0.8, 0.7, 0.6, 0.5)
    study = make_study(probabilities=(values, values))
    render_study(tmp_path, study, facts, replace(SETTINGS, page_size=size, findings="all"))
    pages = PdfReader(report_folder(tmp_path, study) / "report.pdf").pages
    assert len(pages) >= 3
    expected = {PageSize.A4: (210 / 25.4 * 72, 297 / 25.4 * 72), PageSize.LETTER: (612, 792)}[size]
    for number, page in enumerate(pages, start=1):
        text = squeezed(page.extract_text())
        assert f"Page{number}of{len(pages)}" in text
        assert "Doe,Jane·P-1·ACC-9" in text
        assert (float(page.mediabox.width), float(page.mediabox.height)) == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Παπαδόπουλος^Γεώργιος", "Παπαδόπουλος, Γεώργιος"),
        ("Иванов^Пётр", "Иванов, Пётр"),
        ("Yamada^Tarou=山田^太郎", "Yamada, Tarou (山田 太郎)"),
        ("김^민수", "김, 민수"),
        ("Łukasiewicz-Müller^Zoë", "Łukasiewicz-Müller, Zoë"),
        ("X" * 200, "X" * 200),
    ],
)
def test_names_are_readable_in_the_pdf(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, name: str, shown: str
) -> None:
    study = make_study(patient=Patient(id="7", name=name))
    render_study(tmp_path, study, facts, replace(SETTINGS, html=False))
    pdf = report_folder(tmp_path, study) / "report.pdf"
    assert squeezed(shown) in text_of(pdf)
    # A glyph that no font has is drawn as a box and cannot be read back: every character has come back above.


def references(page: Any) -> list[str]:
    return [*page.attributes("src"), *page.attributes("href")]


@pytest.mark.parametrize("evil", HOSTILE)
def test_header_text_is_data_everywhere(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, read_page: ReadPage, evil: str
) -> None:
    study = make_study(
        patient=Patient(id=evil, name=evil, sex=evil, age=evil),
        notes=(evil,),
        path=f"/inbox/{evil.replace('/', '_')}.dcm",
        accession=evil,
        study_date=evil,
    )
    render_study(tmp_path, study, facts, replace(SETTINGS, hospital=evil))
    page = read_page(report_folder(tmp_path, study) / "report.html")
    tags = {tag for tag, _ in page.elements}
    assert "script" not in tags
    assert page.tags("style").__len__() == 1
    assert not [key for _, attrs in page.elements for key in attrs if key.startswith("on") or key == "style"]
    assert squeezed(evil) in squeezed(page.text)
    assert "49" not in [cell.strip() for cell in page.text.split(" ")]
    assert not [link for link in references(page) if "alert" in link]
    assert squeezed(evil) in text_of(report_folder(tmp_path, study) / "report.pdf")


def test_the_page_shows_only_files_beside_it_and_its_policy_allows_no_more(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, read_page: ReadPage
) -> None:
    study = make_study()
    render_study(tmp_path, study, facts, SETTINGS)
    folder = report_folder(tmp_path, study)
    page = read_page(folder / "report.html")
    for image in page.attributes("src"):
        assert "/" not in image
        Image.open(folder / image).verify()
    assert all(not re.match(r"\w+:|//", link) for link in references(page))
    assert set(page.attributes("href")) <= {"../../index.html", "report.pdf", "film-1.jpg"}
    policy = next(m["content"] for m in page.tags("meta") if m.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.inline["style"][0].encode()).digest()).decode()
    assert policy.split("; ")[:2] == ["default-src 'none'", "img-src 'self' file:"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "script-src 'none'" in policy
    for name in ("report.html", "report.pdf"):
        assert b"base64" not in (folder / name).read_bytes()


def test_pictures_of_the_pdf_are_the_films_own_bytes(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts
) -> None:
    study = make_study()
    render_study(tmp_path, study, facts, replace(SETTINGS, html=False))
    folder = report_folder(tmp_path, study)
    assert (tmp_path / study.images[0].display_file).read_bytes() in (folder / "report.pdf").read_bytes()
    assert {path.name for path in folder.iterdir()} == {"report.pdf", "thumb.jpg"}
    assert max(Image.open(folder / "thumb.jpg").size) == 160


def test_html_alone_imports_neither_tensorflow_nor_weasyprint_nor_matplotlib() -> None:
    code = (
        "import sys, cxrbatch.reporting.study_report, cxrbatch.reporting.worklist, cxrbatch.reporting.audit;"
        "print([m for m in ('tensorflow', 'keras', 'weasyprint', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_several_images_have_their_sections_and_the_study_its_highest(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, read_page: ReadPage
) -> None:
    study = make_study(probabilities=((0.9, 0.11, 0.1, 0.02, 0.01), (0.2, 0.77, 0.1, 0.02, 0.01)))
    render_study(tmp_path, study, facts, SETTINGS)
    folder = report_folder(tmp_path, study)
    html = (folder / "report.html").read_text(encoding="utf-8")
    first_table = re.search(r"<table.*?</table>", html, re.S)
    assert first_table
    assert "highest value over its 2 images" in first_table[0]
    assert "0.900" in first_table[0]
    assert "0.770" in first_table[0]
    assert "0.110" not in first_table[0]
    text = read_page(folder / "report.html").text
    assert "Image 1 of 2" in text
    assert "Image 2 of 2" in text
    assert {"film-1.jpg", "film-2.jpg", "overlay-1-1.jpg", "overlay-2-1.jpg"} <= {
        p.name for p in folder.iterdir()
    }


def test_a_map_that_is_nowhere_positive_is_said_not_drawn(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, read_page: ReadPage
) -> None:
    study = make_study(maps=np.full((10, 10, 5), -1, np.float16))
    render_study(tmp_path, study, facts, SETTINGS)
    folder = report_folder(tmp_path, study)
    assert "no region speaks for this finding" in read_page(folder / "report.html").text
    assert not list(folder.glob("overlay*"))


def test_a_model_without_heat_maps_says_so(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, read_page: ReadPage
) -> None:
    study = make_study(with_maps=False)
    render_study(tmp_path, study, facts, SETTINGS)
    assert "This model has no heat maps." in read_page(report_folder(tmp_path, study) / "report.html").text


@pytest.mark.parametrize(("scale", "words"), [(None, "this image only"), (5.0, "as in every study")])
def test_the_caption_says_whose_colour_scale_it_is(
    tmp_path: Path,
    make_study: MakeStudy,
    new_card: Callable[..., Card],
    new_facts: Callable[[Card], RunFacts],
    read_page: ReadPage,
    scale: float | None,
    words: str,
) -> None:
    card = new_card()
    if scale:
        card = new_card(map_scale=dict.fromkeys(card.findings, scale))
    study = make_study()
    render_study(tmp_path, study, new_facts(card), SETTINGS)
    assert words in read_page(report_folder(tmp_path, study) / "report.html").text


def test_rendering_again_leaves_nothing_of_the_time_before(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts
) -> None:
    study = make_study()
    folder = report_folder(tmp_path, study)
    render_study(tmp_path, study, facts, replace(SETTINGS, findings="all"))
    (folder / "of_the_site.txt").write_text("kept", encoding="utf-8")
    assert len(list(folder.glob("overlay*"))) == 5
    render_study(tmp_path, study, facts, replace(SETTINGS, findings="flagged", pdf=False))
    assert {p.name for p in folder.iterdir()} == {
        "film-1.jpg", "overlay-1-1.jpg", "overlay-1-2.jpg", "scale.jpg", "thumb.jpg", "report.html",
        "of_the_site.txt",
    }  # fmt: skip


def test_rendering_twice_gives_the_same_bytes(tmp_path: Path, make_study: MakeStudy, facts: RunFacts) -> None:
    study = make_study()
    folder = report_folder(tmp_path, study)
    versions = []
    for _ in range(2):
        render_study(tmp_path, study, facts, SETTINGS)
        versions.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert versions[0] == versions[1]


def test_a_site_overrides_one_template_and_keeps_the_others(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, read_page: ReadPage
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "report.html").write_text(
        '{% import "parts.html" as p %}<h1>Klinik</h1>{{ p.notice() }}<i>{{ header.patient.name }}</i>',
        encoding="utf-8",
    )
    study = make_study(patient=Patient(name="<b>x"))
    render_study(tmp_path, study, facts, replace(SETTINGS, templates=site))
    folder = report_folder(tmp_path, study)
    page = read_page(folder / "report.html")
    assert page.text.startswith("Klinik A machine's estimate")
    assert page.text.endswith("<b>x")
    assert "Chestradiograph:findingsestimatedbymachine" in text_of(folder / "report.pdf")


def test_a_sites_pdf_template_that_reaches_out_fails_this_report_and_leaves_no_pdf(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "report_pdf.html").write_text('<img src="http://127.0.0.1:9/logo.png">', encoding="utf-8")
    study = make_study()
    with pytest.raises(PdfError, match=r"127\.0\.0\.1"):
        render_study(tmp_path, study, facts, replace(SETTINGS, templates=site))
    assert not list(report_folder(tmp_path, study).iterdir())


@pytest.mark.parametrize("suffix", ["png", "jpg", "svg"])
def test_the_hospitals_logo_is_in_both(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, read_page: ReadPage, suffix: str
) -> None:
    logo = tmp_path / f"logo.{suffix}"
    if suffix == "svg":
        logo.write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
        )
    else:
        Image.new("RGB", (2000, 700), (10, 60, 120)).save(logo)
    study = make_study()
    render_study(tmp_path, study, facts, replace(SETTINGS, logo=logo))
    folder = report_folder(tmp_path, study)
    expected = "logo.svg" if suffix == "svg" else "logo.jpg"
    assert expected in read_page(folder / "report.html").attributes("src")
    if suffix != "svg":
        assert max(Image.open(folder / expected).size) <= 480
        names = {image.name for page in PdfReader(folder / "report.pdf").pages for image in page.images}
        assert len(names) == 5  # film, logo, two overlays, colour scale


def test_a_logo_that_is_no_picture_is_said(tmp_path: Path, make_study: MakeStudy, facts: RunFacts) -> None:
    logo = tmp_path / "logo.png"
    logo.write_text("no picture", encoding="utf-8")
    with pytest.raises(ValueError, match=r"logo\.png' is no picture"):
        render_study(tmp_path, make_study(), facts, replace(SETTINGS, logo=logo))


def test_maps_of_another_model_are_refused(tmp_path: Path, make_study: MakeStudy, facts: RunFacts) -> None:
    study = make_study(maps=np.ones((10, 10, 3), np.float16))
    with pytest.raises(ValueError, match=r"Received: \(10, 10, 3\)"):
        render_study(tmp_path, study, facts, SETTINGS)


def test_maps_are_never_unpickled(tmp_path: Path, make_study: MakeStudy, facts: RunFacts) -> None:
    study = make_study()
    data = io.BytesIO()
    np.save(data, np.array([print], dtype=object), allow_pickle=True)
    (tmp_path / str(study.images[0].maps_file)).write_bytes(data.getvalue())
    with pytest.raises(ValueError, match="allow_pickle"):
        render_study(tmp_path, study, facts, SETTINGS)


def test_a_png_without_any_header_is_named_by_its_file(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, read_page: ReadPage
) -> None:
    path = b"/inbox/caf\xe9.png".decode("utf-8", errors="surrogateescape")
    study = make_study(patient=Patient(), accession="", study_date="", view=View.UNKNOWN, path=path)
    render_study(tmp_path, study, facts, SETTINGS)
    folder = report_folder(tmp_path, study)
    page = read_page(folder / "report.html").text
    for words in ("not stated", "date not stated", "View unknown", "caf%E9.png"):
        assert words in page
    assert "caf%E9.png" in text_of(folder / "report.pdf")


def test_a_report_has_the_models_own_list_whatever_it_is_called(
    tmp_path: Path,
    make_study: MakeStudy,
    new_card: Callable[..., Card],
    new_facts: Callable[[Card], RunFacts],
) -> None:
    """Names that no hospital has, none of the usual ones, and every name in the order of its output."""
    names = ("Verschattung <li>", "Œdème & épanchement", "41", "肺結節", "True")
    card = new_card(findings=names, thresholds=dict.fromkeys(names, 0.5), validation=None)
    study = make_study(probabilities=((0.91, 0.82, 0.73, 0.24, 0.15),))
    render_study(tmp_path, study, new_facts(card), replace(SETTINGS, findings="all"))
    page = (report_folder(tmp_path, study) / "report.html").read_text(encoding="utf-8")
    shown = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())
    for name, probability in zip(names, ("0.910", "0.820", "0.730", "0.240", "0.150"), strict=True):
        assert f"{name} {probability}" in shown
    assert "Effusion" not in shown
    assert "Pneumothorax" not in shown
    pdf = text_of(report_folder(tmp_path, study) / "report.pdf")
    assert all(squeezed(name) in pdf for name in names)
