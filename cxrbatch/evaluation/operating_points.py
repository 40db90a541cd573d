"""Thresholds and what they give: sensitivity, specificity, predictive values, F1.

A score at or above the threshold is called positive (as `scoring.decision.is_flagged` does).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cxrbatch.evaluation.auroc import Floats, as_matrix
from cxrbatch.evaluation.intervals import Interval, normal_quantile


@dataclass(frozen=True)
class RocCurve:
    """Every threshold that changes a decision, falling; the first is above all scores (nothing called)."""

    thresholds: Floats
    sensitivity: Floats
    specificity: Floats


@dataclass(frozen=True)
class Proportion:
    """k of n with Wilson's 95% interval; value and interval are None when n is 0."""

    k: int
    n: int
    value: float | None
    ci95: Interval | None

    @staticmethod
    def of(k: int, n: int) -> Proportion:
        return Proportion(k, n, k / n if n else None, wilson_interval(k, n))


@dataclass(frozen=True)
class OperatingPoint:
    """The confusion table at one threshold and the rates from it."""

    threshold: float
    tp: int
    fp: int
    tn: int
    fn: int

    @property
    def sensitivity(self) -> Proportion:
        return Proportion.of(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> Proportion:
        return Proportion.of(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> Proportion:
        return Proportion.of(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> Proportion:
        return Proportion.of(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None when there is neither a positive nor a call."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else None

    def predictive_values(self, prevalence: float) -> tuple[float | None, float | None]:
        """(PPV, NPV) by Bayes' theorem at a stated prevalence in [0, 1]; None where undefined."""
        if not 0.0 <= prevalence <= 1.0:
            raise ValueError(f"`prevalence` must be within [0, 1]. Received: {prevalence}")
        se, sp = self.sensitivity.value, self.specificity.value
        if se is None or sp is None:
            return None, None
        called = se * prevalence + (1.0 - sp) * (1.0 - prevalence)
        cleared = (1.0 - se) * prevalence + sp * (1.0 - prevalence)
        ppv = se * prevalence / called if called > 0 else None
        npv = sp * (1.0 - prevalence) / cleared if cleared > 0 else None
        return ppv, npv

    def predictive_intervals(self, prevalence: float) -> tuple[Interval | None, Interval | None]:
        """95% intervals of (PPV, NPV) at a stated prevalence in (0, 1), images independent; None where
        the value is.

        PPV's odds are the prevalence's times sensitivity / (1 - specificity), NPV's the inverse prevalence's
        times specificity / (1 - sensitivity); the ratio of two proportions with Wilson's limits gets its own
        by MOVER-R (Newcombe, Stat Methods Med Res 2016;25:1774).
        """
        ppv, npv = self.predictive_values(prevalence)
        positives, negatives = self.tp + self.fn, self.tn + self.fp
        called = Proportion.of(self.tp, positives), Proportion.of(self.fp, negatives)
        cleared = Proportion.of(self.tn, negatives), Proportion.of(self.fn, positives)
        odds = prevalence / (1.0 - prevalence) if prevalence < 1.0 else math.inf
        inverse = (1.0 - prevalence) / prevalence if prevalence > 0.0 else math.inf
        return (
            None if ppv is None else _from_odds(odds, ratio_limits(*called)),
            None if npv is None else _from_odds(inverse, ratio_limits(*cleared)),
        )


def ratio_limits(above: Proportion, below: Proportion) -> Interval | None:
    """95% limits of above / below, two independent proportions, by MOVER-R; the upper one may be infinite.

    Newcombe 2016; None where either has no interval.
    """
    if above.value is None or below.value is None or above.ci95 is None or below.ci95 is None:
        return None
    low = _mover(above.value, above.ci95[0], below.value, below.ci95[1])
    inverse = _mover(below.value, below.ci95[0], above.value, above.ci95[1])
    return low, 1.0 / inverse if inverse > 0 else math.inf


def _mover(p1: float, low1: float, p2: float, high2: float) -> float:
    """Lower limit of p1 / p2: the smaller root of a x^2 - 2 b x + c, in the form that takes p2 = 0."""
    a, b, c = high2 * (2 * p2 - high2), p1 * p2, low1 * (2 * p1 - low1)
    below = b + math.sqrt(max(b * b - a * c, 0.0))
    return c / below if below > 0 else 0.0


def _from_odds(odds: float, ratio: Interval | None) -> Interval | None:
    if ratio is None:
        return None
    if odds == 0.0 or math.isinf(odds):
        return (0.0, 0.0) if odds == 0.0 else (1.0, 1.0)
    low, high = (odds * limit for limit in ratio)
    return low / (1.0 + low), 1.0 if math.isinf(high) else high / (1.0 + high)


def wilson_interval(k: int, n: int, level: float = 0.95) -> Interval | None:
    """Wilson's score interval for k of n (Wilson, JASA 1927;22:209; Newcombe 1998); None when n is 0."""
    if n == 0:
        return None
    z2 = normal_quantile(level) ** 2
    p = k / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low = 0.0 if k == 0 else max(0.0, centre - half)
    high = 1.0 if k == n else min(1.0, centre + half)
    return low, high


def operating_point(y_true: ArrayLike, y_score: ArrayLike, threshold: float) -> OperatingPoint:
    """Confusion table at a threshold. y_true (n,): 0, 1, NaN (left out); y_score (n,)."""
    positive, score = _known(y_true, y_score)
    called = score >= threshold
    tp = int(np.sum(called & positive))
    fp = int(np.sum(called & ~positive))
    return OperatingPoint(float(threshold), tp, fp, int((~positive).sum()) - fp, int(positive.sum()) - tp)


def roc_curve(y_true: ArrayLike, y_score: ArrayLike) -> RocCurve:
    """Sensitivity and specificity at every distinct score. Raises ValueError when a class is missing."""
    positive, score = _known(y_true, y_score)
    if positive.all() or not positive.any():
        raise ValueError("the ROC curve is undefined: `y_true` holds one class only")
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
    tp = np.cumsum(hits)[last]
    fp = last + 1 - tp
    above_all = np.nextafter(ranked[0], np.inf)
    return RocCurve(
        np.concatenate([[above_all], ranked[last]]),
        np.concatenate([[0.0], tp / tp[-1]]),
        np.concatenate([[1.0], 1.0 - fp / fp[-1]]),
    )


def youden_threshold(y_true: ArrayLike, y_score: ArrayLike) -> float:
    """The threshold with the largest sensitivity + specificity - 1 (Youden 1950); of several, the highest."""
    curve = roc_curve(y_true, y_score)
    # Differences of ratios carry rounding: without the tolerance it would choose among equals.
    youden = curve.sensitivity + curve.specificity
    return float(curve.thresholds[np.flatnonzero(youden >= youden.max() - 1e-12)[0]])


def threshold_for_sensitivity(y_true: ArrayLike, y_score: ArrayLike, at_least: float) -> float:
    """The highest threshold with sensitivity >= `at_least`, in [0, 1]: the most specific that suffices."""
    _check_share(at_least)
    curve = roc_curve(y_true, y_score)
    return float(curve.thresholds[np.flatnonzero(curve.sensitivity >= at_least - 1e-12)[0]])


def threshold_for_specificity(y_true: ArrayLike, y_score: ArrayLike, at_least: float) -> float:
    """The lowest threshold with specificity >= `at_least`, in [0, 1]: the most sensitive that suffices."""
    _check_share(at_least)
    curve = roc_curve(y_true, y_score)
    return float(curve.thresholds[np.flatnonzero(curve.specificity >= at_least - 1e-12)[-1]])


def _check_share(value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"`at_least` must be within [0, 1]. Received: {value}")


def _known(y_true: ArrayLike, y_score: ArrayLike) -> tuple[np.ndarray, Floats]:
    truth, score = as_matrix(y_true, y_score)
    if truth.shape[1] != 1:
        raise ValueError(f"`y_true` must be one finding, (n,). Received: {truth.shape}")
    known = ~np.isnan(truth[:, 0])
    return truth[known, 0] == 1, score[known, 0]
