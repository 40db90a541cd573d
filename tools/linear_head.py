"""A regularised linear head on pooled features, judged by nested cross-validation. Pure numpy.

One ridge regression for all findings at once, on standardised features. Its target mixes the label
and the logit of a teacher's probability, each standardised: labels mined from reports are noisy, and
a teacher that saw many more films smooths them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cohort:
    """One film a patient, so that splitting films splits patients.

    `features` (n, views, channels): pooled activations of the film and of its mirror image, which is
    trained on but never scored; `labels` (n, k) of 0 and 1; `teacher` (n, k) probabilities.
    """

    features: Array
    labels: Array
    teacher: Array

    def part(self, rows: NDArray[np.intp]) -> Cohort:
        """The films of `rows`."""
        return Cohort(self.features[rows], self.labels[rows], self.teacher[rows])


@dataclass(frozen=True)
class Settings:
    """`penalty`: ridge penalty per feature and film; `soft`: the teacher's share of the target, 0 to 1."""

    penalty: float
    soft: float


GRID = tuple(Settings(penalty, soft) for penalty in (1.0, 3.0, 10.0, 30.0) for soft in (0.3, 0.5, 0.7))


@dataclass(frozen=True)
class LinearHead:
    """score = pooled activation . `weights` (channels, k) + `bias` (k)."""

    weights: Array
    bias: Array

    def __call__(self, pooled: Array) -> Array:
        """(n, channels) -> (n, k)."""
        return pooled @ self.weights + self.bias

    def rescaled(self, slope: float, intercepts: Array) -> LinearHead:
        """The head whose scores are slope * score + intercept."""
        return replace(self, weights=slope * self.weights, bias=slope * self.bias + intercepts)


def fit_head(cohort: Cohort, settings: Settings) -> LinearHead:
    """Ridge regression in its dual form; the standardisation of features is folded into the weights."""
    views = cohort.features.shape[1]
    x = cohort.features.transpose(1, 0, 2).reshape(-1, cohort.features.shape[2])
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    x = (x - mean) / deviation
    teacher = np.log(cohort.teacher) - np.log1p(-cohort.teacher)
    target = settings.soft * _standardised(teacher) + (1.0 - settings.soft) * _standardised(cohort.labels)
    target = np.tile(target, (views, 1))
    gram = x @ x.T + settings.penalty * x.shape[1] * np.eye(len(x))
    weights = x.T @ np.linalg.solve(gram, target) / deviation[:, None]
    return LinearHead(weights, -(mean @ weights))


def choose_settings(cohort: Cohort, seed: int, grid: tuple[Settings, ...] | None = None) -> Settings:
    """The settings of `grid` (`GRID`) with the best macro AUROC in 5-fold cross-validation of `cohort`."""
    return max(
        grid or GRID, key=lambda settings: macro_auroc(cohort.labels, held_out(cohort, settings, seed))
    )


def nested_scores(cohort: Cohort, seed: int) -> Array:
    """Out-of-fold scores (n, k); each outer fold's settings are chosen on its training films alone."""
    scores = np.empty_like(cohort.labels)
    for train, test in _folds(len(scores), seed):
        part = cohort.part(train)
        head = fit_head(part, choose_settings(part, seed + 1))
        scores[test] = head(cohort.features[test, 0])
    return scores


def macro_auroc(labels: Array, scores: Array) -> float:
    """Mean AUROC over the findings that have both classes."""
    return float(
        np.mean([auroc(y, s) for y, s in zip(labels.T, scores.T, strict=True) if 0 < y.sum() < len(y)])
    )


def auroc(labels: Array, scores: Array) -> float:
    """scikit-learn's."""
    return float(roc_auc_score(labels, scores))


def bootstrap(labels: Array, scores: Array, seed: int, rounds: int = 2000) -> tuple[Array, Array]:
    """95% percentile intervals over patients: macro AUROC (2,) and per finding (k, 2)."""
    random = np.random.default_rng(seed)
    macro, single = [], []
    while len(macro) < rounds:
        rows = random.integers(0, len(labels), len(labels))
        y, s = labels[rows], scores[rows]
        if (y.sum(axis=0) == 0).any():
            continue
        single.append([auroc(y[:, k], s[:, k]) for k in range(y.shape[1])])
        macro.append(np.mean(single[-1]))
    return np.percentile(macro, [2.5, 97.5]), np.percentile(single, [2.5, 97.5], axis=0).T


def shared_scale(labels: Array, scores: Array) -> tuple[float, Array]:
    """The slope common to all findings and an intercept each that make scores logits, by likelihood."""
    k = labels.shape[1]
    prior = np.log(labels.mean(axis=0)) - np.log1p(-labels.mean(axis=0))

    def loss(parameters: Array) -> float:
        return _log_loss(labels, parameters[0] * scores + parameters[1:])

    found = minimize(
        loss, np.concatenate([[1.0], prior]), method="L-BFGS-B", bounds=[(1e-3, None)] + [(None, None)] * k
    )
    return float(found.x[0]), found.x[1:]


def shrunk_platt(labels: Array, logits: Array) -> tuple[float, float]:
    """Platt's slope and intercept for one finding, drawn towards (1, 0) where there are few positives.

    Gaussian priors: slope 1 +- 0.25, intercept 0 +- 0.5. Platt 1999, with MacKay's kind of shrinkage.
    """

    def loss(parameters: Array) -> float:
        slope, intercept = parameters
        penalty = 0.5 * ((slope - 1.0) / 0.25) ** 2 + 0.5 * (intercept / 0.5) ** 2
        return _log_loss(labels, slope * logits + intercept) + penalty

    found = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(0.05, None), (None, None)])
    return float(found.x[0]), float(found.x[1])


def _log_loss(labels: Array, logits: Array) -> float:
    return float(np.sum(np.logaddexp(0.0, logits) - labels * logits))


def held_out(cohort: Cohort, settings: Settings, seed: int) -> Array:
    scores = np.empty_like(cohort.labels)
    for train, test in _folds(len(scores), seed):
        scores[test] = fit_head(cohort.part(train), settings)(cohort.features[test, 0])
    return scores


def _folds(n: int, seed: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    return KFold(5, shuffle=True, random_state=seed).split(np.empty(n))


def _standardised(columns: Array) -> Array:
    return (columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-6)
