"""Planted findings: each changes the tissue inside a mask that is known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cxrbatch.sample.anatomy import Anatomy
from cxrbatch.sample.grid import Canvas, Grid, Mask, Plane, Point, chord, smooth, smoothstep, texture
from cxrbatch.sample.thorax import Tissue, lung_chord

FINDINGS = ("Cardiomegaly", "Consolidation", "Effusion", "Mass", "Nodule", "Pneumothorax")
"""Findings that can be planted, named as in ChestX-ray14 (Wang et al., CVPR 2017)."""

MINIMUM_LUNG_CM = 3.0
"""A nodule is planted where at least this much aerated lung lies in the ray, so that it can be seen."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A body on its way to the film: what a lesion may look at and change."""

    grid: Grid
    body: Anatomy
    tissue: Tissue


def _side(rng: np.random.Generator) -> int:
    return int(rng.choice((-1, 1)))


def _half(scene: Scene, side: int) -> Mask:
    """The half of the film where one lung lies, at least a pixel of aerated lung in the ray."""
    return (side * (scene.grid.x - scene.body.midline) > 0) & (scene.tissue.lung > 0.05)


def _displace(tissue: Tissue, share: Plane) -> Tissue:
    """Fill a share (0..1) of the air spaces: vessels drown in it."""
    return replace(tissue, lung=tissue.lung * (1 - share), vessels=tissue.vessels * (1 - share))


def effusion(scene: Scene, rng: np.random.Generator) -> tuple[Tissue, Mask]:
    """Fluid that fills a costophrenic angle and climbs the lateral wall: the meniscus."""
    grid, body, side = scene.grid, scene.body, _side(rng)
    top = body.dome_top[0 if side < 0 else 1]
    level = top + float(rng.uniform(-3.0, 1.6))
    rise = float(rng.uniform(2.5, 4.5))
    reach = np.clip(side * (grid.x - body.midline) / body.lateral_edge(grid.y), 0, 1)
    surface = level + 0.8 - rise * reach**3
    share = 0.97 * smoothstep(grid.y - surface, -0.5, 1.6) * _half(scene, side)
    return _displace(scene.tissue, share.astype(np.float32)), share > 0.2


def _spot(scene: Scene, rng: np.random.Generator, radius: float) -> Point:
    """A place in the lungs, clear of the mediastinum, where a ball of `radius` cm can be seen."""
    grid, body = scene.grid, scene.body
    clear = np.abs(grid.x - body.midline) > 5.0 + radius * 0.5
    wall = np.abs(grid.x - body.midline) < body.lateral_edge(grid.y) - radius - 0.6
    seen = smooth(scene.tissue.lung, 0.5 * radius * grid.px_per_cm) > MINIMUM_LUNG_CM
    rows, cols = np.nonzero(clear & wall & seen & (grid.y > body.apex + 2 + radius))
    pick = int(rng.random() * len(rows))
    return float(grid.x[0, cols[pick]]), float(grid.y[rows[pick], 0])


def _ball(scene: Scene, rng: np.random.Generator, radius: float, roughness: float) -> tuple[Tissue, Mask]:
    """A solid ball whose outline is wavy by `roughness` (share of the radius)."""
    grid = scene.grid
    cx, cy = _spot(scene, rng, radius)
    dx, dy = grid.x - cx, grid.y - cy
    angle = np.arctan2(dy, dx)
    phases = rng.uniform(0, 2 * np.pi, 4)
    wave = sum(np.sin((k + 2) * angle + phase) / (k + 1) for k, phase in enumerate(phases))
    reach = radius * (1 + roughness * wave)
    solid = np.minimum(chord(((dx**2 + dy**2) / reach**2).astype(np.float32), radius), scene.tissue.lung)
    return replace(scene.tissue, lung=scene.tissue.lung - solid), solid > 0


def nodule(scene: Scene, rng: np.random.Generator) -> tuple[Tissue, Mask]:
    """A round opacity of at most 3 cm (Fleischner Society glossary, Radiology 2008)."""
    return _ball(scene, rng, float(rng.uniform(0.65, 1.3)), 0.05)


def mass(scene: Scene, rng: np.random.Generator) -> tuple[Tissue, Mask]:
    """An opacity of more than 3 cm (Fleischner Society glossary, Radiology 2008)."""
    return _ball(scene, rng, float(rng.uniform(1.9, 2.9)), 0.10)


def pneumothorax(scene: Scene, rng: np.random.Generator) -> tuple[Tissue, Mask]:
    """Air between chest wall and a shrunken lung: a lucent rim without vessels, inside of it a thin line."""
    grid, body, tissue, side = scene.grid, scene.body, scene.tissue, _side(rng)
    shrunken = lung_chord(grid, body, side, scale=float(rng.uniform(0.72, 0.86)))
    hx, hy = body.hilum(side)
    # At the base and along the mediastinum the lung still touches: the rim is apical and lateral.
    free = smoothstep(side * (grid.x - hx), -1.5, 0.5) * (1 - smoothstep(grid.y, hy + 2.0, hy + 9.0))
    outside = (shrunken <= 0) & _half(scene, side)
    share = (smooth(outside.astype(np.float32), 0.05 * grid.px_per_cm) * free * _half(scene, side)).astype(
        np.float32
    )
    edge = smooth((shrunken > 0).astype(np.float32), 0.05 * grid.px_per_cm)
    line = 4 * edge * (1 - edge) * free * _half(scene, side) * 0.45
    collapsed = replace(
        tissue,
        lung=tissue.lung * (1 - share),
        air=tissue.air + tissue.lung * share,
        vessels=tissue.vessels * (1 - share) + line.astype(np.float32),
    )
    return collapsed, share > 0.2


def consolidation(scene: Scene, rng: np.random.Generator) -> tuple[Tissue, Mask]:
    """A soft, uneven patch of filled air spaces with air bronchograms (dark branches) in it."""
    grid, body = scene.grid, scene.body
    radius = float(rng.uniform(2.6, 3.8))
    cx, cy = _spot(scene, rng, radius * 0.6)
    side = 1 if cx > body.midline else -1
    q = ((grid.x - cx) / radius) ** 2 + ((grid.y - cy) / (radius * float(rng.uniform(0.7, 1.0)))) ** 2
    shape = (grid.rows, grid.cols)
    clouds = texture(shape, 0.45 * grid.px_per_cm, 2.5 * grid.px_per_cm, rng)
    patch = smoothstep((1.35 - q + 0.2 * clouds).astype(np.float32), -0.1, 1.7)
    tubes = Canvas(grid)
    hx, hy = body.hilum(side)
    for _ in range(4):
        end = (cx + float(rng.normal(0, 0.5)) * radius, cy + float(rng.normal(0, 0.5)) * radius)
        tubes.stroke([(hx, hy), ((hx + end[0]) / 2, (hy + end[1]) / 2 + 0.4), end], 0.22, 0.4, caps=False)
    share = 0.6 * patch * (1 - tubes.plane(0.05 * grid.px_per_cm)) * _half(scene, side)
    return _displace(scene.tissue, share.astype(np.float32)), share > 0.06


PLANTERS: dict[str, Callable[[Scene, np.random.Generator], tuple[Tissue, Mask]]] = {
    "Consolidation": consolidation,
    "Effusion": effusion,
    "Mass": mass,
    "Nodule": nodule,
    "Pneumothorax": pneumothorax,
}
"""How each finding changes the tissue. Cardiomegaly is not here: a larger heart is another anatomy."""
