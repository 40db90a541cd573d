"""Jinja for all pages: the site's templates before ours, escaping, and a strict content security policy.

Header text of patients is data everywhere: autoescape is on for every template, no page has an inline
event handler or style attribute, and scripts and style sheets run only by their hash.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cxrbatch.reporting import wording
from cxrbatch.resources import shipped_folder

# C0 and C1 controls have no place in a page; bidi overrides could make one name look like another.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@lru_cache(maxsize=4)
def templates(site: Path | None = None) -> Environment:
    """The Jinja environment, once per process: `site` overrides the shipped templates file by file.

    Raises:
        FileNotFoundError: `site` is given and is no folder.
    """
    if site is not None and not site.is_dir():
        raise FileNotFoundError(
            f"The folder of site templates '{site}' does not exist: see [reports] templates."
        )
    folders = [folder for folder in (site, shipped_folder("templates")) if folder is not None]
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in ("date", "time", "moment", "sex", "age", "person", "finding", "probability", "words"):
        environment.filters[name] = getattr(wording, name)
    environment.filters["file_name"] = wording.file_name
    environment.filters["in_url"] = lambda part: quote(part, safe="")
    environment.globals["style"] = lambda name: _inline(environment, name)[0]
    environment.globals["policy"] = lambda *names: _policy(environment, names)
    return environment


def render(site: Path | None, name: str, **content: object) -> str:
    """One page as text, clean enough to be written as UTF-8 (see `to_bytes`)."""
    return templates(site).get_template(name).render(**content)


def to_bytes(page: str) -> bytes:
    """UTF-8; bytes of paths that are no UTF-8 come out percent-encoded (contract 3.3); no controls."""
    return _CONTROLS.sub("", page).encode("utf-8", errors="cxrbatch.percent")


def _percent(error: UnicodeError) -> tuple[str, int]:
    """Error handler: a surrogate escape (PEP 383) as %XX, any other lone surrogate as a replacement mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    codes = [ord(character) for character in error.object[error.start : error.end]]
    return "".join(f"%{c - 0xDC00:02X}" if 0xDC80 <= c <= 0xDCFF else "?" for c in codes), error.end


codecs.register_error("cxrbatch.percent", _percent)


def _inline(environment: Environment, name: str) -> tuple[Markup, str]:
    """A style sheet or script of the templates folder as it stands, and its hash for the policy."""
    text = _source(environment, name)
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    # Not escaped: a file of ours or the site's, and nothing of a patient is in it.
    return Markup(text), f"'sha256-{base64.b64encode(digest).decode()}'"


@lru_cache(maxsize=32)
def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].replace("\r\n", "\n")


def _policy(environment: Environment, names: tuple[str, ...]) -> str:
    """Content-Security-Policy of a page that inlines these files and shows its own pictures only."""
    styles, scripts = (
        " ".join(_inline(environment, name)[1] for name in names if name.endswith(kind)) or "'none'"
        for kind in (".css", ".js")
    )
    return (
        f"default-src 'none'; img-src 'self' file:; style-src {styles}; script-src {scripts}; "
        "base-uri 'none'; form-action 'none'"
    )
