"""PDF by WeasyPrint, fast and closed: one layout pass, and nothing is fetched but the report's own pictures.

WeasyPrint holds a whole document in memory and frees it slowly: one PDF at a time, in worker processes.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pydyf
from weasyprint import CSS, HTML, Document
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import URLFetcher, URLFetcherResponse

from cxrbatch.reporting.content import PageSize
from cxrbatch.reporting.kept_layouts import KeptLayouts
from cxrbatch.reporting.page_tree import OwnPage, parse_page
from cxrbatch.reporting.rendering import templates, to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEME = "picture:"
"""Pictures are named ``picture:NAME`` in PDF templates."""

_MIME = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".svg": "image/svg+xml"}
_page_counts: dict[tuple[object, ...], int] = {}

# pydyf writes WeasyPrint's PDFs, and always asks for level 9: more than twice the time of zlib's own level on
# pages and fonts like ours, for a PDF smaller by 0.1% (docs/performance.md).
pydyf.zlib = SimpleNamespace(compress=zlib.compress, compressobj=lambda level: zlib.compressobj())

# WeasyPrint warns of every CSS property that it does not know: nothing for the log of a night.
logging.getLogger("weasyprint").setLevel(logging.ERROR)


class PdfError(ValueError):
    """A PDF template asks for something it may not have."""


class PictureFetcher(URLFetcher):
    """Gives out the pictures it holds, from memory, and those in the folder of the site's templates.

    Every other URL is refused, network and files alike.
    """

    def __init__(self, pictures: Mapping[str, bytes], site: Path | None = None) -> None:
        super().__init__(allowed_protocols=[SCHEME.rstrip(":"), "file"], allow_redirects=False)
        self._pictures = pictures
        self._site = None if site is None else site.resolve()
        self.refused: list[str] = []

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> URLFetcherResponse:
        name = url.removeprefix(SCHEME)
        own = self._own_file(url)
        if own is not None:
            return URLFetcherResponse(url, own.read_bytes(), {"Content-Type": _MIME[own.suffix.lower()]})
        if not url.startswith(SCHEME) or name not in self._pictures:
            self.refused.append(url[:200])
            raise ValueError(f"'{url[:200]}' is none of the report's own pictures.")
        mime = _MIME.get(Path(name).suffix.lower(), "application/octet-stream")
        return URLFetcherResponse(url, self._pictures[name], {"Content-Type": mime})

    def _own_file(self, url: str) -> Path | None:
        """The picture in the site's folder that `url` means; links out of the folder do not count."""
        parts = urlsplit(url)
        if self._site is None or parts.scheme != "file" or parts.netloc:
            return None
        path = Path(unquote(parts.path)).resolve()
        is_own = path.is_relative_to(self._site) and path.suffix.lower() in _MIME and path.is_file()
        return path if is_own else None


def write_pdf(
    page: Callable[[int], str],
    pictures: Mapping[str, bytes],
    style: str,
    page_size: PageSize,
    site: Path | None,
    shape: tuple[object, ...],
    *,
    many: bool = False,
) -> bytes:
    """A PDF of the HTML that `page` gives for an expected number of pages ("page n of m").

    Reports of the same `shape` (number of images, overlays, lines) have the same number of pages, so the last
    one's is expected, and only a wrong guess that the page shows costs a second pass. A style sheet that says
    ``counter(pages)`` in a margin shows none.

    Args:
        page: called with the expected number of pages.
        pictures: by the name they have after ``picture:``.
        style: name of the style sheet in the templates folder.
        shape: what the number of pages depends on.
        many: others of this kind will follow in this process, so that a layout is worth keeping.

    Raises:
        PdfError: the template refers to something other than `pictures`.
    """
    key = (style, page_size, site, *shape)
    expected = _page_counts.get(key, 1)
    text = shown = page(expected)
    for _ in range(3):  # the number itself may move a line break; it settles at once
        fetcher = PictureFetcher(pictures, site)
        tree = parse_page(to_bytes(text), fetcher, _base(site), ours=site is None)
        document = _document(tree, style, page_size, site, keep=many)
        _refuse(fetcher, pictures)
        _page_counts[key] = pages = len(document.pages)
        if pages == expected or (text := page(pages)) == shown:
            break
        expected, shown = pages, text
    result: bytes = document.write_pdf()
    _refuse(fetcher, pictures)  # attachments and pictures within SVG are fetched only now
    return result


def _base(site: Path | None) -> str | None:
    """What plain names in a page are relative to: nothing but the site's own folder of templates."""
    return None if site is None else f"{site.resolve().as_uri()}/"


def _refuse(fetcher: PictureFetcher, pictures: Mapping[str, bytes]) -> None:
    """A report that lacks something it asked for is no report: WeasyPrint itself would only leave it out."""
    if fetcher.refused:
        raise PdfError(
            f"A PDF template asks for '{fetcher.refused[0]}', which is none of the report's own pictures "
            f"({', '.join(sorted(pictures)) or 'it has none'}): refer to them as {SCHEME}NAME."
        )


def _document(page: HTML, style: str, page_size: PageSize, site: Path | None, *, keep: bool) -> Document:
    """The laid out page; with `keep` from a kept layout where it is ours: a site's may use all of CSS."""

    def lay_out(page: HTML) -> Document:
        return page.render(font_config=_fonts(), stylesheets=_style_sheets(style, page_size, site))

    if keep and site is None and isinstance(page, OwnPage):
        return _kept_layouts(style, page_size).document(page, lay_out)
    return lay_out(page)


@lru_cache(maxsize=4)
def _kept_layouts(style: str, page_size: PageSize) -> KeptLayouts:
    return KeptLayouts(_fonts())


@lru_cache(maxsize=1)
def _fonts() -> FontConfiguration:
    return FontConfiguration()


@lru_cache(maxsize=8)
def _style_sheets(style: str, page_size: PageSize, site: Path | None) -> list[CSS]:
    """Parsed once per process; a style sheet that fetches anything is refused like a page that does."""
    environment = templates(site)
    assert environment.loader is not None
    source = environment.loader.get_source(environment, style)[0]
    fetcher = PictureFetcher({}, site)
    sheets = [
        CSS(string=text, url_fetcher=fetcher, font_config=_fonts(), base_url=_base(site))
        for text in (source, f"@page {{ size: {page_size.value} }}")
    ]
    if fetcher.refused:
        raise PdfError(
            f"The style sheet '{style}' asks for '{fetcher.refused[0]}': it may not load anything."
        )
    return sheets
