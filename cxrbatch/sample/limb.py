"""A hand phantom: a radiograph that is no chest."""

from __future__ import annotations

import numpy as np

from cxrbatch.sample.exposure import attenuation, expose, render
from cxrbatch.sample.grid import Canvas, Grid, Plane, Point, make_grid, smooth, working_shape
from cxrbatch.sample.lettering import burn_in
from cxrbatch.sample.phantom import streams
from cxrbatch.sample.thorax import Tissue

FILM_CM = 19.0
WRIST = (0.0, 15.6)

FINGERS: tuple[tuple[float, tuple[float, ...]], ...] = (
    (-0.92, (4.2, 3.0, 2.3)),
    (-0.26, (6.2, 3.9, 2.3, 1.7)),
    (-0.04, (6.1, 4.3, 2.8, 1.8)),
    (0.15, (5.6, 4.0, 2.6, 1.8)),
    (0.36, (5.2, 3.2, 1.9, 1.6)),
)
"""Direction in radians from straight up, and the lengths of metacarpal and phalanges in cm, thumb first."""


def _joints(direction: float, lengths: tuple[float, ...]) -> list[Point]:
    x, y = WRIST[0] + 3.0 * np.sin(direction), WRIST[1] - 2.1
    joints = [(float(x), float(y))]
    for length in lengths:
        x, y = x + length * np.sin(direction), y - length * np.cos(direction)
        direction *= 0.82
        joints.append((float(x), float(y)))
    return joints


def _long_bone(canvas: Canvas, start: Point, end: Point, width: float) -> None:
    """A shaft with thick cortex and wider, spongy ends, a joint space apart from its neighbours."""
    (x0, y0), (x1, y1) = start, end
    a = x0 + 0.08 * (x1 - x0), y0 + 0.08 * (y1 - y0)
    b = x0 + 0.92 * (x1 - x0), y0 + 0.92 * (y1 - y0)
    for share, value in ((1.0, 0.95), (0.55, 0.5)):
        canvas.stroke([a, b], width * share, value)
    for x, y in (a, b):
        canvas.disc((x, y), (width * 0.68, width * 0.5), 0.75)
        canvas.disc((x, y), (width * 0.55, width * 0.38), 0.58)


def _tissues(grid: Grid, rng: np.random.Generator) -> Tissue:
    bones, skin = Canvas(grid), Canvas(grid)
    scale = float(rng.uniform(0.78, 0.86))
    for direction, lengths in FINGERS:
        joints = _joints(direction + float(rng.normal(0, 0.015)), tuple(n * scale for n in lengths))
        skin.stroke(joints, 1.8, 1.7)
        for i in range(len(joints) - 1):
            _long_bone(bones, joints[i], joints[i + 1], 0.72 - 0.1 * i)
    skin.polygon([(-2.6, 14.6), (-2.9, 9.2), (3.2, 9.0), (2.7, 14.6)], 2.3)
    skin.box((0.0, 19.0), (2.8, 5.4), 2.0, 3.4)
    for row, count in ((0, 4), (1, 4)):
        for i in range(count):
            spot = WRIST[0] - 1.65 + 1.1 * i, WRIST[1] - 1.5 + 0.95 * row
            bones.disc(spot, (0.6, 0.52), 0.85)
            bones.disc(spot, (0.48, 0.4), 0.62)
    for x, width in ((-0.9, 2.3), (1.6, 1.3)):
        _long_bone(bones, (x, WRIST[1] + 0.5), (x, WRIST[1] + 9), width)
    flesh = smooth(np.asarray(skin.plane(0.12 * grid.px_per_cm), np.float32), 0.2 * grid.px_per_cm)
    none = grid.zeros()
    return Tissue(body=flesh, lung=none, air=none, vessels=none, bone=bones.plane(0.03 * grid.px_per_cm))


def hand(seed: int, size: tuple[int, int] = (1024, 896)) -> Plane:
    """A hand, display values 0..1 of `size` (rows, cols)."""
    tissue_rng, beam_rng = streams(seed, "limb", "limb beam")
    grid = make_grid(*working_shape(*size), FILM_CM)
    integral = attenuation(_tissues(grid, tissue_rng))
    px_per_cm = min(size) / FILM_CM
    signal = expose(integral, size, px_per_cm, beam_rng, quanta=8e4)
    return burn_in(render(signal, px_per_cm, low=-0.05, high=0.85))
