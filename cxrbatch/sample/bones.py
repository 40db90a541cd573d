"""Ribs, spine, clavicles, shoulder blades and humeri of a frontal film, in cm of bone beyond soft tissue."""

from __future__ import annotations

import numpy as np

from cxrbatch.sample.anatomy import SIDES, Anatomy
from cxrbatch.sample.grid import Canvas, Grid, Plane, Point, curve, smooth, smoothstep

CORTEX, MARROW = 0.62, 0.40
"""Bone along a ray through a rib's edge (all cortex) and through its middle."""


def rib_line(body: Anatomy, number: int, side: int) -> list[Point]:
    """A rib's projection: from the spine behind, around the lateral wall, forward and down to its cartilage.

    A rib lies on the wall of a tube, so its projection is close to an ellipse: flat near the spine,
    vertical where it passes the wall, and further down on its way back to the front.
    """
    start = body.apex - 0.6 + (number - 1) * body.rib_pitch * body.height / 10.6
    drop = body.rib_drop * (1.5 + 0.32 * number)
    reach = np.radians(138 - 3.2 * max(0, number - 5))
    theta = np.linspace(0.02, reach, 40)
    y = start + drop * (1 - np.cos(theta)) + 0.25 * np.sin(2 * theta)
    edge = body.lateral_edge(np.maximum(y, body.apex + 0.8).astype(np.float32)) - 0.3
    x = 2.0 + (edge - 2.0) * np.sin(theta) ** 0.9
    return [(float(body.midline + side * a), float(b)) for a, b in zip(x, y, strict=True)]


def _rib(canvas: Canvas, line: list[Point], width: float, density: float) -> None:
    """Outer strokes first, then the marrow over them; a rib seen along its side is denser."""
    pieces = [line[i : i + 3] for i in range(0, len(line) - 2, 2)]
    steep = [abs(p[2][1] - p[0][1]) / (abs(p[2][0] - p[0][0]) + 0.15) for p in pieces]
    for share, value in ((1.0, CORTEX), (0.72, MARROW)):
        for piece, slope in zip(pieces, steep, strict=True):
            canvas.stroke(piece, width * share, density * value * (1 + 0.5 * min(slope, 1.4)))


def ribs(grid: Grid, body: Anatomy) -> Plane:
    """Front and back halves are two layers: where they cross, their shadows add."""
    total = grid.zeros()
    for half in ("back", "front"):
        for parity in (0, 1):
            canvas = Canvas(grid)
            for number in range(1 + parity, 11, 2):
                for side in SIDES:
                    line = rib_line(body, number, side)
                    middle = 24
                    if half == "back":
                        _rib(canvas, line[:middle], 0.95 + 0.02 * number, body.rib_density)
                    elif number < 9:
                        _rib(canvas, line[middle - 1 :], 1.15, 0.62 * body.rib_density)
            total += canvas.plane(0.035 * grid.px_per_cm)
    return total


def spine(grid: Grid, body: Anatomy) -> Plane:
    """Vertebral bodies with end plates, pedicles and spinous processes, from the neck down."""
    bodies, details = Canvas(grid), Canvas(grid)
    y, x = -0.5, body.midline
    while y < grid.height + 2:
        t = np.clip((y - body.apex) / body.height, -0.3, 1.3)
        half_width, half_height = 1.25 + 0.55 * float(t), 0.86 + 0.22 * float(t)
        bodies.box((x, y), (half_width, half_height), 0.3, 0.85)
        bodies.box((x, y), (half_width - 0.13, half_height - 0.12), 0.25, 0.58)
        for side in SIDES:
            details.disc((x + side * half_width * 0.72, y - 0.15), (0.3, 0.42), 0.5)
            details.disc((x + side * half_width * 0.72, y - 0.15), (0.17, 0.28), 0.1)
            details.stroke(
                [(x + side * half_width, y - 0.3), (x + side * (half_width + 1.3), y - 0.5)], 0.55, 0.4
            )
        details.stroke([(x, y + 0.2), (x, y + 1.0)], 0.42, 0.6)
        y += 2 * half_height + 0.32
    return bodies.plane(0.07 * grid.px_per_cm) + details.plane(0.06 * grid.px_per_cm)


def clavicles(grid: Grid, body: Anatomy) -> Plane:
    canvas = Canvas(grid)
    for side in SIDES:
        lift = body.clavicle_lift
        knots = [
            (1.7, body.apex + 3.3 + 0.2 * side),
            (4.0, body.apex + 2.7 + 0.4 * lift),
            (8.0, body.apex + 1.0 + 0.8 * lift),
            (12.0, body.apex + 0.2 + lift),
            (15.8, body.apex + 0.5 + lift),
        ]
        line = curve([(body.midline + side * x, y) for x, y in knots])
        canvas.stroke(line, 1.25, 0.75)
        canvas.stroke(line[:10], 1.5, 0.7)
        canvas.stroke(line, 0.8, 0.48)
    return canvas.plane(0.05 * grid.px_per_cm)


def shoulders(grid: Grid, body: Anatomy) -> Plane:
    """Shoulder blades and the heads of the humeri."""
    blades, arms = Canvas(grid), Canvas(grid)
    top, out = body.apex + 1.2, body.half_width + 1.0
    for side in SIDES:

        def at(x: float, y: float, side: int = side) -> Point:
            return body.midline + side * x, y

        corners = [
            (out + 1.6, top + 2.2),
            (out - 2.6, top + 1.4),
            (out - 0.9, top + 10.5),
            (out + 0.4, top + 9.5),
        ]
        outline = [at(*c) for c in corners]
        blades.polygon(outline, 0.16)
        blades.stroke(curve([outline[3], at(out + 0.6, top + 6.0), outline[0]]), 0.42, 0.55)
        blades.stroke(curve([outline[1], at(out - 2.1, top + 6.0), outline[2]]), 0.22, 0.32)
        spine_line = curve([at(out - 2.4, top + 2.6), at(out + 0.5, top + 0.8), at(out + 3.2, top - 0.2)])
        blades.stroke(spine_line, 0.8, 0.4)
        head = at(out + 3.4, top + 2.4)
        shaft = [head, at(out + 4.9, top + 9), at(out + 6.2, top + 20)]
        for width, value in ((2.3, 1.0), (1.5, 0.55)):
            arms.stroke(shaft, width, value)
        arms.disc(head, (2.35, 2.45), 0.9)
        arms.disc(head, (2.05, 2.15), 0.72)
    return blades.plane(0.08 * grid.px_per_cm) + arms.plane(0.08 * grid.px_per_cm)


def skeleton(grid: Grid, body: Anatomy) -> Plane:
    """All bones of a frontal film; trabeculae and cartilage are left to the noise."""
    total = ribs(grid, body) + spine(grid, body) + clavicles(grid, body) + shoulders(grid, body)
    # Low ribs lie behind liver and bowel and float freely: they fade towards the picture's bottom.
    fade = 1 - 0.5 * smoothstep(grid.y, body.base - 1, body.base + 6) + 0 * grid.x
    return smooth(total * fade, 0.02 * grid.px_per_cm)
