"""Branching vessels that spread from the hila, as cm of soft tissue inside the lungs."""

from __future__ import annotations

import numpy as np

from cxrbatch.sample.anatomy import SIDES, Anatomy
from cxrbatch.sample.grid import Canvas, Grid, Plane, Point, ellipse

GENERATIONS = 7


def _grow(
    start: Point, heading: float, width: float, length: float, generation: int, rng: np.random.Generator
) -> list[tuple[list[Point], float]]:
    """One branch and all that grow from it: (points, width in cm), thick ones first."""
    points = [start]
    angle = heading
    for _ in range(4):
        angle += float(rng.normal(0, 0.10))
        x, y = points[-1]
        points.append((x + length / 4 * np.cos(angle), y + length / 4 * np.sin(angle)))
    branches = [(points, width)]
    if generation + 1 < GENERATIONS:
        fork = float(rng.uniform(0.25, 0.5))
        for turn, share in ((fork, 0.68), (-fork * float(rng.uniform(0.6, 1.3)), 0.78)):
            stretch = float(rng.uniform(0.66, 0.92))
            branches += _grow(points[-1], angle + turn, width * share, length * stretch, generation + 1, rng)
    return branches


def vessels(grid: Grid, body: Anatomy, rng: np.random.Generator) -> Plane:
    """Arteries and veins of both lungs; what lies outside the lungs is cut away by the caller."""
    total = grid.zeros()
    for side in SIDES:
        hx, hy = body.hilum(side)
        branches: list[tuple[list[Point], float]] = []
        for heading in np.linspace(-1.5, 1.5, 10):
            angle = heading + float(rng.normal(0, 0.08))
            direction = angle if side > 0 else np.pi - angle
            start = (hx - side * 0.6, hy + 1.2 * float(np.sin(heading)))
            thick = float(rng.uniform(0.32, 0.6)) * (1.25 if heading > 0.3 else 1.0)
            branches += _grow(start, float(direction), thick, float(rng.uniform(2.4, 3.6)), 0, rng)
        # Thin vessels are drawn first; two layers, so that crossing vessels add.
        branches.sort(key=lambda b: b[1])
        for layer in (branches[0::2], branches[1::2]):
            canvas = Canvas(grid)
            for points, width in layer:
                canvas.stroke(points, width, min(width, 0.7) * 1.9 + 0.16, caps=False)
            total += canvas.plane(0.04 * grid.px_per_cm)
        # Hilar vessels and nodes that no stroke shows singly.
        total += 1.6 * np.exp(-ellipse(grid, (hx - side * 0.4, hy + 0.6), (1.5, 2.6)))
    return total * np.float32(body.vessel_density)
