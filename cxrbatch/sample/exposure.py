"""From tissue to film: Beer-Lambert attenuation, scatter, quantum noise, and a display curve."""

from __future__ import annotations

import numpy as np

from cxrbatch.sample.grid import Plane, resize, smooth
from cxrbatch.sample.thorax import Tissue

SOFT, LUNG, BONE_OVER_SOFT = 0.205, 0.055, 0.36
"""Linear attenuation in 1/cm near 60 keV effective: water 0.206, lung at about a quarter of its density,
and cortical bone beyond the soft tissue that it displaces (NIST XCOM, Hubbell and Seltzer 1995)."""

SCATTER_SHARE, SCATTER_CM = 0.03, 4.0
"""Scatter that passes the grid, as a share of the open beam's mean signal around a pixel."""

QUANTA = 6.0e5
"""Quanta a pixel in the open beam: sets the noise."""


def attenuation(tissue: Tissue) -> Plane:
    """The line integral of attenuation along each ray, no unit."""
    soft = np.clip(tissue.body - tissue.lung - tissue.air, 0, None)
    return (
        SOFT * soft + LUNG * tissue.lung + (SOFT - LUNG) * tissue.vessels + BONE_OVER_SOFT * tissue.bone
    ).astype(np.float32)


def expose(
    integral: Plane,
    shape: tuple[int, int],
    px_per_cm: float,
    rng: np.random.Generator,
    quanta: float = QUANTA,
) -> Plane:
    """What the detector reports, as `-log(signal)` (rows, cols) of `shape`.

    The beam falls off by Beer and Lambert, scatter adds a smooth share of it, the focal spot and the
    detector blur it, and the count of quanta varies like a Poisson variable (normal for such counts).
    """
    beam = np.exp(-integral)
    beam = smooth(beam, 0.012 * px_per_cm) + SCATTER_SHARE * smooth(beam, SCATTER_CM * px_per_cm)
    beam = np.clip(resize(beam, *shape), 1e-6, None)
    grain = smooth(rng.standard_normal(shape, dtype=np.float32), 0.55)
    noisy = beam + np.sqrt(beam / quanta) * (grain / grain.std())
    return -np.log(np.clip(noisy, 1e-5, None)).astype(np.float32)


def render(signal: Plane, px_per_cm: float, low: float = 0.35, high: float = 3.65) -> Plane:
    """Display values in 0..1, dense tissue bright, as a radiography unit would process them.

    Part of the coarse structure is taken out (so that lung and abdomen both show detail), then an
    S-shaped curve as of film is applied. All constants are fixed: a lesion changes nothing elsewhere.
    """
    coarse = smooth(signal, 2.5 * px_per_cm)
    fine = signal - smooth(signal, 0.25 * px_per_cm)
    balanced = signal - 0.25 * coarse + 0.5 * fine
    t = np.clip((balanced - low) / (high - low), -0.6, 1.6)
    curve = 1 / (1 + np.exp(-3.9 * (t - 0.5)))
    floor, top = 1 / (1 + np.exp(3.9 * 1.1)), 1 / (1 + np.exp(-3.9 * 1.1))
    return np.clip((curve - floor) / (top - floor), 0, 1).astype(np.float32)
