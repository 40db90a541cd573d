"""The failure gallery: the films that the model called most confidently wrong, with their heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cxrbatch.bundles.card import Card
from cxrbatch.reporting.overlays import draw_overlay, map_on_film, overlay_film, to_jpeg
from cxrbatch.reporting.validation_content import FailureCase

SIDE = 420
"""Longest side of a picture in pixels: 240 dpi at the size it is printed."""


@dataclass(frozen=True, slots=True)
class GalleryPanel:
    """A picture of the gallery, by file name, and what is said below it. `note` tells why there is no map."""

    case: FailureCase
    file: str
    note: str


def gallery(
    run_dir: Path, card: Card, cases: Sequence[FailureCase]
) -> tuple[list[GalleryPanel], dict[str, bytes]]:
    """Panels in the order of `cases`, and their pictures by file name.

    A film that the run folder no longer has is shown as a line without a picture (`file` is blank).
    """
    panels: list[GalleryPanel] = []
    pictures: dict[str, bytes] = {}
    for number, case in enumerate(cases, start=1):
        file = f"failure-{number:02d}.jpg"
        try:
            pictures[file], note = _picture(run_dir, card, case)
        except (OSError, ValueError) as error:
            file, note = "", f"The picture cannot be shown: {error}"
        panels.append(GalleryPanel(case, file, note))
    return panels, pictures


def _picture(run_dir: Path, card: Card, case: FailureCase) -> tuple[bytes, str]:
    image = case.image
    with Image.open(run_dir / image.display_file) as display:
        film = overlay_film(display, SIDE)
    if image.maps_file is None:
        return to_jpeg(film), "The model has no heat maps."
    maps = np.load(run_dir / image.maps_file, allow_pickle=False)
    index = card.findings.index(case.finding)
    film_map = map_on_film(
        maps[:, :, index], image.rows, image.columns, card.input, (film.height, film.width)
    )
    scale = card.map_scale[case.finding] if card.map_scale else None
    overlay = draw_overlay(film, case.finding, film_map, scale)
    if overlay.jpeg is None:
        return to_jpeg(film), "No region speaks for the finding."
    return overlay.jpeg, ""
