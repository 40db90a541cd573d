from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.evaluation.delong import delong, paired_difference


def brute_force(y, scores):
    """DeLong 1988 as written: psi over all pairs of a positive and a negative."""
    y, scores = np.asarray(y), np.asarray(scores, float)
    x, z = scores[y == 1], scores[y == 0]
    psi = (x[:, None, :] > z[None]).astype(float) + 0.5 * (x[:, None, :] == z[None])
    area = psi.mean(axis=(0, 1))
    v10, v01 = psi.mean(axis=1) - area, psi.mean(axis=0) - area
    return area, v10.T @ v10 / (len(x) - 1) / len(x) + v01.T @ v01 / (len(z) - 1) / len(z)


def brute_force_clustered(y, score, cluster):
    """Obuchowski 1997, written over patients."""
    x, z = score[y == 1], score[y == 0]
    area = np.mean([(a > b) + 0.5 * (a == b) for a in x for b in z])
    v10 = np.array([np.mean((a > z) + 0.5 * (a == z)) for a in x])
    v01 = np.array([np.mean((x > b) + 0.5 * (x == b)) for b in z])
    s10 = s01 = s11 = 0.0
    names, pos, neg = np.unique(cluster), cluster[y == 1], cluster[y == 0]
    for name in names:
        a = v10[pos == name].sum() - area * (pos == name).sum()
        b = v01[neg == name].sum() - area * (neg == name).sum()
        s10, s01, s11 = s10 + a * a, s01 + b * b, s11 + a * b
    m, n, i10, i01, i = len(x), len(z), len(set(pos)), len(set(neg)), len(names)
    s10, s01, s11 = s10 * i10 / (i10 - 1) / m, s01 * i01 / (i01 - 1) / n, s11 * i / (i - 1)
    return s10 / m + s01 / n + 2 * s11 / (m * n)


samples = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@given(samples, st.integers(2, 25), st.integers(2, 25), st.integers(2, 30))
def test_equals_brute_force_with_ties(rng, n_pos, n_neg, levels):
    y = rng.permutation(np.repeat([1.0, 0.0], [n_pos, n_neg]))
    scores = rng.integers(0, levels, (len(y), 3)) / levels
    estimate = delong(y, scores)
    area, covariance = brute_force(y, scores)
    np.testing.assert_allclose(estimate.auroc, area, atol=1e-12)
    np.testing.assert_allclose(estimate.covariance, covariance, atol=1e-10)


@given(samples)
def test_clustered_equals_brute_force(rng):
    y = rng.permutation(np.repeat([1.0, 0.0], [20, 40]))
    score, cluster = rng.integers(0, 12, 60) / 12, rng.integers(0, 25, 60)
    estimate = delong(y, score, cluster)
    assert estimate.covariance[0, 0] == pytest.approx(brute_force_clustered(y, score, cluster), abs=1e-10)


def test_one_image_a_patient_is_plain_delong(cohort):
    y, scores = cohort.y_true[:, 0], cohort.y_score
    alone = delong(y, scores, np.arange(len(y)))
    np.testing.assert_allclose(alone.covariance, delong(y, scores).covariance, atol=1e-15)


def test_images_of_one_patient_copied_do_not_narrow_the_interval(cohort):
    y, s = cohort.y_true[:, 1], cohort.y_score[:, 1]
    once = delong(y, s, np.arange(len(y))).covariance[0, 0]
    copied = np.tile(np.arange(len(y)), 4)
    assert delong(np.tile(y, 4), np.tile(s, 4), copied).covariance[0, 0] == pytest.approx(once, rel=1e-9)
    assert delong(np.tile(y, 4), np.tile(s, 4)).covariance[0, 0] < once / 3


def test_unknown_labels_are_left_out(cohort):
    y, s = cohort.y_true[:, 0], cohort.y_score[:, 0]
    known = ~np.isnan(y)
    np.testing.assert_array_equal(delong(y, s).covariance, delong(y[known], s[known]).covariance)


@pytest.mark.parametrize("y", [[1, 1, 1], [0, 0, 0]])
def test_one_class_raises(y):
    with pytest.raises(ValueError, match="one class"):
        delong(y, [0.1, 0.2, 0.3])


def test_one_positive_has_no_variance_rather_than_zero():
    assert np.isnan(delong([1, 0, 0, 0], [0.5, 0.1, 0.7, 0.2]).covariance).all()


def by_hand(losses):
    """Harmonic mean of the number of patients and of Kish's effective number; losses of patients."""
    kish = sum(losses) ** 2 / sum(loss**2 for loss in losses)
    return 2 / (1 / len(losses) + 1 / kish)


def test_degrees_of_an_example_by_hand():
    # Positives 5, 3 and 1, negatives 4, 2 and 0: of the nine pairs 3 are wrong.
    estimate = delong([1, 1, 1, 0, 0, 0], [5, 3, 1, 4, 2, 0])
    losses = [0, 1 / 3, 2 / 3], [2 / 3, 1 / 3, 0]
    v1 = v0 = np.var(losses[0], ddof=1) / 3
    n1, n0 = by_hand(losses[0]), by_hand(losses[1])
    expected = (v1 + v0) ** 2 / (v1**2 / (n1 - 1) + v0**2 / (n0 - 1))
    assert estimate.degrees[0] == pytest.approx(expected, rel=1e-12)
    # Scores turned round: the same, for an area below a half counts what keeps it from 0.
    turned = delong([1, 1, 1, 0, 0, 0], [-5, -3, -1, -4, -2, 0])
    assert turned.degrees[0] == pytest.approx(expected, rel=1e-12)


def test_degrees_count_patients_not_images():
    rng = np.random.default_rng(0)
    y = np.repeat([1.0, 0.0], [30, 300])
    score = rng.normal(size=330) + y
    copied = [np.repeat(values, 4) for values in (y, score, np.arange(330))]
    assert delong(*copied).degrees[0] == pytest.approx(delong(y, score).degrees[0], rel=0.01)


def test_degrees_fall_as_fewer_patients_keep_the_area_from_one():
    rng = np.random.default_rng(0)
    y = np.repeat([1.0, 0.0], [30, 3000])
    noise = rng.normal(size=3030)
    degrees = [delong(y, noise + step * y).degrees[0] for step in (0.5, 1.5, 2.5)]
    assert 29 > degrees[0] > degrees[1] > degrees[2] >= 1


def test_one_patient_alone_keeps_it_from_one():
    # Kish's number is 1 in both classes: 2 / (1 + 1/4) - 1 of one degree each, so 0.6 would be too few.
    assert delong([1, 1, 1, 1, 0, 0, 0, 0], [9, 8, 7, 3, 4, 2, 1, 0]).degrees[0] >= 1


def test_paired_difference_uses_the_covariance(cohort):
    rng = np.random.default_rng(3)
    y, a = cohort.y_true[:, 1], cohort.y_score[:, 1]
    b = a + rng.normal(0, 0.05, len(a))
    found = paired_difference(y, a, b)
    known = ~np.isnan(y)
    area, covariance = brute_force(y[known], np.column_stack([a, b])[known])
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.difference == pytest.approx(area[1] - area[0], abs=1e-12)
    assert found.standard_error == pytest.approx(error, abs=1e-10)
    assert found.high - found.low == pytest.approx(2 * 1.959963984540054 * error, abs=1e-9)


def test_a_model_against_itself_is_no_difference(cohort):
    found = paired_difference(cohort.y_true[:, 1], cohort.y_score[:, 1], cohort.y_score[:, 1] ** 2)
    assert found.difference == 0
    assert found.standard_error == pytest.approx(0, abs=1e-7)
    assert found.p_value == 1
