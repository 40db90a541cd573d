"""The plane that a phantom is projected onto: centimetres at the detector, smoothing, strokes, texture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Point = tuple[float, float]

WORKING_ROWS = 1024
"""Anatomy is smooth, so it is computed at no more than this many rows and enlarged for bigger films."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A film of `rows` x `cols` pixels; `x` (1, cols) and `y` (rows, 1) are centimetres.

    `x` is 0 in the middle of the film and grows to the right of the picture (the patient's left in a
    frontal film); `y` is 0 at the top and grows downwards.
    """

    rows: int
    cols: int
    px_per_cm: float
    x: Plane
    y: Plane

    @property
    def height(self) -> float:
        return self.rows / self.px_per_cm

    @property
    def width(self) -> float:
        return self.cols / self.px_per_cm

    def zeros(self) -> Plane:
        return np.zeros((self.rows, self.cols), np.float32)

    def to_pixels(self, points: Sequence[Point]) -> list[Point]:
        """Picture coordinates (column, row) of points in cm."""
        return [((x * self.px_per_cm) + self.cols / 2, y * self.px_per_cm) for x, y in points]


def make_grid(rows: int, cols: int, short_side_cm: float) -> Grid:
    """The grid of a film whose shorter side is `short_side_cm` long."""
    px_per_cm = min(rows, cols) / short_side_cm
    x = ((np.arange(cols, dtype=np.float32) + 0.5) - cols / 2) / px_per_cm
    y = (np.arange(rows, dtype=np.float32) + 0.5) / px_per_cm
    return Grid(rows, cols, px_per_cm, x[None, :].astype(np.float32), y[:, None].astype(np.float32))


def working_shape(rows: int, cols: int) -> tuple[int, int]:
    """The shape at which anatomy is computed for a film of rows x cols."""
    shrink = min(1.0, WORKING_ROWS / max(rows, cols))
    return max(1, round(rows * shrink)), max(1, round(cols * shrink))


def resize(plane: Plane, rows: int, cols: int) -> Plane:
    """Enlarge (bicubic) or shrink a plane; unchanged where the shape already fits."""
    if plane.shape == (rows, cols):
        return plane
    image = Image.fromarray(plane.astype(np.float32))
    return np.asarray(image.resize((cols, rows), Image.Resampling.BICUBIC), np.float32)


def _blur_axis(plane: Plane, kernel: Plane, axis: int) -> Plane:
    radius = len(kernel) // 2
    pad = [(radius, radius) if a == axis else (0, 0) for a in range(2)]
    padded = np.pad(plane, pad, mode="edge")
    size = plane.shape[axis]
    out = np.zeros_like(plane)
    for i, weight in enumerate(kernel):
        out += weight * (padded[i : i + size, :] if axis == 0 else padded[:, i : i + size])
    return out


def smooth(plane: Plane, sigma: float) -> Plane:
    """Gaussian blur with `sigma` in pixels; edges repeat their outermost pixel.

    A wide blur is done on a shrunken plane, where it costs next to nothing and looks the same.
    """
    if sigma < 0.2:
        return plane
    if sigma > 5:
        factor = int(sigma / 2.5)
        rows, cols = plane.shape
        small = Image.fromarray(plane).resize(
            (max(2, cols // factor), max(2, rows // factor)), Image.Resampling.BOX
        )
        blurred = smooth(np.asarray(small, np.float32), sigma / factor)
        return np.asarray(Image.fromarray(blurred).resize((cols, rows), Image.Resampling.BICUBIC), np.float32)
    radius = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (taps / taps.sum()).astype(np.float32)
    return _blur_axis(_blur_axis(plane.astype(np.float32), kernel, 0), kernel, 1)


def texture(shape: tuple[int, int], fine: float, coarse: float, rng: np.random.Generator) -> Plane:
    """Band-limited noise of mean 0 and deviation 1: scales between `fine` and `coarse` pixels."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    band = smooth(noise, fine) - smooth(noise, coarse)
    return ((band - band.mean()) / (band.std() + 1e-9)).astype(np.float32)


def smoothstep(value: Plane, start: float, stop: float) -> Plane:
    """0 below `start`, 1 above `stop`, a cubic in between."""
    t = np.clip((value - start) / (stop - start), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def chord(distance_squared: Plane, depth: float | Plane) -> Plane:
    """Line integral through an ellipsoid: `2 * depth * sqrt(1 - q)` for q = (x/a)^2 + (y/b)^2 <= 1."""
    return (2 * depth * np.sqrt(np.clip(1 - distance_squared, 0, None))).astype(np.float32)


def ellipse(grid: Grid, centre: Point, radii: Point, tilt: float = 0.0) -> Plane:
    """q of :func:`chord` (rows, cols): the squared distance from `centre` in units of the tilted radii.

    `tilt` in radians turns the first axis from the picture's right towards its bottom.
    """
    dx, dy = grid.x - centre[0], grid.y - centre[1]
    u = dx * np.cos(tilt) + dy * np.sin(tilt)
    v = -dx * np.sin(tilt) + dy * np.cos(tilt)
    return ((u / radii[0]) ** 2 + (v / radii[1]) ** 2).astype(np.float32)


class Canvas:
    """A plane to draw on in cm; later strokes replace earlier ones, layers are added by the caller."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._image = Image.new("F", (grid.cols, grid.rows), 0.0)
        self._draw = ImageDraw.Draw(self._image)

    def stroke(self, points: Sequence[Point], width: float, value: float, caps: bool = True) -> None:
        """A line `width` cm wide, with round ends where `caps`."""
        pixels = self._grid.to_pixels(points)
        thickness = max(1, round(width * self._grid.px_per_cm))
        self._draw.line(pixels, fill=value, width=thickness, joint="curve")
        if caps and thickness > 3:
            radius = thickness / 2
            for x, y in (pixels[0], pixels[-1]):
                self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value)

    def disc(self, centre: Point, radii: Point, value: float) -> None:
        ((x, y),) = self._grid.to_pixels([centre])
        rx, ry = radii[0] * self._grid.px_per_cm, radii[1] * self._grid.px_per_cm
        self._draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=value)

    def polygon(self, points: Sequence[Point], value: float) -> None:
        self._draw.polygon(self._grid.to_pixels(points), fill=value)

    def box(self, centre: Point, half: Point, corner: float, value: float) -> None:
        """A rectangle with rounded corners."""
        (low, high) = self._grid.to_pixels(
            [(centre[0] - half[0], centre[1] - half[1]), (centre[0] + half[0], centre[1] + half[1])]
        )
        self._draw.rounded_rectangle((*low, *high), radius=corner * self._grid.px_per_cm, fill=value)

    def plane(self, blur: float = 0.8) -> Plane:
        """What was drawn, its stairs smoothed by `blur` pixels."""
        return smooth(np.asarray(self._image, np.float32), blur)


def curve(points: Sequence[Point], steps: int = 12) -> list[Point]:
    """A Catmull-Rom spline through `points`."""
    p = np.asarray([points[0], *points, points[-1]], float)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [
        0.5
        * (
            2 * p[i]
            + (p[i + 1] - p[i - 1]) * t
            + (2 * p[i - 1] - 5 * p[i] + 4 * p[i + 1] - p[i + 2]) * t**2
            + (3 * p[i] - p[i - 1] - 3 * p[i + 1] + p[i + 2]) * t**3
        )
        for i in range(1, len(p) - 2)
    ]
    line = np.concatenate([*pieces, p[-2:-1]])
    return [(float(x), float(y)) for x, y in line]
