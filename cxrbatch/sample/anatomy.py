"""One imaginary body in numbers: what differs between phantoms, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cxrbatch.sample.grid import Plane, Point, smoothstep

SIDES = (-1, 1)
"""-1 is the left of the picture (the patient's right), +1 the right of the picture (the patient's left)."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Lengths in cm on the detector; `y` from the top of the film (grid.py)."""

    sex: str
    midline: float
    apex: float
    base: float
    """Depth of the costophrenic angles."""
    half_width: float
    """Inner half-width of the thorax at its widest."""
    lung_depth: float
    dome_top: tuple[float, float]
    """Tops of the right (picture left) and left hemidiaphragm."""
    wall: float
    body_depth: float
    cardiothoracic_ratio: float
    heart_tilt: float
    knob: float
    rib_drop: float
    rib_pitch: float
    rib_density: float
    breast: float
    clavicle_lift: float
    tracheal_shift: float
    gastric_bubble: float
    vessel_density: float

    @property
    def height(self) -> float:
        return self.base - self.apex

    def hilum(self, side: int) -> Point:
        """Where the vessels of one lung come from; the left hilum lies a little higher."""
        return self.midline + side * 3.6, self.apex + 0.45 * self.height - (0.5 if side > 0 else 0.0)

    def lateral_edge(self, y: Plane) -> Plane:
        """Distance of the lung's lateral edge from the midline at the heights `y`."""
        t = (y - self.apex) / self.height
        apical = np.clip((0.74 - t) / 0.74, 0, 1)
        narrowing = np.clip((t - 0.74) / 0.26, 0, None)
        edge = 4.6 + (self.half_width - 4.6) * np.sqrt(np.clip(1 - apical**2.7, 0, None))
        return (edge * (1 - 0.025 * narrowing**2)).astype(np.float32)

    def medial_edge(self, y: Plane) -> Plane:
        """Distance of the lung's medial edge from the midline; it is hidden by the mediastinum."""
        t = np.clip((y - self.apex) / (0.16 * self.height), 0, 1)
        return (4.6 - 3.8 * np.sqrt(1 - (1 - t) ** 2)).astype(np.float32)

    def mediastinal_edge(self, y: Plane, side: int) -> Plane:
        """Half-width of the mediastinum: great vessels above, the heart is added apart."""
        t = (y - self.apex) / self.height
        edge = 2.2 + 0.5 * smoothstep(t, 0.1, 0.4) + 0.07 * np.sin(9 * t + side)
        if side > 0:
            edge = edge + self.knob * np.exp(-(((t - 0.30) / 0.055) ** 2))
            edge = edge + 0.9 * np.exp(-(((t - 0.45) / 0.08) ** 2))
        else:
            edge = edge + 0.3 * smoothstep(t, 0.2, 0.5)
        return edge.astype(np.float32)


def draw_anatomy(rng: np.random.Generator, view: str, height: float, sex: str, ctr: float) -> Anatomy:
    """A body for a film `height` cm high.

    `ctr` is the cardiothoracic ratio: the greatest width of the heart over the greatest inner width
    of the thorax (Danzer, Am J Med Sci 1919), above 0.5 on a PA film means an enlarged heart.
    An AP film is taken of a patient who lies or sits: shallower breath, higher diaphragm.
    """
    ap = view == "AP"
    apex = float(rng.uniform(4.2, 5.6)) + (height - 36) * 0.35
    lung_height = float(rng.uniform(24.5, 27.5)) - (2.0 if ap else 0.0) - (1.0 if sex == "F" else 0.0)
    base = apex + lung_height
    right_dome = base - float(rng.uniform(4.6, 5.8))
    return Anatomy(
        sex=sex,
        midline=float(rng.normal(0, 0.35)),
        apex=apex,
        base=base,
        half_width=float(rng.uniform(12.4, 14.0)) - (0.5 if sex == "F" else 0.0),
        lung_depth=float(rng.uniform(7.6, 8.6)),
        dome_top=(right_dome, right_dome + float(rng.uniform(0.6, 1.6))),
        wall=float(rng.uniform(2.0, 3.4)),
        body_depth=float(rng.uniform(10.2, 11.8)),
        cardiothoracic_ratio=ctr,
        heart_tilt=float(rng.uniform(0.55, 0.8)),
        knob=float(rng.uniform(0.7, 1.3)),
        rib_drop=float(rng.uniform(0.9, 1.15)),
        rib_pitch=float(rng.uniform(0.97, 1.05)),
        rib_density=float(rng.uniform(0.8, 1.15)),
        breast=float(rng.uniform(0.6, 1.0)) if sex == "F" else float(rng.uniform(0.0, 0.25)),
        clavicle_lift=float(rng.uniform(-0.6, 0.6)) - (1.2 if ap else 0.0),
        tracheal_shift=float(rng.normal(-0.2, 0.15)),
        gastric_bubble=float(rng.uniform(0.3, 1.0)),
        vessel_density=float(rng.uniform(0.85, 1.2)),
    )
