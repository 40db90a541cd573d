"""``comparison.html`` and ``comparison.pdf``: may the new model replace the old one, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.reporting.forest import ForestRow, forest_plot
from cxrbatch.reporting.rendering import render, to_bytes
from cxrbatch.reporting.wording import finding as in_words

FOLDER = "comparison_files"
"""Pictures of comparison.html."""

TITLES = {
    "superior": "Superior: B may replace A",
    "non_inferior": "Non-inferior: B may replace A",
    "inferior": "Inferior: B may not replace A",
    "inconclusive": "Inconclusive: B may not replace A on these data",
}


def write_comparison(out: Path, content: Mapping[str, Any], settings: ReportSettings) -> None:
    """Write both reports into `out` from the content of verdict.json (schema 1), and from nothing else.

    Raises:
        PdfError: a site's PDF template asks for something that is not part of the report.
    """
    from cxrbatch.reporting.pdf import SCHEME, write_pdf

    pictures = {"forest.png": _forest(content)}
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    for name, data in pictures.items():
        write_atomic(out / FOLDER / name, data)
    common: dict[str, object] = {
        "v": content,
        "title": TITLES[content["verdict"]],
        "settings": settings,
        "signed": _signed,
        "p": _p,
        "span": _span,
    }
    page = render(settings.templates, "comparison.html", at=f"{FOLDER}/", **common)
    write_atomic(out / "comparison.html", to_bytes(page))
    pdf = write_pdf(
        lambda pages: render(settings.templates, "comparison_pdf.html", at=SCHEME, pages=pages, **common),
        pictures,
        "comparison_pdf.css",
        settings.page_size,
        settings.templates,
        ("comparison", len(content["findings"]), len(content["warnings"])),
    )
    write_atomic(out / "comparison.pdf", pdf)


def _forest(content: Mapping[str, Any]) -> bytes:
    primary = content["primary"]
    rows = []
    if primary["difference"] is not None:
        name = f"Macro ({primary['macro_labels']} findings)"
        rows.append(ForestRow(name, primary["difference"], _pair(primary["ci95"]), None, bold=True))
    for name, row in content["findings"].items():
        auroc = row["auroc"]
        if auroc["difference"] is not None:
            label = f"{in_words(name)} ({row['n_pos']})"
            interval, corrected = _pair(auroc["ci95"]), _pair(auroc["ci95_corrected"])
            rows.append(ForestRow(label, auroc["difference"], interval, corrected))
    return forest_plot(rows, -content["margin"], content["veto"]["limit"])


def _pair(value: list[float] | None) -> tuple[float, float] | None:
    return None if value is None else (value[0], value[1])


def _signed(value: float | None, digits: int = 3) -> str:
    """``+0.012``, ``0.000`` for exactly none, a dash where there is no figure."""
    if value is None:
        return "–"
    return f"{value:+.{digits}f}" if value != 0 else f"{0:.{digits}f}"


def _span(value: list[float] | None, digits: int = 3) -> str:
    return "–" if value is None else f"{_signed(value[0], digits)} to {_signed(value[1], digits)}"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"
