"""The arrays against scikit-learn and scipy, which compute the same in other ways."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxrbatch.bundles.film_check import CLASSES, FilmCheck, Limits, Tap
from cxrbatch.film_check.estimate import PENALTY, balance, fit_classifier, fit_spread

GRID, CHANNELS, N = 3, 5, 200


@pytest.fixture
def cells() -> np.ndarray:
    random = np.random.default_rng(11)
    mixing = random.normal(size=(CHANNELS, CHANNELS))
    return (random.normal(size=(N, GRID, GRID, CHANNELS)) @ mixing * 3.0 + 7.0).astype(np.float32)


@pytest.fixture
def labels(cells: np.ndarray) -> np.ndarray:
    return np.array(CLASSES)[(cells[:, 0, 0, 0] > 7).astype(int) * 2 + np.arange(N) % 3]


def check_of(cells: np.ndarray, labels: np.ndarray, unit: float = 1.0) -> FilmCheck:
    classifier = fit_classifier(cells, labels, np.ones(len(cells)))
    spread = fit_spread(cells).scaled(unit)
    return FilmCheck(
        tap=Tap("any", GRID),
        weights=classifier.weights,
        bias=classifier.bias,
        centre=spread.centre,
        whitening=spread.whitening,
        limits=Limits(0.0, 1.0),
        wrong_percentiles=np.zeros(100, np.float32),
        golden=np.zeros((2, 2), np.float32),
        tolerance={"float32": 1.0, "mixed": 1.0},
    )


def test_log_odds_are_those_of_scikit_learns_probabilities(cells: np.ndarray, labels: np.ndarray) -> None:
    flat = cells.reshape(N, -1).astype(np.float64)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=2000, tol=1e-8))
    oracle.fit(flat, [CLASSES.index(label) for label in labels])
    upright = oracle.predict_proba(flat)[:, 0]
    check = check_of(cells, labels)
    looks = check.looks(cells)
    np.testing.assert_allclose([x.wrong for x in looks], np.log((1 - upright) / upright), atol=0.01)
    kinds = oracle.predict_proba(flat)[:, 1:].argmax(axis=1)
    assert np.mean([CLASSES[1 + k] == x.kind for k, x in zip(kinds, looks, strict=True)]) > 0.97


def test_atypicality_is_the_mahalanobis_distance_of_the_shrunk_covariance(
    cells: np.ndarray, labels: np.ndarray
) -> None:
    channels = cells.mean(axis=(1, 2), dtype=np.float64)
    shrunk = LedoitWolf().fit(channels)
    inverse = np.linalg.inv(shrunk.covariance_)
    expected = cdist(channels, channels.mean(axis=0, keepdims=True), "mahalanobis", VI=inverse)[:, 0]
    found = [look.atypicality for look in check_of(cells, labels, unit=2.0).looks(cells)]
    np.testing.assert_allclose(np.array(found) * 2.0, expected, rtol=1e-4)
    np.testing.assert_allclose(expected**2, shrunk.mahalanobis(channels), rtol=1e-9)  # the oracles agree


def test_every_wrong_class_counts_as_much_as_the_upright_films() -> None:
    labels = np.array(["upright"] * 60 + ["inverted"] * 20 + ["sideways"] * 5 + ["not_chest"] * 12)
    groups = np.array([str(i) for i in range(85)] + ["CT"] * 10 + ["text"] * 2)
    weights = balance(labels, groups)
    for label in ("upright", "inverted", "sideways", "not_chest"):
        assert weights[labels == label].sum() == pytest.approx(60.0)
    assert weights[groups == "CT"].sum() == pytest.approx(weights[groups == "text"].sum())


def test_weights_are_heeded(cells: np.ndarray, labels: np.ndarray) -> None:
    """Counting a picture twice is weighing it twice."""
    twice = np.ones(N)
    twice[:50] = 2.0
    weighed = fit_classifier(cells, labels, twice)
    doubled = np.concatenate((cells, cells[:50]))
    flat = cells.reshape(N, -1)
    # Same standardisation for both, or the penalty would act otherwise.
    again = LogisticRegression(C=PENALTY, max_iter=2000, tol=1e-8)
    scaler = StandardScaler().fit(flat)
    numbers = np.array([CLASSES.index(label) for label in np.concatenate((labels, labels[:50]))])
    again.fit(scaler.transform(doubled.reshape(len(doubled), -1)), numbers)
    p = again.predict_proba(scaler.transform(flat))[:, 0]
    np.testing.assert_allclose(weighed.wrong(cells), np.log((1 - p) / p), atol=0.02)
