from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from cxrbatch.training.thresholds import choose_thresholds


@pytest.fixture
def films() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = (rng.random((300, 2)) < 0.3).astype(float)
    p = np.clip(rng.random((300, 2)) * 0.7 + 0.2 * y, 0.0, 1.0).round(2)
    y[rng.random((300, 2)) < 0.2] = np.nan
    return y, p


def test_youden_is_the_largest_difference_of_sklearns_rates(films):
    y, p = films
    found = choose_thresholds(y, p, ("a", "b")).youden
    for j, name in enumerate(("a", "b")):
        known = ~np.isnan(y[:, j])
        fpr, tpr, cuts = roc_curve(y[known, j], p[known, j], drop_intermediate=False)
        called = p[known, j] >= found[name]
        sensitivity = called[y[known, j] == 1].mean()
        fall_out = called[y[known, j] == 0].mean()
        assert sensitivity - fall_out == pytest.approx((tpr - fpr).max())
        assert found[name] in cuts


def test_sensitivity_is_reached_and_the_next_higher_score_would_not_reach_it(films):
    y, p = films
    found = choose_thresholds(y, p, ("a", "b"), at_least=0.85).sensitivity
    for j, name in enumerate(("a", "b")):
        scores = p[y[:, j] == 1, j]
        assert (scores >= found[name]).mean() >= 0.85
        assert (scores > found[name]).mean() < 0.85


def test_the_other_rule_is_kept_beside_the_stored_one(films):
    chosen = choose_thresholds(*films, ("a", "b"))
    assert chosen.stored("youden") == chosen.youden
    assert chosen.others("youden") == {"sensitivity >= 0.9": chosen.sensitivity}
    assert chosen.stored("sensitivity") == chosen.sensitivity
    assert chosen.others("sensitivity") == {"youden": chosen.youden}
    assert "Youden" in chosen.method("youden")
    assert "sensitivity >= 0.9" in chosen.method("sensitivity")


@pytest.mark.parametrize("only", [0.0, 1.0, np.nan])
def test_a_finding_with_one_class_gets_a_stated_fallback(films, only):
    y, p = films
    y[:, 1] = only
    chosen = choose_thresholds(y, p, ("a", "b"))
    assert chosen.fallback == ("b",)
    assert 0.85 < (p[:, 1] < chosen.youden["b"]).mean() <= 0.95
    assert chosen.youden["b"] == chosen.sensitivity["b"]
    assert "b: not both classes" in chosen.method("youden")
    assert "a: not" not in chosen.method("youden")


def test_certain_scores_stay_within_what_a_card_takes():
    chosen = choose_thresholds(np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]]), ("a",))
    assert 0.0 < chosen.youden["a"] < 1.0
    assert 0.0 < chosen.sensitivity["a"] < 1.0
