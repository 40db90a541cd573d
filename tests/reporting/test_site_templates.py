"""A site's templates may use what lies in their folder, and reach for nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from cxrbatch.config import ConfigError, load_config
from cxrbatch.reporting.content import PageSize
from cxrbatch.reporting.pdf import PdfError, write_pdf
from cxrbatch.reporting.site_templates import problem_of
from cxrbatch.resources import shipped_folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "pictures").mkdir(parents=True)
    Image.new("RGB", (30, 20), "teal").save(folder / "pictures" / "stamp.png")
    Image.new("RGB", (30, 20), "red").save(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "notes.txt").write_text("of the site")
    return folder


def pdf_of(html: str, site: Path | None) -> PdfReader:
    shape = ("site", html, str(site))
    return PdfReader(io.BytesIO(write_pdf(lambda _: html, {}, "report_pdf.css", PageSize.A4, site, shape)))


def test_a_picture_in_the_folder_is_printed(site: Path) -> None:
    absolute = (site / "pictures" / "stamp.png").as_uri()
    for source in ("pictures/stamp.png", absolute):
        assert len(pdf_of(f'<img src="{source}">', site).pages[0].images) == 1


@pytest.mark.parametrize(
    "source",
    ["../secret.png", "link.png", "notes.txt", "file:///etc/passwd", "file://host/pictures/stamp.png",
     "http://127.0.0.1:9/x.png", "data:image/png;base64,AAAA", "%2e%2e/secret.png", "missing.png"],
)  # fmt: skip
def test_anything_else_is_refused(site: Path, source: str) -> None:
    with pytest.raises(PdfError, match="none of the report's own pictures"):
        pdf_of(f'<img src="{source}">', site)


def test_without_a_folder_no_file_is_read(site: Path) -> None:
    with pytest.raises(PdfError):
        pdf_of(f'<img src="{(site / "pictures" / "stamp.png").as_uri()}">', None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("report.html", '<p><img src="http://example.org/x.png">'),
        ("report.html", "<p><img alt='' src='//example.org/x.png'>"),
        ("report.html", '<img src="data:image/png;base64,AAAA">'),
        ("report.html", '<img src=" file:///etc/hostname">'),
        ("parts.html", '<link rel="stylesheet" href="https://example.org/x.css">'),
        ("report.css", "p { background: url('https://example.org/x.png') }"),
        ("report.css", "@import 'x.css';"),
        ("worklist.js", "fetch('x')"),
        ("parts/deep.html", '<iframe srcdoc="x">'),
    ],
)
def test_a_template_that_reaches_out_stops_the_night_before_it_begins(
    tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / "site" / name
    path.parent.mkdir(parents=True)
    path.write_text(f"first line\n{text}\n")
    config = tmp_path / "cxrbatch.toml"
    config.write_text('[report]\ntemplates = "site"\n')
    with pytest.raises(ConfigError, match=r"line 2, key 'report\.templates': .*line 2: .*would load"):
        load_config(config)


def test_a_page_without_a_policy_is_refused(tmp_path: Path) -> None:
    page = (shipped_folder("templates") / "report.html").read_text()
    (tmp_path / "report.html").write_text(page)
    assert problem_of(tmp_path) == ""
    lines = [line for line in page.splitlines() if "Content-Security-Policy" not in line]
    (tmp_path / "report.html").write_text("\n".join(lines))
    assert "no content security policy" in problem_of(tmp_path)


def test_the_shipped_templates_pass() -> None:
    assert problem_of(shipped_folder("templates")) == ""


def test_a_link_that_a_reader_may_follow_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "parts.html").write_text('<a href="https://example.org/">Our department</a>')
    assert problem_of(tmp_path) == ""
