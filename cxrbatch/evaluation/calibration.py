"""Do probabilities mean what they say: Brier score, calibration error, calibration slope and intercept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cxrbatch.evaluation.auroc import Floats, as_matrix

ECE_BINS = 10
_CLIP = 1e-7


@dataclass(frozen=True)
class ReliabilityBins:
    """Equal-width bins of the probability that hold at least one image; all (b,)."""

    mean_probability: Floats
    observed_rate: Floats
    count: Floats


@dataclass(frozen=True)
class LogisticCalibration:
    """logit P(y = 1) = intercept + slope logit(p). Slope 1 and intercept 0 is calibrated.

    `in_the_large` is the intercept when the slope is held at 1: below 0 the model promises too much.
    Each is None where maximum likelihood has no finite solution (one class, separated classes, one score).
    """

    slope: float | None
    intercept: float | None
    in_the_large: float | None


def brier_score(y_true: ArrayLike, probability: ArrayLike) -> float:
    """Mean of (p - y)^2 (Brier 1950). y_true (n,): 0, 1, NaN (left out); probability (n,) in [0, 1]."""
    truth, p = _known(y_true, probability)
    return float(np.mean((p - truth) ** 2)) if truth.size else float("nan")


def reliability_bins(y_true: ArrayLike, probability: ArrayLike, bins: int = ECE_BINS) -> ReliabilityBins:
    """Mean probability against the observed rate in equal-width bins of [0, 1], the last one closed."""
    truth, p = _known(y_true, probability)
    index = np.minimum((p * bins).astype(np.intp), bins - 1)
    count = np.bincount(index, minlength=bins).astype(np.float64)
    held = count > 0
    mean_p = np.bincount(index, weights=p, minlength=bins)[held] / count[held]
    rate = np.bincount(index, weights=truth, minlength=bins)[held] / count[held]
    return ReliabilityBins(mean_p, rate, count[held])


def expected_calibration_error(y_true: ArrayLike, probability: ArrayLike, bins: int = ECE_BINS) -> float:
    """ECE = sum over bins of (n_b / n) |mean probability - observed rate|, equal-width bins.

    Naeini et al., AAAI 2015; Guo et al., ICML 2017. It depends on the bins: report their number with it.
    """
    parts = reliability_bins(y_true, probability, bins)
    if parts.count.size == 0:
        return float("nan")
    gaps = np.abs(parts.mean_probability - parts.observed_rate)
    return float(np.sum(parts.count * gaps) / parts.count.sum())


def logistic_calibration(y_true: ArrayLike, probability: ArrayLike) -> LogisticCalibration:
    """Calibration slope and intercept by logistic regression of the outcome on logit(p).

    Cox 1958; Van Calster et al., BMC Medicine 2019;17:230. Probabilities are held 1e-7 from 0 and 1.
    """
    truth, p = _known(y_true, probability)
    if truth.size == 0 or truth.min() == truth.max():
        return LogisticCalibration(None, None, None)
    held = np.clip(p, _CLIP, 1.0 - _CLIP)
    logits = np.log(held / (1.0 - held))
    ones = np.ones_like(logits)
    large = _fit(truth, ones[:, None], logits)
    both = None
    if not _separated(truth, logits):
        both = _fit(truth, np.column_stack([ones, logits]), np.zeros_like(logits))
    return LogisticCalibration(
        None if both is None else float(both[1]),
        None if both is None else float(both[0]),
        None if large is None else float(large[0]),
    )


def _separated(truth: Floats, x: Floats) -> bool:
    """Some cut on x parts the classes (the likelihood then has no maximum), or x is constant."""
    pos, neg = x[truth == 1], x[truth == 0]
    return bool(pos.min() >= neg.max() or pos.max() <= neg.min() or x.min() == x.max())


def _fit(truth: Floats, design: Floats, offset: Floats) -> Floats | None:
    """Maximum-likelihood logistic regression by Newton's method with step halving; None if it fails."""

    def log_likelihood(beta: Floats) -> float:
        eta = offset + design @ beta
        return float(np.sum(truth * eta - np.logaddexp(0.0, eta)))

    beta = np.zeros(design.shape[1])
    best = log_likelihood(beta)
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(offset + design @ beta, -700, 700)))
        gradient = design.T @ (truth - p)
        hessian = (design * (p * (1.0 - p))[:, None]).T @ design
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            return None
        scale = 1.0
        while (now := log_likelihood(beta + scale * step)) < best - 1e-12 * abs(best) and scale > 1e-10:
            scale /= 2.0
        beta, best = beta + scale * step, now
        if np.max(np.abs(scale * step)) < 1e-10 * (1.0 + np.max(np.abs(beta))):
            return beta
    return None


def _known(y_true: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    truth, p = as_matrix(y_true, probability)
    if truth.shape[1] != 1:
        raise ValueError(f"`y_true` must be one finding, (n,). Received: {truth.shape}")
    if np.any((p < 0) | (p > 1)):
        raise ValueError("`probability` must be within [0, 1]")
    known = ~np.isnan(truth[:, 0])
    return truth[known, 0], p[known, 0]
