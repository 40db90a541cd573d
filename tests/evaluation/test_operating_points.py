from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, f1_score

from cxrbatch.evaluation.operating_points import (
    OperatingPoint,
    operating_point,
    roc_curve,
    threshold_for_sensitivity,
    threshold_for_specificity,
    wilson_interval,
    youden_threshold,
)

pairs = st.lists(st.tuples(st.booleans(), st.integers(0, 10)), min_size=2, max_size=50)


def arrays(rows):
    y, s = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows]) / 10
    assume(0 < y.sum() < len(y))
    return y, s


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipys(counts):
    k, n = counts
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson_interval(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_of_nothing_is_none():
    assert wilson_interval(0, 0) is None


@given(pairs, st.integers(0, 10))
def test_confusion_and_f1_equal_sklearns(rows, tenth):
    y, s = arrays(rows)
    point = operating_point(y, s, tenth / 10)
    called = s >= tenth / 10
    assert [[point.tn, point.fp], [point.fn, point.tp]] == confusion_matrix(y, called, labels=[0, 1]).tolist()
    assert point.f1 == pytest.approx(f1_score(y, called), abs=1e-12)


def every_point(y, s):
    """(threshold, sensitivity, specificity) at each distinct score and above all, by counting."""
    cuts = [*sorted(set(s)), np.inf]
    return [(t, (s[y == 1] >= t).mean(), (s[y == 0] < t).mean()) for t in cuts]


@given(pairs)
def test_youden_is_the_best_of_all(rows):
    y, s = arrays(rows)
    point = operating_point(y, s, youden_threshold(y, s))
    best = max(se + sp for _, se, sp in every_point(y, s))
    assert point.sensitivity.value + point.specificity.value == pytest.approx(best, abs=1e-12)


@given(pairs, st.sampled_from([0.0, 0.25, 0.5, 0.8, 0.9, 1.0]))
def test_target_sensitivity_is_kept_at_the_best_specificity(rows, target):
    y, s = arrays(rows)
    point = operating_point(y, s, threshold_for_sensitivity(y, s, target))
    assert point.sensitivity.value >= target
    assert point.specificity.value == max(sp for _, se, sp in every_point(y, s) if se >= target)


@given(pairs, st.sampled_from([0.0, 0.25, 0.5, 0.8, 0.9, 1.0]))
def test_target_specificity_is_kept_at_the_best_sensitivity(rows, target):
    y, s = arrays(rows)
    point = operating_point(y, s, threshold_for_specificity(y, s, target))
    assert point.specificity.value >= target
    assert point.sensitivity.value == max(se for _, se, sp in every_point(y, s) if sp >= target)


@given(pairs)
def test_roc_curve_holds_every_point(rows):
    y, s = arrays(rows)
    curve = roc_curve(y, s)
    expected = [(se, sp) for _, se, sp in reversed(every_point(y, s))]
    np.testing.assert_allclose(np.column_stack([curve.sensitivity, curve.specificity]), expected, atol=1e-12)


def test_predictive_values_at_the_cohorts_prevalence_are_the_cohorts():
    point = OperatingPoint(0.5, tp=30, fp=20, tn=140, fn=10)
    assert point.predictive_values(40 / 200) == pytest.approx((point.ppv.value, point.npv.value), abs=1e-12)


def test_predictive_values_at_a_stated_prevalence_by_hand():
    # Of 10,000 with 1%: 100 ill, 75 found; 9,900 well, 12.5% called: 1237.5.
    point = OperatingPoint(0.5, tp=30, fp=20, tn=140, fn=10)
    ppv, npv = point.predictive_values(0.01)
    assert ppv == pytest.approx(75 / (75 + 1237.5), abs=1e-12)
    assert npv == pytest.approx(8662.5 / (8662.5 + 25), abs=1e-12)


def test_undefined_rates_are_none():
    point = OperatingPoint(0.5, tp=0, fp=0, tn=5, fn=0)
    assert (point.sensitivity.value, point.ppv.value, point.f1) == (None, None, None)
    assert point.predictive_values(0.1) == (None, None)


@pytest.mark.parametrize("rule", [threshold_for_sensitivity, threshold_for_specificity])
def test_impossible_target_raises(rule):
    with pytest.raises(ValueError, match=r"1\.5"):
        rule([0, 1], [0.1, 0.2], 1.5)


def test_one_class_raises():
    with pytest.raises(ValueError, match="one class"):
        youden_threshold([1, 1], [0.1, 0.2])


def test_predictive_intervals_at_the_cohorts_own_prevalence_contain_the_value_and_narrow():
    for tp, fp, tn, fn in ((40, 30, 170, 10), (3, 0, 50, 2), (0, 4, 50, 5), (5, 1, 0, 5), (10, 0, 90, 0)):
        point = OperatingPoint(0.5, tp, fp, tn, fn)
        for value, interval in zip(
            point.predictive_values(0.2), point.predictive_intervals(0.2), strict=True
        ):
            if value is None:
                assert interval is None
                continue
            assert 0 <= interval[0] <= value + 1e-12
            assert value - 1e-12 <= interval[1] <= 1
            bigger = OperatingPoint(0.5, 100 * tp, 100 * fp, 100 * tn, 100 * fn)
            wide = interval[1] - interval[0]
            k = 0 if value == point.predictive_values(0.2)[0] else 1
            narrow = bigger.predictive_intervals(0.2)[k]
            assert narrow[1] - narrow[0] < wide


def test_predictive_intervals_cover():
    rng = np.random.default_rng(0)
    sensitivity, specificity, prevalence = 0.8, 0.9, 0.05
    called = sensitivity * prevalence + (1 - specificity) * (1 - prevalence)
    truth = sensitivity * prevalence / called
    hits = 0
    for _ in range(2000):
        tp, fp = rng.binomial(60, sensitivity), rng.binomial(140, 1 - specificity)
        low, high = OperatingPoint(0.5, tp, fp, 140 - fp, 60 - tp).predictive_intervals(prevalence)[0]
        hits += low <= truth <= high
    assert 0.935 < hits / 2000 < 0.97
