"""Heat maps laid over the film: where the model's evidence for one finding lies.

numpy and Pillow only; a figure library costs more per study than all the rest of a report.
Nothing here flips or rotates: what is on the left of the display picture stays on the left.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.pipeline.geometry import content_box, seen_part
from cxrbatch.pipeline.input_spec import Fit, InputSpec
from cxrbatch.radiographs.display import reduced
from cxrbatch.radiographs.resample import Filter
from cxrbatch.reporting.colours import INFERNO

OVERLAY_SIDE = 640
"""Longest side of an overlay in pixels: 190 dpi at the size it is printed."""
MAX_OPACITY = 0.62
"""Of the colour at full strength; the anatomy below it stays visible."""
CONTOUR_SHARE = 0.5
"""The line is drawn where the map reaches this share of its own maximum over the film."""
JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Overlay:
    """One finding's heat map over the film.

    `jpeg` is None where the map is nowhere positive: no region speaks for the finding. `maximum` is the
    map's highest value over the film, `full_strength` the value drawn in the strongest colour (both in
    logits); `fixed_scale` tells whether that is the same in every study.
    """

    finding: str
    jpeg: bytes | None
    maximum: float
    full_strength: float
    fixed_scale: bool


def map_on_film(
    grid: NDArray[np.floating], rows: int, columns: int, spec: InputSpec, size: tuple[int, int]
) -> NDArray[np.float32]:
    """A heat map brought from the network's input to the film.

    Args:
        grid: one finding's map, (grid rows, grid columns), spread evenly over the network's input.
        rows: of the decoded film; with `columns` it says where the film lay in the input.
        columns: of the decoded film.
        spec: the input of the network.
        size: (height, width) of the result in pixels, covering exactly the film.

    Returns:
        float32 of shape `size`, in the unit of `grid`, interpolated (bicubic) and never beyond the
        grid's own extremes. What the network did not see of the film (`Fit.CROP`) is 0, or the grid's
        minimum where that is negative.
    """
    # A float16 map may hold infinities where the logits overflowed it; they are drawn as the extremes.
    finite = np.nan_to_num(grid.astype(np.float32), nan=0.0, posinf=6e4, neginf=-6e4)
    if spec.fit is Fit.CROP:
        return _map_on_seen_part(finite, rows, columns, spec, size)
    box = content_box(rows, columns, spec)
    down, across = grid.shape[0] / spec.height, grid.shape[1] / spec.width
    vertical = _bicubic(grid.shape[0], box.top * down, (box.top + box.height) * down, size[0])
    horizontal = _bicubic(grid.shape[1], box.left * across, (box.left + box.width) * across, size[1])
    return _between(finite, vertical, horizontal)


def _map_on_seen_part(
    finite: NDArray[np.float32], rows: int, columns: int, spec: InputSpec, size: tuple[int, int]
) -> NDArray[np.float32]:
    """`map_on_film` where the film was cropped: the whole grid lies on the seen part."""
    seen = seen_part(rows, columns, spec)
    down, across = size[0] / rows, size[1] / columns
    top, left = round(seen.top * down), round(seen.left * across)
    height = max(1, min(size[0] - top, round(seen.rows * down)))
    width = max(1, min(size[1] - left, round(seen.columns * across)))
    vertical = _bicubic(finite.shape[0], 0.0, finite.shape[0], height)
    horizontal = _bicubic(finite.shape[1], 0.0, finite.shape[1], width)
    film = np.full(size, min(0.0, float(finite.min())), np.float32)
    film[top : top + height, left : left + width] = _between(finite, vertical, horizontal)
    return film


def _between(
    grid: NDArray[np.float32], vertical: NDArray[np.float32], horizontal: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A grid weighed down and across: never beyond its own extremes, which cubic curves overshoot."""
    smooth = vertical @ (grid @ horizontal.T)
    return np.clip(smooth, grid.min(), grid.max(), out=smooth)


@lru_cache(maxsize=32)
def _bicubic(cells: int, start: float, end: float, pixels: int) -> NDArray[np.float32]:
    """The weight of each cell of a line in each of the pixels that cover it from `start` to `end` (in cells).

    Pillow's own bicubic filter, of which resizing the identity gives the matrix. Films of one size share
    it: two products of small matrices cost a third of resizing every map (docs/performance.md).
    """
    identity = Image.fromarray(np.eye(cells, dtype=np.float32))
    return np.asarray(identity.resize((cells, pixels), Image.Resampling.BICUBIC, box=(0, start, cells, end)))


def draw_overlay(
    film: Image.Image,
    finding: str,
    film_map: NDArray[np.float32],
    full_strength: float | None,
) -> Overlay:
    """Lay a map over the film.

    Args:
        film: grey picture ("L") of the film, of the shape of `film_map`; see `overlay_film`.
        film_map: from `map_on_film`, in logits.
        full_strength: value drawn in the strongest colour; None takes this map's own maximum.
    """
    maximum = float(film_map.max())
    scale = full_strength if full_strength is not None else maximum
    if maximum <= 0.0:
        return Overlay(finding, None, maximum, scale, full_strength is not None)
    strength = np.rint(np.clip(film_map * (255.0 / scale), 0.0, 255.0)).astype(np.uint8)
    picture = _blend(np.asarray(film), strength)
    _draw_contour(picture, film_map >= CONTOUR_SHARE * maximum)
    return Overlay(finding, to_jpeg(_image(picture)), maximum, scale, full_strength is not None)


def overlay_film(display: Image.Image, side: int = OVERLAY_SIDE) -> Image.Image:
    """The display picture as 8-bit grey with its longest side at most `side`, aspect ratio kept."""
    return Image.fromarray(reduced(np.asarray(display.convert("L")), side, Filter.TRIANGLE))


def to_jpeg(picture: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """Baseline JPEG; WeasyPrint puts it into a PDF as it is."""
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return data.getvalue()


@lru_cache(maxsize=1)
def colour_scale() -> bytes:
    """The legend: a JPEG strip from no evidence (left) to full strength, as it looks over mid-grey film."""
    strength = np.tile(np.arange(256, dtype=np.uint8), (20, 1))
    return to_jpeg(_image(_blend(np.full_like(strength, 90), strength)), quality=92)


@lru_cache(maxsize=1)
def _blended() -> NDArray[np.uint32]:
    """The pixel (red, green, blue, nothing) of every strength over every grey, at ``256 * strength + grey``.

    Opacity is proportional to strength, so that weak evidence is no haze over all.
    """
    colours = np.frombuffer(INFERNO, np.uint8).reshape(256, 1, 3).astype(np.float64)
    opacity = np.rint(MAX_OPACITY * np.arange(256)).reshape(256, 1, 1) / 255
    greys = np.arange(256, dtype=np.float64).reshape(1, 256, 1)
    table = np.zeros((256, 256, 4), np.uint8)
    table[..., :3] = np.rint(colours * opacity + greys * (1 - opacity))
    return table.view(np.uint32).ravel()


def _blend(film: NDArray[np.uint8], strength: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Colour by strength over grey film, more opaque the stronger."""
    return np.take(_blended(), strength.astype(np.uint16) << 8 | film, mode="clip")


def _image(picture: NDArray[np.uint32]) -> Image.Image:
    rows, columns = picture.shape
    return Image.frombuffer("RGBX", (columns, rows), picture, "raw", "RGBX", 0, 1)


def _draw_contour(picture: NDArray[np.uint32], inside: NDArray[np.bool_]) -> None:
    """A white line with a dark rim along the edge of `inside`: both are seen in grey print."""
    once = _eroded(inside)
    thrice = _eroded(_eroded(once))
    rim = (inside ^ once) | (thrice ^ _eroded(thrice))
    line = once ^ thrice
    picture[rim] = 0
    picture[line] = 0xFFFFFFFF


def _eroded(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without its outermost pixels; the border of the picture is no edge."""
    left = inside.copy()
    left[1:] &= inside[:-1]
    left[:-1] &= inside[1:]
    left[:, 1:] &= inside[:, :-1]
    left[:, :-1] &= inside[:, 1:]
    return left
