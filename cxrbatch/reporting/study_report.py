"""One study's report: HTML, PDF, and the pictures they show, in ``reports/<study_key>/``.

Runs in a worker process, without TensorFlow and without the input files: the heat maps and display pictures
kept in the run folder are enough.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.ledger.records import ScoredImage, StudyRecord
from cxrbatch.reporting.choice import findings_to_draw
from cxrbatch.reporting.content import ReportSettings, RunFacts
from cxrbatch.reporting.findings_table import AXIS_MARKS, FindingLine, bar_position, finding_lines
from cxrbatch.reporting.overlays import (
    Overlay,
    colour_scale,
    draw_overlay,
    map_on_film,
    overlay_film,
    to_jpeg,
)
from cxrbatch.reporting.rendering import render, to_bytes

THUMBNAIL = "thumb.jpg"
THUMBNAIL_SIDE = 160
LOGO_SIDE = 480
"""Longest side of the hospital's logo in pixels; one is kept beside every report."""

_OURS = re.compile(r"report\.(html|pdf)|(film|overlay)-[\d-]+\.jpg|scale\.jpg|thumb\.jpg|logo\.(jpg|svg)")


@dataclass(frozen=True, slots=True)
class Panel:
    """A heat map in a report: its picture's file name, and what its caption says."""

    file: str
    line: FindingLine
    overlay: Overlay


@dataclass(frozen=True, slots=True)
class Section:
    """One image of the study. `silent` are the findings asked for whose map is nowhere positive."""

    number: int
    image: ScoredImage
    notes: tuple[str, ...]
    film: str
    lines: tuple[FindingLine, ...]
    panels: tuple[Panel, ...]
    silent: tuple[FindingLine, ...]

    @property
    def grid(self) -> bool:
        """Whether there are heat maps at all."""
        return self.image.maps_file is not None


def render_study(run_dir: Path, study: StudyRecord, facts: RunFacts, settings: ReportSettings) -> None:
    """Write the report of one study as the settings ask (HTML, PDF or both) and its thumbnail.

    Every file appears whole or not at all; what an earlier rendering left and this one does not write is
    removed.

    Args:
        run_dir: the run folder; display pictures and maps are read from it.

    Raises:
        FileNotFoundError: a display picture or map is missing from the run folder.
        ValueError: ``settings.findings`` does not fit the card, or a map does not.
        PdfError: a site's PDF template asks for something that is not part of the report.
    """
    folder = run_dir / "reports" / study.key
    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, bytes] = {}
    sections = [
        _section(run_dir, number, image, facts, settings, pictures)
        for number, image in enumerate(study.images, start=1)
    ]
    if any(section.panels for section in sections):
        pictures["scale.jpg"] = colour_scale()
    logo = _logo(settings.logo) if settings.logo else None
    if logo:
        pictures[logo[0]] = logo[1]
    content = {
        "study": study,
        "header": study.images[0].header,
        "lines": finding_lines(facts.card, study.highest),
        "sections": sections,
        "facts": facts,
        "card": facts.card,
        "settings": settings,
        "logo": logo[0] if logo else None,
        "axis_marks": [(mark, bar_position(mark)) for mark in AXIS_MARKS],
    }
    files = {name: data for name, data in pictures.items() if settings.html or name == THUMBNAIL}
    if settings.pdf:
        files["report.pdf"] = _pdf(content, pictures, sections, settings)
    if settings.html:
        page = render(settings.templates, "report.html", at="", pages=None, **content)
        files["report.html"] = to_bytes(page)
    for name, data in files.items():
        write_atomic(folder / name, data, durable=False)
    _remove_stale(folder, keep=files.keys())


def _section(
    run_dir: Path,
    number: int,
    image: ScoredImage,
    facts: RunFacts,
    settings: ReportSettings,
    pictures: dict[str, bytes],
) -> Section:
    """One image's part of the report; its pictures are added to `pictures`."""
    lines = finding_lines(facts.card, image.probabilities)
    film_name = f"film-{number}.jpg"
    pictures[film_name] = (run_dir / image.display_file).read_bytes()
    film = overlay_film(Image.open(io.BytesIO(pictures[film_name])))
    if number == 1:
        pictures[THUMBNAIL] = _thumbnail(film)
    panels: list[Panel] = []
    silent: list[FindingLine] = []
    if image.maps_file is not None:
        by_name = {line.name: line for line in lines}
        grids = _read_maps(run_dir / image.maps_file, len(facts.card.findings))
        for name in findings_to_draw(settings.findings, facts.card, image.probabilities):
            overlay = _overlay(film, grids, name, image, facts)
            if overlay.jpeg is None:
                silent.append(by_name[name])
                continue
            file = f"overlay-{number}-{len(panels) + 1}.jpg"
            pictures[file] = overlay.jpeg
            panels.append(Panel(file, by_name[name], overlay))
    notes = tuple(dict.fromkeys((*image.notes, *image.header.notes)))
    return Section(number, image, notes, film_name, lines, tuple(panels), tuple(silent))


def _read_maps(path: Path, findings: int) -> NDArray[np.floating]:
    maps: NDArray[np.floating] = np.load(path, allow_pickle=False)
    if maps.ndim != 3 or maps.shape[2] != findings:
        raise ValueError(
            f"Heat maps '{path}' must have the shape (rows, columns, {findings}). Received: {maps.shape}."
        )
    return maps


def _overlay(
    film: Image.Image, maps: NDArray[np.floating], finding: str, image: ScoredImage, facts: RunFacts
) -> Overlay:
    grid = maps[:, :, facts.card.findings.index(finding)]
    size = (film.height, film.width)
    film_map = map_on_film(grid, image.rows, image.columns, facts.card.input, size)
    scale = facts.card.map_scale[finding] if facts.card.map_scale else None
    return draw_overlay(film, finding, film_map, scale)


def _thumbnail(film: Image.Image) -> bytes:
    return to_jpeg(overlay_film(film, THUMBNAIL_SIDE), quality=80)


def _pdf(
    content: dict[str, object], pictures: dict[str, bytes], sections: list[Section], settings: ReportSettings
) -> bytes:
    # WeasyPrint takes half a second to import: only processes that make a PDF pay for it.
    from cxrbatch.reporting.pdf import SCHEME, write_pdf

    shape = tuple((len(s.lines), len(s.panels), len(s.silent), len(s.notes)) for s in sections)
    return write_pdf(
        lambda pages: render(settings.templates, "report_pdf.html", at=SCHEME, pages=pages, **content),
        pictures,
        "report_pdf.css",
        settings.page_size,
        settings.templates,
        shape,
        many=True,
    )


@lru_cache(maxsize=1)
def _logo(path: Path) -> tuple[str, bytes]:
    """The hospital's logo as a file name and its bytes: SVG as it is, any other picture as a small JPEG.

    On white, since transparency would be taken apart and compressed again for every PDF.

    Raises:
        ValueError: the file is no picture.
        FileNotFoundError: there is no such file.
    """
    if path.suffix.lower() == ".svg":
        return "logo.svg", path.read_bytes()
    try:
        with Image.open(path) as picture:
            logo = picture.convert("RGBA")
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"The logo '{path}' is no picture: give a PNG, JPEG or SVG.") from error
    logo.thumbnail((LOGO_SIDE, LOGO_SIDE), Image.Resampling.LANCZOS)
    on_white = Image.new("RGB", logo.size, "white")
    on_white.paste(logo, mask=logo.getchannel("A"))
    data = io.BytesIO()
    on_white.save(data, "JPEG", quality=95, subsampling=0)
    return "logo.jpg", data.getvalue()


def _remove_stale(folder: Path, keep: Collection[str]) -> None:

    for path in folder.iterdir():
        if path.name not in keep and _OURS.fullmatch(path.name):
            path.unlink(missing_ok=True)
