from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from cxrbatch.evaluation.delong import paired_difference
from cxrbatch.evaluation.paired_auroc import (
    FEW_PATIENTS,
    NO_CLASS,
    NO_SPREAD,
    paired_auroc,
    satterthwaite,
    t_interval,
)


def models(cohort, seed=1, noise=0.4):
    """Scores of a second model: the first one's with noise."""
    rng = np.random.default_rng(seed)
    return cohort.y_score + noise * rng.normal(size=cohort.y_score.shape)


def influence(y, a, b):
    """Each image's part in the deviation of B - A, over all pairs (DeLong 1988, written out)."""
    parts = np.zeros(len(y))
    pos, neg = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    wins = np.array(
        [
            [(b[i] > b[j]) + 0.5 * (b[i] == b[j]) - (a[i] > a[j]) - 0.5 * (a[i] == a[j]) for j in neg]
            for i in pos
        ]
    )
    parts[pos] = (wins.mean(axis=1) - wins.mean()) / np.sqrt(len(pos) * (len(pos) - 1))
    parts[neg] = (wins.mean(axis=0) - wins.mean()) / np.sqrt(len(neg) * (len(neg) - 1))
    return wins.mean(), parts


def test_macro_delong_equals_brute_force_over_pairs(cohort):
    b = models(cohort)
    macro = paired_auroc(cohort.y_true, cohort.y_score, b, np.arange(400), rounds=10)[1]
    found = [influence(cohort.y_true[:, j], cohort.y_score[:, j], b[:, j]) for j in range(3)]
    deviation = np.mean([parts for _, parts in found], axis=0)
    assert macro.difference == pytest.approx(np.mean([d for d, _ in found]), abs=1e-12)
    assert macro.delong.standard_error == pytest.approx(np.sqrt(np.sum(deviation**2)), abs=1e-10)


def test_bootstrap_is_paired_and_resamples_patients(cohort):
    b, rounds = models(cohort), 60
    findings, macro = paired_auroc(cohort.y_true, cohort.y_score, b, cohort.patients, rounds, seed=4)
    names = np.unique(cohort.patients)
    rng = np.random.default_rng(4)
    steps = np.empty((rounds, 3))
    for step in steps:
        drawn = names[rng.integers(0, len(names), len(names))]
        rows = np.concatenate([np.flatnonzero(cohort.patients == name) for name in drawn])
        for j in range(3):
            kept = rows[~np.isnan(cohort.y_true[rows, j])]
            y = cohort.y_true[kept, j]
            step[j] = roc_auc_score(y, b[kept, j]) - roc_auc_score(y, cohort.y_score[kept, j])
    for j, finding in enumerate(findings):
        assert finding.bootstrap_error == pytest.approx(np.std(steps[:, j], ddof=1), abs=1e-10)
    assert macro.bootstrap_error == pytest.approx(np.std(steps.mean(axis=1), ddof=1), abs=1e-10)


@given(st.integers(0, 2**32 - 1))
def test_exchanging_the_models_mirrors_everything(seed):
    rng = np.random.default_rng(seed)
    y = (rng.random((60, 2)) < 0.4).astype(float)
    a, b, patients = rng.random((60, 2)).round(1), rng.random((60, 2)).round(1), rng.integers(0, 30, 60)
    there, macro = paired_auroc(y, a, b, patients, rounds=30)
    back, macro_back = paired_auroc(y, b, a, patients, rounds=30)
    for one, other in zip((*there, macro), (*back, macro_back), strict=True):
        assert other.difference == -one.difference
        assert other.auroc_a == one.auroc_b
        assert other.interval(0.95) == pytest.approx(tuple(-x for x in reversed(one.interval(0.95))))
        assert other.delong.p_value == pytest.approx(one.delong.p_value)


def test_a_model_against_itself_differs_by_exactly_nothing(cohort):
    # Another scale, the same ranking.
    findings, macro = paired_auroc(cohort.y_true, cohort.y_score, cohort.y_score**3, cohort.patients, 50)
    assert macro.difference == 0
    assert macro.interval(0.95) == (0, 0)
    assert [finding.interval(0.99) for finding in findings] == [(0, 0)] * 3
    assert macro.delong.p_value == 1


def test_each_finding_has_delongs_clustered_test(cohort):
    b = models(cohort)
    findings = paired_auroc(cohort.y_true, cohort.y_score, b, cohort.patients, 20)[0]
    for j, finding in enumerate(findings):
        expected = paired_difference(cohort.y_true[:, j], cohort.y_score[:, j], b[:, j], cohort.patients)
        assert finding.delong == expected


def test_one_class_has_no_figure_and_is_not_in_the_mean(cohort):
    y = cohort.y_true.copy()
    y[:, 1] = 0
    findings, macro = paired_auroc(y, cohort.y_score, models(cohort), cohort.patients, 20)
    assert findings[1].reason == NO_CLASS
    assert np.isnan(findings[1].auroc_a)
    assert findings[1].interval(0.95) is None
    assert macro.findings.tolist() == [0, 2]


def test_a_single_patient_with_the_finding_gives_no_interval(cohort):
    y = cohort.y_true.copy()
    y[:, 1] = 0
    y[cohort.patients == cohort.patients[0], 1] = 1
    findings, macro = paired_auroc(y, cohort.y_score, models(cohort), cohort.patients, 20)
    assert findings[1].reason == FEW_PATIENTS
    assert not np.isnan(findings[1].difference)
    assert findings[1].interval(0.95) is None
    assert macro.findings.tolist() == [0, 2]


def test_complete_separation_says_nothing_of_the_spread():
    y = np.repeat([1.0, 0.0], 10)[:, None]
    a = y + np.linspace(0, 0.5, 20)[:, None]
    b = y + np.linspace(0.5, 0, 20)[:, None]
    findings, macro = paired_auroc(y, a, b, np.arange(20), 20)
    assert findings[0].reason == macro.reason == NO_SPREAD
    assert macro.interval(0.95) is None


def test_interval_is_students():
    low, high = t_interval(0.01, 0.005, 9.0, 0.99)
    half = student.ppf(0.995, 9) * 0.005 * np.sqrt(10 / 9)
    assert (low, high) == pytest.approx((0.01 - half, 0.01 + half))
    assert t_interval(0.0, 5.0, 3.0, 0.95) == (-1.0, 1.0)


def test_degrees_of_the_smallest_part_that_matters():
    assert satterthwaite([(1.0, 11), (0.0, 500)]) == pytest.approx(10)
    assert satterthwaite([(1.0, 11), (1.0, 11)]) == pytest.approx(20)
    assert satterthwaite([(0.0, 4), (0.0, 9)]) == 3


@pytest.mark.long
@pytest.mark.parametrize(
    ("patients", "images_each", "prevalence"),
    [(300, 1, (0.1, 0.2, 0.3)), (150, 3, (0.15, 0.25, 0.3)), (600, 1, (0.03, 0.05, 0.08, 0.1, 0.2))],
)
def test_intervals_of_the_macro_difference_cover(simulated_pair, patients, images_each, prevalence):
    rng = np.random.default_rng(3)
    repeats, covered = 1000, np.zeros(2)
    a = np.full(len(prevalence), 0.85)
    b = a - np.linspace(0.0, 0.06, len(prevalence))
    truth = np.mean(b - a)
    for _ in range(repeats):
        y, one, two, patient = simulated_pair(rng, patients, images_each, prevalence, a, b)
        macro = paired_auroc(y, one, two, patient, 300, seed=int(rng.integers(2**31)))[1]
        low, high = macro.interval(0.95)
        covered += [low <= truth <= high, macro.delong.low <= truth <= macro.delong.high]
    # Three standard errors of 0.95 at 1000 repeats are 0.021.
    assert ((covered / repeats >= 0.929) & (covered / repeats <= 0.971)).all(), covered / repeats
