from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from cxrbatch.bundles.card import PlattCurve
from cxrbatch.training.calibration import LOWEST_SLOPE, Prior, fit_platt

NO_PRIOR = Prior(slope=np.inf, level=np.inf)


def simulated(seed: int, n: int = 400, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from logits that are 0.6 z - 1.2, with a tenth of them unknown."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0.0, 1.5, (n, k))
    y = (rng.random((n, k)) < 1.0 / (1.0 + np.exp(-(0.6 * z - 1.2)))).astype(float)
    y[rng.random((n, k)) < 0.1] = np.nan
    return y, 1.0 / (1.0 + np.exp(-z))


def names(k: int) -> tuple[str, ...]:
    return tuple(f"finding {j}" for j in range(k))


def test_without_priors_it_is_logistic_regression_with_a_dummy_for_each_finding():
    y, p = simulated(1)
    curves = fit_platt(y, p, names(3), prior=NO_PRIOR)
    z = np.log(p / (1.0 - p))
    known = ~np.isnan(y)
    rows, columns = np.nonzero(known)
    design = np.column_stack([z[known], np.eye(3)[columns]])
    assert len(rows) == len(design)
    expected = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=10_000)
    expected.fit(design, y[known])
    found = [next(iter(curves.values())).slope, *(curve.intercept for curve in curves.values())]
    np.testing.assert_allclose(found, expected.coef_[0], atol=1e-5)


def test_with_priors_it_is_what_a_search_without_gradients_finds():
    y, p = simulated(2, n=60)
    frequencies, prior = np.array([0.3, 0.1, 0.02]), Prior(slope=0.2, level=0.4)
    curves = fit_platt(y, p, names(3), frequencies, prior)
    z, known = np.log(p / (1.0 - p)), ~np.isnan(y)
    grid = np.linspace(-12.0, 12.0, 240_001)
    means = [np.array([(1.0 / (1.0 + np.exp(-(z[:, j] + b)))).mean() for b in grid[::100]]) for j in range(3)]
    shifts = np.array([np.interp(f, m, grid[::100]) for f, m in zip(frequencies, means, strict=True)])
    expected = z.mean(axis=0) + shifts

    def minus_log_posterior(x: np.ndarray) -> float:
        q = 1.0 / (1.0 + np.exp(-(x[0] * z + x[1:])))
        likelihood = np.where(y == 1, np.log(q), np.log(1.0 - q))[known].sum()
        density = -0.5 * ((x[0] - 1) / prior.slope) ** 2
        density -= 0.5 * np.sum(((x[1:] + x[0] * z.mean(axis=0) - expected) / prior.level) ** 2)
        return -(likelihood + density)

    brute = minimize(
        minus_log_posterior,
        np.zeros(4),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 8000},
    )
    found = [curves["finding 0"].slope, *(curve.intercept for curve in curves.values())]
    np.testing.assert_allclose(found, brute.x, atol=1e-4)


def test_all_findings_share_the_slope():
    curves = fit_platt(*simulated(3), names(3))
    assert len({curve.slope for curve in curves.values()}) == 1


def test_few_positives_move_an_intercept_less_than_many():
    rng = np.random.default_rng(4)
    z = rng.normal(0.0, 1.0, (4000, 1))
    y = (rng.random((4000, 1)) < 1.0 / (1.0 + np.exp(-(z - 3.0)))).astype(float)
    p = 1.0 / (1.0 + np.exp(-z))
    many = fit_platt(y, p, ("a",))["a"].intercept
    few = fit_platt(y[:40], p[:40], ("a",))["a"].intercept
    free = fit_platt(y[:40], p[:40], ("a",), prior=NO_PRIOR)["a"].intercept
    assert many == pytest.approx(-3.0, abs=0.25)
    assert abs(few) < abs(free)


def test_a_finding_without_labels_keeps_the_frequency_of_its_training():
    y, p = simulated(5)
    y[:, 1] = np.nan
    curves = fit_platt(y, p, names(3), np.array([0.2, 0.03, 0.2]), Prior(slope=1e-4))
    calibrated = np.array([curves["finding 1"](value) for value in p[:, 1]])
    assert calibrated.mean() == pytest.approx(0.03, abs=1e-4)


def test_without_labels_and_frequencies_the_curve_is_the_identity():
    _, p = simulated(5)
    curve = fit_platt(np.full_like(p, np.nan), p, names(3))["finding 1"]
    assert (curve.slope, curve.intercept) == pytest.approx((1.0, 0.0), abs=1e-9)


def test_mean_probability_becomes_the_frequency_where_films_are_many():
    y, p = simulated(6, n=20_000, k=1)
    curve = fit_platt(y, p, ("a",))["a"]
    known = ~np.isnan(y[:, 0])
    calibrated = np.array([curve(value) for value in p[known, 0]])
    assert calibrated.mean() == pytest.approx(y[known, 0].mean(), abs=0.002)


def test_a_model_worse_than_chance_is_not_turned_round():
    y, p = simulated(7)
    curves = fit_platt(y, 1.0 - p, names(3), prior=NO_PRIOR)
    assert {curve.slope for curve in curves.values()} == {LOWEST_SLOPE}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_labels_and_probabilities_give_curves_that_a_card_takes(data: st.DataObject):
    n, k = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 3))
    cell = st.sampled_from([0.0, 1.0, np.nan])
    y = np.array(data.draw(st.lists(cell, min_size=n * k, max_size=n * k))).reshape(n, k)
    value = st.floats(0.0, 1.0)
    p = np.array(data.draw(st.lists(value, min_size=n * k, max_size=n * k))).reshape(n, k)
    for curve in fit_platt(y, p, names(k)).values():
        assert isinstance(PlattCurve.model_validate(curve.model_dump()), PlattCurve)
        assert np.isfinite([curve.slope, curve.intercept]).all()
