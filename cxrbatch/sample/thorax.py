"""Centimetres of tissue along each ray of a frontal chest film: body wall, lungs, heart, diaphragm, air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cxrbatch.sample.anatomy import SIDES, Anatomy
from cxrbatch.sample.grid import Grid, Mask, Plane, Point, chord, ellipse, smooth, smoothstep


@dataclass(frozen=True, slots=True)
class Tissue:
    """Path lengths in cm, each (rows, cols): what Beer and Lambert need (exposure.py).

    `body` is everything inside the skin; `lung` and `air` are parts of it that hold aerated lung and
    nothing at all; `vessels` is soft tissue inside the lungs; `bone` is what bone adds to soft tissue.
    """

    body: Plane
    lung: Plane
    air: Plane
    vessels: Plane
    bone: Plane


@dataclass(frozen=True, slots=True)
class HeartShape:
    """The heart as a tilted ellipse."""

    centre: Point
    radii: Point
    tilt: float
    depth: float


def lung_chord(grid: Grid, body: Anatomy, side: int, scale: float = 1.0) -> Plane:
    """Path through one pleural cavity as if there were no heart and no diaphragm.

    With `scale` below 1 the shape is shrunk towards its hilum: a lung that has come off the wall.
    """
    hx, hy = body.hilum(side)
    x = hx + (grid.x - hx) / scale
    y = hy + (grid.y - hy) / scale
    lateral, medial = body.lateral_edge(y), body.medial_edge(y)
    centre, half = (lateral + medial) / 2, np.maximum((lateral - medial) / 2, 0.01)
    u = np.abs((side * (x - body.midline) - centre) / half)
    apical = np.clip(1 - (y - body.apex) / (0.5 * body.height), 0, 1)
    depth = body.lung_depth * np.sqrt(1 - np.clip(apical, 0, 1) ** 2.4) * 2
    profile = np.clip(1 - u**2.6, 0, None) ** (1 / 2.2)
    inside = (y > body.apex) & (y < body.base + 1.5)
    return (depth * profile * inside).astype(np.float32)


def heart_shape(body: Anatomy) -> HeartShape:
    """Size and place of the heart that give the wanted cardiothoracic ratio."""
    width = body.cardiothoracic_ratio * 2 * body.half_width
    tilt = body.heart_tilt
    slender = 0.70
    a = (width / 2) / np.sqrt(np.cos(tilt) ** 2 + (slender * np.sin(tilt)) ** 2)
    rise = a * np.sqrt(np.sin(tilt) ** 2 + (slender * np.cos(tilt)) ** 2)
    # A third of the heart lies to the right of the midline, two thirds to the left.
    centre = (body.midline + width * 0.17, body.dome_top[1] + 1.6 - float(rise) * 0.80)
    return HeartShape(centre, (float(a), float(a) * slender), tilt, min(6.0, float(a) * 0.85))


def dome_chord(grid: Grid, body: Anatomy, side: int) -> Plane:
    """Path through what bulges into the thorax from below: liver or stomach and spleen."""
    top = body.dome_top[0 if side < 0 else 1]
    reach = body.half_width * 0.52
    centre = (body.midline + side * (body.half_width * 0.5), body.base + 3.0)
    q = ellipse(grid, centre, (reach * 1.02, body.base + 3.0 - top))
    dome = chord(q, body.lung_depth * 1.25)
    below = smoothstep(grid.y, body.base - 0.4, body.base + 1.2)
    return np.maximum(dome, below * 40).astype(np.float32)


def mediastinum_chord(grid: Grid, body: Anatomy) -> Plane:
    """Path through great vessels, oesophagus and the rest between the lungs."""
    total = grid.zeros()
    for side in SIDES:
        edge = body.mediastinal_edge(grid.y, side)
        u = side * (grid.x - body.midline) / edge
        depth = body.lung_depth * (0.55 + 0.3 * smoothstep(grid.y, body.apex, body.apex + 12))
        half = chord((u**2).astype(np.float32), depth)
        total = np.where(side * (grid.x - body.midline) >= 0, half, total)
    return total.astype(np.float32)


def lungs(grid: Grid, body: Anatomy) -> tuple[Plane, Mask, Mask]:
    """Aerated lung in cm, the silhouette of the heart, and that of the whole thoracic cavity."""
    shape = heart_shape(body)
    heart = chord(ellipse(grid, shape.centre, shape.radii, shape.tilt), shape.depth)
    centre_mass = np.maximum(heart, mediastinum_chord(grid, body))
    total = grid.zeros()
    for side in SIDES:
        cavity = lung_chord(grid, body, side)
        total += np.clip(cavity - centre_mass - dome_chord(grid, body, side), 0, None)
    inside = np.abs(grid.x - body.midline) < body.lateral_edge(grid.y)
    cavity_mask = inside & (grid.y > body.apex) & (grid.y < body.base)
    return total, heart > 0, cavity_mask


def body_wall(grid: Grid, body: Anatomy) -> Plane:
    """Everything inside the skin: neck, shoulders, trunk, arms, breasts."""
    x = np.abs(grid.x - body.midline)
    axilla = body.apex + 0.36 * body.height
    shoulder = body.apex - 4.0 + 4.2 * smoothstep(x, 4.5, 17.5) - 0.4 * np.cos(x / 3)
    trunk_half = body.half_width + body.wall + 0.4 * np.sin((grid.y - axilla) / 5)
    width = trunk_half + (24 - trunk_half) * (1 - smoothstep(grid.y, axilla - 6.0, axilla + 2.0))
    depth = body.body_depth * (0.66 + 0.34 * smoothstep(grid.y, body.apex - 2, axilla + 2))
    trunk = chord(np.minimum((x / width) ** 2.6, 4).astype(np.float32), depth)
    trunk = trunk * np.clip((grid.y - shoulder) / 4.0, 0, 1) ** 0.35
    neck = chord(np.minimum((x / 5.9) ** 2, 4).astype(np.float32) + 0 * grid.y, 5.6)
    neck = neck * (1 - smoothstep(grid.y, body.apex + 1, body.apex + 6))
    arm_x = body.half_width + body.wall + 5.2 + 0.10 * (grid.y - axilla)
    arm = chord(np.minimum(((x - arm_x) / 4.0) ** 2, 4).astype(np.float32), 4.0)
    arm = arm * smoothstep(grid.y, body.apex + 1, axilla)
    total = np.maximum(np.maximum(trunk, neck), arm) + 0.25 * np.minimum(trunk, neck)
    for side in SIDES:
        centre = (body.midline + side * body.half_width * 0.60, body.base - 2.6)
        radii = (7.4 * (0.6 + 0.4 * body.breast), 6.4 * (0.6 + 0.4 * body.breast))
        # A breast hangs: its lower border is sharp, its upper one fades into the chest wall.
        fade = smoothstep(grid.y, centre[1] - radii[1], centre[1] + radii[1] * 0.6)
        total = total + chord(ellipse(grid, centre, radii), 1.3 * body.breast) * fade
    return smooth(total.astype(np.float32), 0.08 * grid.px_per_cm)


def free_air(grid: Grid, body: Anatomy, rng: np.random.Generator) -> Plane:
    """Air in the windpipe with its two main branches, in the stomach and in the bowel."""
    carina = body.apex + 0.36 * body.height
    bend = body.midline + body.tracheal_shift * smoothstep(grid.y, 0, carina)
    trachea = chord((((grid.x - bend) / 0.85) ** 2).astype(np.float32), 0.8)
    trachea = trachea * (1 - smoothstep(grid.y, carina - 0.4, carina + 0.6))
    air = trachea
    for side, slope in ((-1, 1.6), (1, 1.05)):
        run = side * (grid.x - body.midline - body.tracheal_shift)
        off = (grid.y - carina - run * slope) / np.hypot(1, slope)
        tube = chord(((off / 0.6) ** 2).astype(np.float32), 0.45)
        air = np.maximum(air, tube * smoothstep(run, -0.3, 0.3) * (1 - smoothstep(run, 1.8, 3.2)))
    size = body.gastric_bubble
    bubble = (body.midline + body.half_width * 0.45, body.dome_top[1] + 1.6 + 1.3 * size)
    air = air + chord(ellipse(grid, bubble, (3.0 * size, 1.4 * size), 0.1), 2.2 * size)
    for _ in range(5):
        spot = (body.midline + float(rng.uniform(2, 10)), body.base + float(rng.uniform(1.5, 8)))
        radius = float(rng.uniform(0.5, 1.5))
        air = air + chord(ellipse(grid, spot, (radius * 1.3, radius)), radius * 0.7)
    return smooth(air.astype(np.float32), 0.06 * grid.px_per_cm)
