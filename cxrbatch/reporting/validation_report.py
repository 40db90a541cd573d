"""``validation.html`` and ``validation.pdf``: the figures of a validation as a committee reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrbatch.bundles.card import Card
from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.reporting.failure_gallery import gallery
from cxrbatch.reporting.rendering import render, to_bytes
from cxrbatch.reporting.validation_content import ValidationContent
from cxrbatch.reporting.wording import finding as in_words

FIGURES = "figures"
"""Pictures of validation.html, below the folder of the report."""
PDF_FLAGS = 60
"""Longest list of flagged gaps in the PDF; all are in subgroups.csv."""

_OURS = re.compile(r"(failure-\d+\.jpg)|((overview|histograms|finding-[\w.-]+)\.png)")


@dataclass(frozen=True, slots=True)
class FlaggedGap:
    """A gap whose interval leaves zero: where, how large, and the values it is made of."""

    attribute: str
    group: str
    finding: str
    measure: str
    value: float | None
    difference: float
    low: float
    high: float


def write_validation_report(
    folder: Path,
    content: ValidationContent,
    settings: ReportSettings,
    run: tuple[Path, Card] | None = None,
) -> None:
    """Write ``validation.html``, ``validation.pdf`` and ``figures/`` to an existing folder.

    Args:
        run: the run folder whose pictures the failure gallery shows, and its model's card.

    Raises:
        PdfError: a site's PDF template asks for something that is not part of the report.
        OSError: the folder cannot be written.
    """
    from cxrbatch.reporting.pdf import SCHEME, write_pdf

    panels, films = gallery(*run, content.failures) if run is not None else ([], {})
    pictures = {**content.pictures, **films}
    figures = folder / FIGURES
    figures.mkdir(exist_ok=True)
    for path in figures.iterdir():
        if path.name not in pictures and _OURS.fullmatch(path.name):
            path.unlink()
    for name, data in pictures.items():
        write_atomic(figures / name, data, durable=False)
    flags = flagged_gaps(content.metrics.get("subgroups", {}))
    common: dict[str, Any] = {
        "content": content,
        "metrics": content.metrics,
        "labels": content.metrics["labels"],
        "settings": settings,
        "panels": panels,
        "remarks": remarks(content.metrics["labels"]),
        "flags": flags,
        "gaps": count_gaps(content.metrics.get("subgroups", {})),
    }
    page = render(settings.templates, "validation.html", at=f"{FIGURES}/", **common)
    write_atomic(folder / "validation.html", to_bytes(page))
    common["flags"] = flags[:PDF_FLAGS]
    common["flags_left_out"] = len(flags[PDF_FLAGS:])
    pdf = write_pdf(
        lambda pages: render(settings.templates, "validation_pdf.html", at=SCHEME, pages=pages, **common),
        pictures,
        "validation_pdf.css",
        settings.page_size,
        settings.templates,
        ("validation", len(content.metrics["labels"]), len(panels), len(flags)),
    )
    write_atomic(folder / "validation.pdf", pdf)


def flagged_gaps(subgroups: Mapping[str, Any]) -> list[FlaggedGap]:
    """Every gap whose interval leaves zero, the largest first within each attribute.

    Of two groups each is the other's rest: only the first one's gaps are listed.
    """
    found = [
        _flagged(attribute, group, finding, label, measure)
        for attribute, groups in subgroups.items()
        for group, content in _once(groups)
        for finding, label in [("macro", content), *content["labels"].items()]
        for measure in label.get("flags", ())
    ]
    order = list(subgroups)
    return sorted(found, key=lambda gap: (order.index(gap.attribute), -abs(gap.difference)))


def remarks(labels: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Warnings as (what, findings): those that differ in a number only share a line, the number in brackets.

    Those on the operating point are said beside it.
    """
    lines: dict[str, list[str]] = {}
    for finding, label in labels.items():
        for text in label["warnings"]:
            if text.startswith("operating point:"):
                continue
            number = re.search(r"\d+", text)
            kind = re.sub(r"(only )?\d+", "few" if "only" in text else "some", text, count=1)
            name = in_words(finding)
            lines.setdefault(kind, []).append(f"{name} ({number[0]})" if number else name)
    return [(kind, ", ".join(names)) for kind, names in lines.items()]


def count_gaps(subgroups: Mapping[str, Any]) -> int:
    """How many gaps have an interval: of so many, one in twenty leaves zero by chance."""
    return sum(
        gap.get("ci95") is not None
        for groups in subgroups.values()
        for _, content in _once(groups)
        for label in (content, *content["labels"].values())
        for gap in label.get("gaps", {}).values()
    )


def _once(groups: Mapping[str, Any]) -> list[tuple[str, Any]]:
    rows = list(groups.items())
    return rows[:1] if len(rows) == 2 else rows


def _flagged(attribute: str, group: str, finding: str, label: Mapping[str, Any], measure: str) -> FlaggedGap:
    gap = label["gaps"][measure]
    key = "macro_auroc" if finding == "macro" else measure
    return FlaggedGap(attribute, group, finding, measure, label[key], gap["difference"], *gap["ci95"])
