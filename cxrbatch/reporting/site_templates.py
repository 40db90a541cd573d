"""A site's own templates, looked over before the night: a page of patients fetches nothing."""

from __future__ import annotations

import re
from pathlib import Path

_SCHEME = r"(?!picture:)(?:[a-z][a-z0-9+.-]*:|//)"
_FETCHES = re.compile(
    rf"""\b(?:src|srcset|poster|data|background|action|xlink:href)\s*=\s*["']?\s*{_SCHEME}"""
    rf"""|<(?:link|image|use)\b[^>]*\bhref\s*=\s*["']?\s*{_SCHEME}"""
    rf"""|url\(\s*["']?\s*{_SCHEME}|@import|\bfetch\(|XMLHttpRequest|<base\b|<iframe\b""",
    re.IGNORECASE,
)
_PAGE = re.compile(r"<html\b|<head\b|<!doctype", re.IGNORECASE)
_POLICY = re.compile(r"""http-equiv="Content-Security-Policy"\s+content="\{\{\s*policy\(""")


def problem_of(folder: Path) -> str:
    """What is wrong with the templates in `folder`, as one sentence; blank if nothing is.

    Nothing may be fetched from another place (``http:``, ``https:``, ``data:``, ``file:``, ``//host``), and
    every HTML page must carry the content security policy, which has the browser enforce the same. PDF
    templates may name pictures that lie in the folder by their plain names.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".html", ".css", ".js") or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            return f"{path} cannot be read as UTF-8 ({type(error).__name__})."
        found = _FETCHES.search(text)
        if found:
            line = text.count("\n", 0, found.start()) + 1
            return (
                f"{path}, line {line}: {found[0]!a} would load something into a page of patients: "
                "keep the file in the folder of templates and name it without a scheme."
            )
        is_page = _PAGE.search(text) and not path.stem.endswith("_pdf")
        if path.suffix == ".html" and is_page and not _POLICY.search(text):
            return (
                f"{path}: the page has no content security policy: copy the line with "
                "'Content-Security-Policy' from the shipped template of that name."
            )
    return ""
