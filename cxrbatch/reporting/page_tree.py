"""From a page's text to the tree that WeasyPrint lays out: quickly for our own pages, as usual for a site's.

WeasyPrint parses HTML in Python, as browsers do, and computes the styles of six pseudo-elements for every
element of a page, since its style sheet for browsers' defaults names them for all. Our own templates are
well-formed XML, which a parser in C reads in a fortieth of the time, and have list markers at most. The two
shortcuts save a sixth of the processor time of a PDF (docs/performance.md).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

from cssselect2 import ElementWrapper  # type: ignore[import-untyped]
from weasyprint import CSS, HTML
from weasyprint.html import UA, UA_COUNTER_STYLE
from weasyprint.urls import URLFetcher


def parse_page(page: bytes, fetcher: URLFetcher, base_url: str | None, *, ours: bool) -> HTML:
    """The tree of a page.

    Args:
        page: HTML as UTF-8.
        ours: made from shipped templates only. A site's templates may be any HTML and use all of CSS.
    """
    if ours:
        try:
            root = ElementTree.fromstring(page)
        except ElementTree.ParseError:
            pass  # text of a header may hold what HTML allows and XML does not, such as U+FFFE
        else:
            if root.tag == "html":
                return OwnPage(root, fetcher, base_url)
    return HTML(string=page, encoding="utf-8", url_fetcher=fetcher, base_url=base_url)


class OwnPage(HTML):
    """What `weasyprint.HTML` is after parsing; its own constructor can only parse HTML."""

    def __init__(self, root: ElementTree.Element, fetcher: URLFetcher, base_url: str | None) -> None:
        self.base_url = base_url
        self.url_fetcher = fetcher
        self.media_type = "print"
        self.wrapper_element = ElementWrapper.from_html_root(root, content_language=None)
        self.etree_element = self.wrapper_element.etree_element

    def _ua_stylesheets(self, forms: bool = False) -> list[Any]:
        return [_defaults()]


@lru_cache(maxsize=1)
def _defaults() -> CSS:
    """WeasyPrint's style sheet of defaults without notes, and with markers for items of lists only."""
    without_notes = re.sub(r"^::(footnote|note)-[^}]*}$", "", UA, flags=re.MULTILINE)
    text = re.sub(r"^::marker\b", "li::marker", without_notes, flags=re.MULTILINE)
    return CSS(string=text, counter_style=UA_COUNTER_STYLE.copy())
