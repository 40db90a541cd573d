"""From averaged activations to the film check's arrays: a classifier, and the spread of upright films."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from cxrbatch.bundles.film_check import CLASSES, UPRIGHT

Floats = NDArray[np.float32]
Labels = NDArray[np.str_]

PENALTY = 0.003
"""Inverse strength of the ridge penalty (`C` of scikit-learn) on standardised features."""


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """scores = x.ravel() . `weights` (features, classes) + `bias` (classes,), in the order of `CLASSES`."""

    weights: Floats
    bias: Floats

    def wrong(self, cells: Floats) -> NDArray[np.float64]:
        """ln(p / (1 - p)), p the probability of all classes but the first: (n, ...) -> (n,)."""
        scores = cells.reshape(len(cells), -1).astype(np.float64) @ self.weights + self.bias
        return np.asarray(np.logaddexp.reduce(scores[:, 1:], axis=1) - scores[:, 0])


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """distance = |(mean over cells - `centre`) . `whitening`|."""

    centre: Floats
    whitening: Floats

    def distance(self, cells: Floats) -> NDArray[np.float64]:
        """(n, grid, grid, channels) -> (n,)."""
        offset = cells.astype(np.float64).mean(axis=(1, 2)) - self.centre
        return np.asarray(np.linalg.norm(offset @ self.whitening.astype(np.float64), axis=1))

    def scaled(self, unit: float) -> Spread:
        """The same with distances in units of `unit`."""
        return Spread(self.centre, (self.whitening / unit).astype(np.float32))


def fit_classifier(cells: Floats, labels: Labels, weights: NDArray[np.float64]) -> Classifier:
    """Multinomial logistic regression with a ridge penalty on standardised features.

    Args:
        cells: (n, grid, grid, channels).
        labels: (n,) of `CLASSES`, each of which must occur.
        weights: (n,) how much each picture counts.
    """
    x = cells.reshape(len(cells), -1).astype(np.float32)
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    model = LogisticRegression(C=PENALTY, max_iter=150, tol=1e-4)
    numbers = np.array([CLASSES.index(label) for label in labels])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the penalty, not the last step, decides here
        model.fit((x - mean) / deviation, numbers, sample_weight=weights)
    folded = model.coef_.T / deviation[:, None]
    bias = model.intercept_ - mean @ folded
    return Classifier(folded.astype(np.float32), bias.astype(np.float32))


def fit_spread(cells: Floats) -> Spread:
    """Mean and Ledoit-Wolf covariance (J. Multivariate Anal. 2004) of the upright films' channels.

    The distance is Mahalanobis': `whitening` is the symmetric root of the inverse covariance.
    """
    channels = cells.astype(np.float64).mean(axis=(1, 2))
    found = LedoitWolf().fit(channels)
    values, vectors = np.linalg.eigh(found.covariance_)
    root = (vectors / np.sqrt(values)) @ vectors.T
    return Spread(found.location_.astype(np.float32), root.astype(np.float32))


def balance(labels: Labels, groups: NDArray[np.str_]) -> NDArray[np.float64]:
    """Each class counts as much as the upright films do in all, and each kind of other picture as much as any
    other kind: (n,)."""
    weights = np.ones(len(labels))
    upright = float(np.sum(labels == UPRIGHT))
    for label in CLASSES[1:]:
        of_class = labels == label
        if label == "not_chest":
            for group in np.unique(groups[of_class]):
                weights[of_class & (groups == group)] /= np.sum(of_class & (groups == group))
        weights[of_class] *= upright / max(weights[of_class].sum(), 1.0)
    return weights
