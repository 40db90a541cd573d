"""The head's mathematics against scikit-learn, and its cross-validation against leaks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from tools import linear_head
from tools.linear_head import Cohort, Settings


def _cohort(n: int, channels: int, signal: float, seed: int = 0) -> Cohort:
    random = np.random.default_rng(seed)
    features = random.normal(size=(n, 2, channels))
    logits = signal * features[:, 0, :2] - 0.5
    labels = (random.random((n, 2)) < 1.0 / (1.0 + np.exp(-logits))).astype(np.float64)
    return Cohort(features, labels, np.clip(1.0 / (1.0 + np.exp(-logits)), 0.01, 0.99))


def test_the_head_is_scikit_learns_ridge_on_standardised_features() -> None:
    cohort = _cohort(40, 12, 1.0)
    head = linear_head.fit_head(cohort, Settings(penalty=2.0, soft=0.0))

    x = np.concatenate([cohort.features[:, 0], cohort.features[:, 1]])
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-6)
    y = (cohort.labels - cohort.labels.mean(axis=0)) / cohort.labels.std(axis=0)
    ridge = Ridge(alpha=2.0 * 12, fit_intercept=False).fit(x, np.concatenate([y, y]))

    np.testing.assert_allclose(head(cohort.features[:, 0]), ridge.predict(x[:40]), atol=1e-8)


def test_noise_scores_no_better_than_chance_out_of_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_head, "GRID", (Settings(1.0, 0.3), Settings(10.0, 0.3)))
    random = np.random.default_rng(1)
    labels = (random.random((150, 2)) < 0.3).astype(np.float64)
    # A teacher that knows every label must not help on films that were held out.
    cohort = Cohort(random.normal(size=(150, 2, 300)), labels, np.where(labels == 1, 0.99, 0.01))

    held_out = linear_head.macro_auroc(labels, linear_head.nested_scores(cohort, seed=0))

    assert 0.35 < held_out < 0.65


def test_shared_scale_recovers_slope_and_intercepts() -> None:
    random = np.random.default_rng(2)
    scores = random.normal(size=(20_000, 2))
    labels = (random.random(scores.shape) < 1.0 / (1.0 + np.exp(-(2.0 * scores + [-1.0, 0.5])))).astype(float)

    slope, intercepts = linear_head.shared_scale(labels, scores)

    assert slope == pytest.approx(2.0, abs=0.1)
    assert intercepts == pytest.approx([-1.0, 0.5], abs=0.1)


def test_shrunk_platt_is_logistic_regression_with_much_data_and_identity_with_none() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(size=50_000)
    labels = (random.random(50_000) < 1.0 / (1.0 + np.exp(-(0.7 * logits - 0.4)))).astype(float)
    fitted = LogisticRegression(C=1e9).fit(logits[:, None], labels)

    slope, intercept = linear_head.shrunk_platt(labels, logits)

    assert slope == pytest.approx(fitted.coef_[0, 0], abs=5e-3)
    assert intercept == pytest.approx(fitted.intercept_[0], abs=5e-3)
    assert linear_head.shrunk_platt(labels[:0], logits[:0]) == pytest.approx((1.0, 0.0), abs=1e-4)
