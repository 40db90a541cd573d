"""Two models' calls on the same images: differences of proportions, McNemar's test, clustered or not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cxrbatch.evaluation.auroc import Floats
from cxrbatch.evaluation.intervals import Interval
from cxrbatch.evaluation.operating_points import wilson_interval

EXACT_BELOW = 25
"""Discordant patients below which the test is exact: McNemar's chi-squared wants some 25 (Fagerland et al.,
BMC Medical Research Methodology 2013;13:91)."""


@dataclass(frozen=True)
class PairedCalls:
    """What two models called on the n images of one class: by both, by one only, by neither.

    `discordance` (patients that disagree,): images that only B called less those that only A called, of each
    patient for whom that is not 0. With one image a patient it holds +1 and -1.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    discordance: NDArray[np.int64]
    clustered: bool

    @staticmethod
    def of(called_a: ArrayLike, called_b: ArrayLike, clusters: ArrayLike) -> PairedCalls:
        """All (n,): calls as booleans, the patient of each image."""
        a, b = np.asarray(called_a, dtype=bool), np.asarray(called_b, dtype=bool)
        patients, patient = np.unique(np.asarray(clusters), return_inverse=True)
        net = np.zeros(len(patients), dtype=np.int64)
        np.add.at(net, patient.ravel(), b.astype(np.int64) - a.astype(np.int64))
        return PairedCalls(
            both=int(np.sum(a & b)),
            only_a=int(np.sum(a & ~b)),
            only_b=int(np.sum(~a & b)),
            neither=int(np.sum(~a & ~b)),
            discordance=net[net != 0],
            clustered=len(patients) < len(a),
        )

    @property
    def n(self) -> int:
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def share_a(self) -> float | None:
        """Share of the images that A called; None without images."""
        return (self.both + self.only_a) / self.n if self.n else None

    @property
    def share_b(self) -> float | None:
        return (self.both + self.only_b) / self.n if self.n else None

    @property
    def difference(self) -> float | None:
        """Share called by B less share called by A."""
        return (self.only_b - self.only_a) / self.n if self.n else None

    @property
    def test(self) -> str:
        """Which test `p_value` is of."""
        kind = "exact" if len(self.discordance) < EXACT_BELOW else "chi-squared"
        return f"McNemar, {kind}, by patients" if self.clustered else f"McNemar, {kind}"

    @property
    def p_value(self) -> float | None:
        """Two-sided; None without images. See `mcnemar`."""
        return mcnemar(self.discordance) if self.n else None

    def ci95(self, level: float = 0.95) -> Interval | None:
        """Newcombe's interval for `difference`, which takes images as independent; None without images."""
        return newcombe_interval(self.both, self.only_b, self.only_a, self.neither, level)


def mcnemar(discordance: ArrayLike) -> float:
    """Two-sided p value that neither model calls more, from net discordant images a patient (patients,).

    Under the null hypothesis every patient's difference d is as likely as -d. From 25 discordant patients the
    statistic is (sum d)^2 / sum d^2, chi-squared with one degree of freedom (McNemar, Psychometrika
    1947;12:153; for several images of a patient Yang, Sun and Hardin, Biometrical J 2010;52:638). Below,
    p is the share of all sign flips with a sum at least as far from 0. With one image a patient these are
    McNemar's statistic without continuity correction and the exact binomial test.
    """
    d = np.abs(np.asarray(discordance, dtype=np.int64))
    d, total = d[d > 0], abs(int(np.sum(np.asarray(discordance, dtype=np.int64))))
    if d.size == 0:
        return 1.0
    if d.size >= EXACT_BELOW:
        return math.erfc(total / math.sqrt(2.0 * float(np.sum(d**2))))
    chances = np.ones(1)  # of the sum of the signed d, from -sum to sum in steps of one
    for size in d:
        flipped = np.zeros(chances.size + 2 * int(size))
        flipped[: chances.size] += 0.5 * chances
        flipped[2 * int(size) :] += 0.5 * chances
        chances = flipped
    sums = np.arange(chances.size) - int(d.sum())
    return min(1.0, float(chances[np.abs(sums) >= total].sum()))


def newcombe_interval(
    both: int, only_first: int, only_second: int, neither: int, level: float = 0.95
) -> Interval | None:
    """Interval for the difference of two paired proportions, first less second; None without images.

    Newcombe, Statistics in Medicine 1998;17:2635, method 10: Wilson's intervals of the two proportions, put
    together with their correlation phi, whose numerator carries a continuity correction.
    """
    n = both + only_first + only_second + neither
    one, two = both + only_first, both + only_second
    interval_one, interval_two = wilson_interval(one, n, level), wilson_interval(two, n, level)
    if interval_one is None or interval_two is None:
        return None
    p1, p2 = one / n, two / n
    below1, above1 = p1 - interval_one[0], interval_one[1] - p1
    below2, above2 = p2 - interval_two[0], interval_two[1] - p2
    phi = _phi(both, only_first, only_second, neither)
    difference = (only_first - only_second) / n
    low = difference - math.sqrt(max(0.0, below1**2 - 2 * phi * below1 * above2 + above2**2))
    high = difference + math.sqrt(max(0.0, above1**2 - 2 * phi * above1 * below2 + below2**2))
    return max(-1.0, low), min(1.0, high)


def _phi(a: int, b: int, c: int, d: int) -> float:
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    numerator = float(a * d - b * c)
    if numerator > 0:
        numerator = max(0.0, numerator - (a + b + c + d) / 2.0)
    return numerator / math.sqrt(margins)


def call(score: Floats, threshold: float) -> NDArray[np.bool_]:
    """A score at or above the threshold is called."""
    return np.asarray(score >= threshold)
