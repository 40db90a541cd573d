"""PDF: nothing but the report's own pictures is fetched, and the number of pages is right."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader
from weasyprint.urls import URLFetchingError, fetch

from cxrbatch.reporting.content import PageSize
from cxrbatch.reporting.pdf import PdfError, PictureFetcher, write_pdf


@pytest.fixture
def jpeg() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (40, 20), (200, 10, 10)).save(data, "JPEG")
    return data.getvalue()


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://127.0.0.1:9/x.png",
        "https://example.org/x.png",
        "ftp://example.org/x",
        "data:text/plain,hello",
        "picture:other.jpg",
        "picture:../film.jpg",
        "PICTURE:film.jpg?file:///etc/passwd",
    ],
)
def test_fetcher_refuses_everything_that_it_does_not_hold(jpeg: bytes, url: str) -> None:
    fetcher = PictureFetcher({"film.jpg": jpeg})
    with pytest.raises(URLFetchingError, match="none of the report's own"), fetch(fetcher, url):
        pass
    assert fetcher.refused == [url]


def test_fetcher_gives_its_pictures_by_either_way_in(jpeg: bytes) -> None:
    fetcher = PictureFetcher({"film.jpg": jpeg})
    assert fetcher.fetch("picture:film.jpg").read() == jpeg
    response = fetcher.open("picture:film.jpg")
    assert (response.read(), response.content_type) == (jpeg, "image/jpeg")


def pdf_of(html: str, site: Path | None = None, pictures: dict[str, bytes] | None = None) -> bytes:
    return write_pdf(
        lambda pages: html.replace("PAGES", str(pages)),
        pictures or {},
        "report_pdf.css",
        PageSize.A4,
        site,
        ("test", html),
    )


@pytest.mark.parametrize(
    "html",
    [
        '<img src="file:///etc/hostname">',
        '<img src="http://127.0.0.1:9/x.png">',
        '<link rel="stylesheet" href="http://127.0.0.1:9/x.css">',
        "<style>@import url('file:///etc/passwd');</style>",
        "<style>p { background: url(http://127.0.0.1:9/x.png) }</style><p>x</p>",
        '<object data="file:///etc/passwd"></object>',
        '<link rel="attachment" href="file:///etc/passwd">',
        '<svg><image href="file:///etc/passwd" width="9" height="9"/></svg>',
    ],
)
def test_a_template_that_reaches_out_is_an_error_not_a_hole(html: str) -> None:
    with pytest.raises(PdfError, match=r"none of the report's own pictures"):
        pdf_of(f"<body>{html}</body>")


def test_a_style_sheet_that_reaches_out_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "report_pdf.css").write_text("@import url('http://127.0.0.1:9/x.css');", encoding="utf-8")
    with pytest.raises(PdfError, match=r"report_pdf.css"):
        pdf_of("<p>x</p>", site=tmp_path)


def test_picture_goes_into_the_pdf_as_it_is(jpeg: bytes) -> None:
    pdf = pdf_of('<img src="picture:film.jpg">', pictures={"film.jpg": jpeg})
    assert jpeg in pdf
    assert len(PdfReader(io.BytesIO(pdf)).pages[0].images) == 1


def test_a_wrong_guess_of_the_number_of_pages_is_put_right() -> None:
    html = (
        '<p class="running" data-who="w" data-run="r" data-pages="PAGES"></p>'
        + '<p style="break-after: page">x</p>' * 3
        + "<p>y</p>"
    )
    for _ in range(2):  # the first time the guess is wrong, the second time it is remembered
        pages = PdfReader(io.BytesIO(pdf_of(html))).pages
        assert len(pages) == 4
        for number, page in enumerate(pages, start=1):
            assert f"Page {number} of 4" in page.extract_text()
