from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from cxrbatch.evaluation.calibration import (
    brier_score,
    expected_calibration_error,
    logistic_calibration,
    reliability_bins,
)


def simulated(slope, intercept, n=20000, seed=0):
    """Outcomes whose true logit is intercept + slope * logit(p)."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1.2, n)
    p = 1 / (1 + np.exp(-z))
    y = (rng.random(n) < 1 / (1 + np.exp(-(intercept + slope * z)))).astype(float)
    return y, p


def test_brier_equals_sklearn():
    y, p = simulated(0.7, 0.2, 500)
    assert brier_score(y, p) == pytest.approx(brier_score_loss(y, p), abs=1e-12)


def test_bins_equal_sklearns():
    y, p = simulated(0.7, 0.2)
    rate, mean = calibration_curve(y, p, n_bins=10, strategy="uniform")
    bins = reliability_bins(y, p)
    np.testing.assert_allclose(bins.observed_rate, rate, atol=1e-12)
    np.testing.assert_allclose(bins.mean_probability, mean, atol=1e-12)


def test_ece_by_hand():
    # Bin 0: mean p 0.05, rate 1/2; last bin, closed at 1: mean p 0.975, rate 1. (2 x 0.45 + 2 x 0.025) / 4.
    assert expected_calibration_error([0, 1, 1, 1], [0.04, 0.06, 0.95, 1.0]) == pytest.approx(0.2375)


def test_logistic_calibration_equals_sklearn_without_penalty():
    y, p = simulated(0.6, -0.4, 3000)
    z = np.log(p / (1 - p))
    oracle = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(z[:, None], y)
    fit = logistic_calibration(y, p)
    assert fit.slope == pytest.approx(oracle.coef_[0, 0], abs=1e-5)
    assert fit.intercept == pytest.approx(oracle.intercept_[0], abs=1e-5)


def test_in_the_large_makes_expected_equal_observed():
    y, p = simulated(1, 0.8, 3000)
    shift = logistic_calibration(y, p).in_the_large
    z = np.log(p / (1 - p)) + shift
    assert np.mean(1 / (1 + np.exp(-z))) == pytest.approx(y.mean(), abs=1e-9)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, 0.3), (1.8, -0.6)])
def test_planted_slope_and_intercept_are_found(slope, intercept):
    fit = logistic_calibration(*simulated(slope, intercept, 100_000))
    assert (fit.slope, fit.intercept) == pytest.approx((slope, intercept), abs=0.05)


def test_perfect_calibration_has_little_error():
    assert expected_calibration_error(*simulated(1, 0, 100_000)) < 0.01


@pytest.mark.parametrize(
    ("y", "p"), [([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]), ([0, 1, 0, 1], [0.5] * 4), ([1, 1], [0.2, 0.3])]
)
def test_a_slope_that_does_not_exist_is_none(y, p):
    assert logistic_calibration(y, p).slope is None


def test_extreme_probabilities_do_not_break_the_fit():
    y, p = simulated(1, 0, 2000)
    p[:20], y[:10] = 0.0, 1.0
    p[20:40] = 1.0
    fit = logistic_calibration(y, p)
    assert np.isfinite([fit.slope, fit.intercept, fit.in_the_large]).all()


def test_values_outside_the_unit_interval_raise():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        brier_score([0, 1], [0.2, 1.2])
