"""Differences between a group of images and the rest, with intervals from the patient-clustered bootstrap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from cxrbatch.evaluation.auroc import Floats, auroc
from cxrbatch.evaluation.bootstrap import WeightedAuroc, drawn_weights, variance
from cxrbatch.evaluation.intervals import Interval, t_quantile

MEASURES = ("auroc", "tpr", "fpr")
MINIMUM_CLASS = 10
"""Below so many images of a class no figure is shown: it would say more about chance than about the group."""


@dataclass(frozen=True)
class Gap:
    """A measure in the group minus the same in the rest; its interval is None with a `reason`."""

    difference: float
    ci95: Interval | None
    reason: str = ""

    @property
    def flagged(self) -> bool:
        """Whether the interval leaves zero."""
        return self.ci95 is not None and (self.ci95[0] > 0 or self.ci95[1] < 0)


@dataclass(frozen=True)
class GroupFigures:
    """One finding in a part of the images: AUROC, and the rates at its operating point; None if undefined."""

    auroc: float | None
    tpr: float | None
    fpr: float | None
    patients: tuple[int, int]
    """With a positive, and with a negative image."""
    judged: tuple[int, int] = (0, 0)
    """The same among the images on which the rates are judged."""


@dataclass(frozen=True)
class Part:
    """One finding in a set of images: labels (m,) 0, 1, NaN; scores (m,); patients (m,) numbered from 0;
    the threshold, or None; and which images (m,) are for judging it."""

    truth: Floats
    score: Floats
    patient: NDArray[np.intp]
    threshold: float | None
    judged: NDArray[np.bool_]

    def figures(self) -> GroupFigures:
        area = float(auroc(self.truth, self.score)[0])
        tpr, fpr = self._rate(1), self._rate(0)
        everyone = np.ones(len(self.truth), dtype=bool)
        return GroupFigures(
            None if math.isnan(area) else area,
            tpr,
            fpr,
            self._patients(everyone),
            self._patients(self.judged),
        )

    def _patients(self, images: NDArray[np.bool_]) -> tuple[int, int]:
        positive, negative = (len(np.unique(self.patient[images & (self.truth == c)])) for c in (1, 0))
        return positive, negative

    def _rate(self, label: int) -> float | None:
        of = self.judged & (self.truth == label)
        if self.threshold is None or of.sum() < MINIMUM_CLASS:
            return None
        return float(np.mean(self.score[of] >= self.threshold))

    def counts(self, clusters: int) -> Floats:
        """(4, clusters): a patient's positives, called positives, negatives, called negatives."""
        rows = np.zeros((4, clusters))
        if self.threshold is None:
            return rows
        called = self.score >= self.threshold
        for row, label in ((0, 1), (2, 0)):
            of = self.judged & (self.truth == label)
            rows[row] = np.bincount(self.patient[of], minlength=clusters)
            rows[row + 1] = np.bincount(self.patient[of & called], minlength=clusters)
        return rows


def bootstrap_figures(parts: Sequence[Part], clusters: int, rounds: int, seed: int) -> Floats:
    """(rounds, parts, 3): AUROC, TPR and FPR of each part in each round, NaN where undefined; same draws."""
    values = np.full((rounds, len(parts), len(MEASURES)), np.nan)
    if not parts:
        return values
    plans = [WeightedAuroc.of(part.truth, part.score, part.patient, clusters) for part in parts]
    counts = csr_matrix(np.concatenate([part.counts(clusters) for part in parts]))
    for some, weights in drawn_weights(clusters, rounds, seed):
        by_precision = {kind: weights.astype(kind) for kind in {plan.precision for plan in plans}}
        for j, plan in enumerate(plans):
            values[some, j, 0] = plan.auroc(by_precision[plan.precision])
        sums = (counts @ weights).reshape(len(parts), 4, -1)
        for measure, (of, called) in enumerate(((0, 1), (2, 3)), start=1):
            rates = np.full(sums[:, 0].shape, np.nan)
            np.divide(sums[:, called], sums[:, of], out=rates, where=sums[:, of] > 0)
            values[some, :, measure] = rates.T
    return values


def gap(group: GroupFigures, rest: GroupFigures, measure: int, rounds: Floats) -> Gap | None:
    """The gap in `MEASURES[measure]`; rounds (r,): the difference in each round.

    Difference -+ t se, with se the deviation over the rounds and t Student's with the patients of the
    smallest class involved, less one, as degrees. No interval where a value is 0 or 1 in either part, since
    the bootstrap then says nothing of its spread. None where either value is undefined.
    """
    name = MEASURES[measure]
    ours, theirs = getattr(group, name), getattr(rest, name)
    if ours is None or theirs is None:
        return None
    difference = ours - theirs
    if ours in (0.0, 1.0) or theirs in (0.0, 1.0):
        return Gap(difference, None, "no interval: 0 or 1 in one of the two parts")
    classes = {"auroc": (0, 1), "tpr": (0,), "fpr": (1,)}[name]
    counts = [part.patients if name == "auroc" else part.judged for part in (group, rest)]
    fewest = min(count[c] for count in counts for c in classes)
    spread = variance(rounds)
    if fewest < 2 or math.isnan(spread):
        return Gap(difference, None, "no interval: fewer than two patients in a class")
    half = t_quantile(0.95, fewest - 1.0) * math.sqrt(spread * fewest / (fewest - 1.0))
    return Gap(difference, (max(difference - half, -1.0), min(difference + half, 1.0)))
