"""Calibration on validation films: one slope that all findings share, and an intercept for each.

Calibrated probability = sigmoid(slope * logit(raw) + intercept), Platt 1999. A validation set has few
positives of most findings: a slope each would fit noise, a shared one is fitted to all of them. What is
maximised is the likelihood times Gaussian priors: the slope's is around 1, and a finding's level (the
calibrated logit of a film with the mean raw logit) is around where the mean probability of the films is the
finding's frequency in training. Hundreds of positives hardly heed that; a handful stays near it. Weights in
the loss raise raw probabilities of rare findings by orders of magnitude, so that no fixed level would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize

from cxrbatch.bundles.card import PlattCurve

Floats = NDArray[np.float64]

LOWEST_SLOPE = 0.05
"""Below it the order of films would be lost or reversed, which no calibration may do."""


@dataclass(frozen=True)
class Prior:
    """Standard deviations of the Gaussian priors, of slope and levels (logits). Infinite: no prior."""

    slope: float = 0.5
    level: float = 0.5


def fit_platt(
    labels: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    findings: Sequence[str],
    frequencies: NDArray[np.floating] | None = None,
    prior: Prior | None = None,
) -> dict[str, PlattCurve]:
    """A curve for each finding, for a bundle's card.

    Args:
        labels: (n, k) of 1, 0, and NaN where unknown (left out).
        probabilities: (n, k), raw, in [0, 1]; held 1e-7 away from both ends. n is at least 1.
        findings: (k,) names.
        frequencies: (k,) of the findings where the network was trained, in (0, 1); without them the levels'
            priors are around the raw ones.
        prior: how strongly to hold to it.

    A finding without one class, or without any label, keeps near its expected level. Convex, so that the
    result depends on no start and no seed.
    """
    y = np.asarray(labels, np.float64)
    p = np.clip(np.asarray(probabilities, np.float64), 1e-7, 1.0 - 1e-7)
    z = np.log(p) - np.log1p(-p)
    centre = z.mean(axis=0)
    expected = centre if frequencies is None else _levels(z - centre, np.asarray(frequencies, np.float64))
    slope, levels = _most_probable(y, z - centre, expected, prior or Prior())
    return {
        name: PlattCurve(slope=slope, intercept=float(intercept))
        for name, intercept in zip(findings, levels - slope * centre, strict=True)
    }


def _levels(centred: Floats, frequencies: Floats) -> Floats:
    """(k,) what to add to each column of logits so that their mean probability is the frequency."""
    pairs = zip(centred.T, frequencies, strict=True)
    return np.array([brentq(lambda b, z=z, f=f: _sigmoid(z + b).mean() - f, -60.0, 60.0) for z, f in pairs])


def _most_probable(y: Floats, z: Floats, expected: Floats, prior: Prior) -> tuple[float, Floats]:
    """Slope, and levels (k,), of centred logits `z`."""
    known = ~np.isnan(y)
    truth = np.where(known, y, 0.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, levels = parameters[0], parameters[1:]
        logits = slope * z + levels
        off = (slope - 1.0) / prior.slope, (levels - expected) / prior.level
        likelihood = np.where(known, np.logaddexp(0.0, logits) - truth * logits, 0.0)
        residual = np.where(known, _sigmoid(logits) - truth, 0.0)
        value = likelihood.sum() + 0.5 * (off[0] ** 2 + np.sum(off[1] ** 2))
        gradient = np.append(
            np.sum(residual * z) + off[0] / prior.slope, residual.sum(axis=0) + off[1] / prior.level
        )
        return float(value), gradient

    start = np.append(1.0, expected)
    bounds = [(LOWEST_SLOPE, None)] + [(None, None)] * len(expected)
    options = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-9}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return float(found.x[0]), found.x[1:]


def _sigmoid(z: Floats) -> Floats:
    decay = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, decay) / (1.0 + decay)


def method_sentence(n_films: int, prior: Prior | None = None) -> str:
    """For the card's `calibration_method`."""
    prior = prior or Prior()
    return (
        f"Platt scaling on {n_films} validation films: one slope for all findings and an intercept each, by "
        f"penalised maximum likelihood with Gaussian priors (slope 1 +- {prior.slope:g}; a finding's level "
        f"+- {prior.level:g} logits around where the mean probability is its frequency in training). It is "
        "calibrated to how frequent findings were among these films: where they are rarer, read it as too "
        "high."
    )
