"""AUROC of cross-validated networks: each film is compared with films of its own fold only.

The networks of two folds differ in their level, so that their outputs have no common order (Forman and
Scholz, SIGKDD Explorations 2010;12(1):49; Airola et al., Computational Statistics & Data Analysis
2011;55:1828). Per finding, the pairs of a positive and a negative film of the same fold are counted over all
folds. That is the mean of the folds' AUROC weighted by their pairs: a fold with one positive film counts as
little as it can say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from cxrbatch.evaluation.paired_auroc import paired_auroc, t_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fold:
    """Films of a fold: `truth` (n, k) of 0, 1 and NaN where unknown; both scores (n, k); `patients` (n,)."""

    truth: Floats
    before: Floats
    after: Floats
    patients: Sequence[str]


@dataclass(frozen=True)
class Gain:
    """Macro AUROC before and after, and a 95% interval of the difference."""

    before: float
    after: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = self.interval
        difference = self.after - self.before
        return (
            f"{self.before:.3f} to {self.after:.3f}, difference {difference:+.3f}, {low:+.3f} to {high:+.3f}"
        )


def pairs_within_folds(folds: Sequence[Fold], rounds: int = 2000, seed: int = 0) -> Gain:
    """Macro AUROC on pairs within folds, over the findings that two patients have and two have not.

    The interval is of t with the standard error of a bootstrap that draws each fold's patients; degrees of
    freedom are those of the folds' percentiles taken together.
    """
    truth = np.vstack([fold.truth for fold in folds])
    percentiles = [np.vstack([_percentiles(scores) for scores in x]) for x in _both(folds)]
    names = [f"{i} {name}" for i, fold in enumerate(folds) for name in fold.patients]
    pooled = paired_auroc(truth, *percentiles, names, rounds=100)[1]
    areas = areas_within_folds(folds, rounds, seed)[:, :, pooled.findings]
    before, after = areas.mean(axis=2)
    # A round in which a finding lost all its pairs has no macro AUROC: others are another mean.
    steps = (after - before)[1:]
    error = float(np.std(steps[~np.isnan(steps)], ddof=1))
    interval = t_interval(float(after[0] - before[0]), error, pooled.degrees, 0.95)
    return Gain(float(before[0]), float(after[0]), interval)


def areas_within_folds(folds: Sequence[Fold], rounds: int, seed: int) -> Floats:
    """(2, 1 + rounds, k): before and after; of the films themselves, then of each round."""
    random = np.random.default_rng(seed)
    findings = folds[0].truth.shape[1]
    won, pairs = np.zeros((2, rounds + 1, findings)), np.zeros((rounds + 1, findings))
    for fold in folds:
        place = np.unique(fold.patients, return_inverse=True)[1]
        count = int(place.max()) + 1
        drawn = random.multinomial(count, np.full(count, 1.0 / count), rounds)
        times = np.vstack([np.ones(count), drawn])[:, place].astype(np.float64)
        for j in range(findings):
            positive, negative = (np.flatnonzero(fold.truth[:, j] == label) for label in (1, 0))
            pairs[:, j] += times[:, positive].sum(axis=1) * times[:, negative].sum(axis=1)
            for i, scores in enumerate((fold.before[:, j], fold.after[:, j])):
                step = scores[positive][:, None] - scores[negative][None, :]
                wins = (step > 0) + 0.5 * (step == 0)
                won[i, :, j] += np.sum((times[:, positive] @ wins) * times[:, negative], axis=1)
    with np.errstate(invalid="ignore"):
        return won / pairs


def mean_of_folds(folds: Sequence[Fold]) -> Gain:
    """Mean of the folds' macro AUROC, in each over the findings that two patients have and two have not."""
    each = [paired_auroc(f.truth, f.before, f.after, f.patients)[1] for f in folds]
    before, after = (float(np.mean([getattr(one, name) for one in each])) for name in ("auroc_a", "auroc_b"))
    variances = [(one.bootstrap_error / len(folds)) ** 2 for one in each]
    degrees = sum(variances) ** 2 / sum(v**2 / one.degrees for v, one in zip(variances, each, strict=True))
    return Gain(before, after, t_interval(after - before, sum(variances) ** 0.5, degrees, 0.95))


def _both(folds: Sequence[Fold]) -> tuple[list[Floats], list[Floats]]:
    return [fold.before for fold in folds], [fold.after for fold in folds]


def _percentiles(scores: Floats) -> Floats:
    return (rankdata(scores, axis=0) - 0.5) / len(scores)
