"""A lateral chest phantom: to be recognised by its header and screened out."""

from __future__ import annotations

import numpy as np

from cxrbatch.sample.exposure import attenuation, expose, render
from cxrbatch.sample.grid import (
    Canvas,
    Grid,
    Plane,
    chord,
    curve,
    ellipse,
    make_grid,
    smooth,
    smoothstep,
    working_shape,
)
from cxrbatch.sample.lettering import burn_in
from cxrbatch.sample.phantom import FILM_CM, streams
from cxrbatch.sample.thorax import Tissue

APEX, DEPTH, HEIGHT = 5.5, 10.5, 25.0
"""Top of the lungs, half of the thorax from front to back, and its height, in cm. Front is on the left."""


def _spine_x(y: Plane | float) -> Plane:
    """The spine's place: kyphosis bows it backwards."""
    return np.asarray(7.2 + 1.9 * np.sin((np.asarray(y) - 2.0) / 30 * np.pi), np.float32)


def _lungs(grid: Grid) -> Plane:
    back = _spine_x(grid.y) + 2.6
    front = -DEPTH + 7.0 * np.exp(-((grid.y - APEX + 1) / 7.5))
    # The apices are narrow and lie towards the back.
    narrow = 0.35 + 0.65 * np.sqrt(np.clip((grid.y - APEX) / 7, 0, 1))
    u = (grid.x - back + (back - front) / 2 * narrow) / ((back - front) / 2 * narrow)
    top = np.sqrt(np.clip(1 - np.clip(1 - (grid.y - APEX) / 9, 0, 1) ** 2.2, 0, 1))
    cavity = chord(np.abs(u) ** 2.4 + 0 * grid.y, 9.5) * top * (grid.y > APEX)
    domes = grid.zeros()
    for shift in (0.0, 1.3):
        low = APEX + HEIGHT + 7.0 - 0.35 * grid.x
        q = ((grid.x + 1.0) / 13.5) ** 2 + ((grid.y - low) / (13.6 - shift)) ** 2
        domes += chord(q.astype(np.float32), 8.5)
    heart = chord(ellipse(grid, (-4.6, APEX + 15.0), (6.4, 4.6), 0.9), 6.0)
    hila = 2.6 * np.exp(-ellipse(grid, (1.0, APEX + 10.0), (1.3, 1.9)))
    below = smoothstep(grid.y, APEX + HEIGHT - 1.0, APEX + HEIGHT + 1.5) * 60
    return np.clip(cavity - domes - heart - hila - below, 0, None).astype(np.float32)


def _bones(grid: Grid) -> Plane:
    spine, ribs = Canvas(grid), Canvas(grid)
    y = 0.0
    while y < grid.height:
        x = float(_spine_x(y))
        spine.box((x, y), (1.5 + 0.02 * y, 0.95), 0.2, 0.9)
        spine.box((x, y), (1.35 + 0.02 * y, 0.8), 0.2, 0.62)
        spine.stroke([(x + 2.0, y - 0.2), (x + 3.6, y + 1.2)], 0.5, 0.4)
        y += 2.3 + 0.012 * y
    for i in range(10):
        start = float(_spine_x(APEX + 2 * i)) + 2.2, APEX - 1 + 2.1 * i
        end = -7.5 + 0.5 * i, APEX + 4.5 + 2.25 * i
        bend = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 1.6
        line = curve([start, bend, end])
        ribs.stroke(line, 0.9, 0.45)
        ribs.stroke(line, 0.6, 0.28)
    ribs.stroke(curve([(-5.0, APEX + 1), (-9.4, APEX + 8), (-10.8, APEX + 16)]), 0.9, 0.7)
    return spine.plane(2.0) + ribs.plane(1.2)


def _body(grid: Grid) -> Plane:
    back = _spine_x(grid.y) + 5.4
    front = -DEPTH - 2.2 + 8.5 * np.exp(-np.clip(grid.y, 0, None) / 4.2)
    u = (grid.x - (back + front) / 2) / ((back - front) / 2)
    trunk = chord(np.minimum(np.abs(u) ** 2.6, 4).astype(np.float32), 14.5)
    return smooth(trunk * (0.55 + 0.45 * smoothstep(grid.y, 1.0, 9.0)), 3)


def lateral(seed: int, size: tuple[int, int] = (1024, 896)) -> Plane:
    """A left lateral film, display values 0..1 of `size` (rows, cols)."""
    tissue_rng, beam_rng = streams(seed, "lateral", "lateral beam")
    grid = make_grid(*working_shape(*size), FILM_CM)
    lung = _lungs(grid)
    branches = Canvas(grid)
    for _ in range(70):
        angle, reach = float(tissue_rng.uniform(0, 2 * np.pi)), float(tissue_rng.uniform(3, 9))
        tip = 1.0 + reach * np.cos(angle), APEX + 10 + reach * np.sin(angle) * 1.3
        branches.stroke([(1.0, APEX + 10), (float(tip[0]), float(tip[1]))], 0.16, 0.5, caps=False)
    trachea = chord((((grid.x - 2.6 - 0.12 * grid.y) / 0.85) ** 2).astype(np.float32), 0.9)
    tissue = Tissue(
        body=_body(grid),
        lung=lung,
        air=trachea * (1 - smoothstep(grid.y, APEX + 8, APEX + 10)),
        vessels=branches.plane(1.5) * smoothstep(lung, 0, 4),
        bone=_bones(grid),
    )
    px_per_cm = min(size) / FILM_CM
    return burn_in(
        render(expose(attenuation(tissue), size, px_per_cm, beam_rng), px_per_cm, low=0.8, high=4.6)
    )
