from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxrbatch.evaluation import bootstrap
from cxrbatch.evaluation.bootstrap import bootstrap_auroc, cluster_weights, logit_bootstrap_interval, variance


def test_a_round_is_sklearns_auroc_of_the_resampled_table(cohort):
    rounds = 40
    values = bootstrap_auroc(cohort.y_true, cohort.y_score, cohort.patients, rounds, seed=7).values
    names, cluster = np.unique(cohort.patients, return_inverse=True)
    weights = cluster_weights(np.random.default_rng(7), len(names), rounds).astype(int)
    for r in range(rounds):
        rows = np.repeat(np.arange(len(cluster)), weights[r][cluster])
        for j in range(3):
            rows_j = rows[~np.isnan(cohort.y_true[rows, j])]
            expected = roc_auc_score(cohort.y_true[rows_j, j], cohort.y_score[rows_j, j])
            assert values[r, j] == pytest.approx(expected, abs=1e-12)


def test_weights_draw_as_many_patients_as_there_are():
    weights = cluster_weights(np.random.default_rng(0), 30, 500)
    assert (weights.sum(axis=1) == 30).all()
    # Multinomial(30; 1/30 each): mean 1, variance 1 - 1/30.
    assert weights.var() == pytest.approx(29 / 30, rel=0.05)


def test_same_seed_same_values_whatever_the_chunks(cohort, monkeypatch):
    first = bootstrap_auroc(cohort.y_true, cohort.y_score, cohort.patients, 50, seed=1).values
    monkeypatch.setattr(bootstrap, "_ROUNDS_AT_A_TIME", 7)
    np.testing.assert_array_equal(
        bootstrap_auroc(cohort.y_true, cohort.y_score, cohort.patients, 50, seed=1).values, first
    )
    other = bootstrap_auroc(cohort.y_true, cohort.y_score, cohort.patients, 50, seed=2).values
    assert not np.array_equal(other, first)


def test_order_of_rows_does_not_matter(cohort):
    order = np.random.default_rng(1).permutation(400)
    np.testing.assert_array_equal(
        bootstrap_auroc(cohort.y_true, cohort.y_score, cohort.patients, 20).values,
        bootstrap_auroc(cohort.y_true[order], cohort.y_score[order], cohort.patients[order], 20).values,
    )


def test_copies_of_a_patients_images_do_not_narrow_the_interval(cohort):
    y, s = np.tile(cohort.y_true, (3, 1)), np.tile(cohort.y_score, (3, 1))
    once = bootstrap_auroc(cohort.y_true, cohort.y_score, cohort.patients, 100)
    copied = bootstrap_auroc(y, s, np.tile(cohort.patients, 3), 100)
    np.testing.assert_allclose(copied.values, once.values, atol=1e-12)


def test_rounds_that_lose_a_class_are_left_out_and_counted():
    y = np.column_stack([[1] + [0] * 29, [1, 0] * 15]).astype(float)
    s = np.random.default_rng(0).random((30, 2))
    result = bootstrap_auroc(y, s, rounds=1000)
    # The one positive is missing from a round with probability (29/30)^30 = 0.362.
    assert result.left_out()[0] == pytest.approx(362, abs=60)
    assert result.left_out()[1] == 0
    assert np.isnan(result.macro()).sum() == result.left_out()[0]
    assert np.isfinite(result.variance()).all()


def test_one_class_has_no_rounds_at_all():
    result = bootstrap_auroc(np.zeros((20, 1)), np.random.default_rng(0).random((20, 1)), rounds=10)
    assert result.left_out()[0] == 10
    assert np.isnan(result.variance()).all()
    assert np.isnan(variance(result.macro([])))
    assert logit_bootstrap_interval(0.8, float("nan"), 9.0) is None


def test_spread_agrees_with_delong(cohort):
    from cxrbatch.evaluation.delong import delong

    values = bootstrap_auroc(cohort.y_true, cohort.y_score, cohort.patients, 2000).values
    for j in range(3):
        variance = delong(cohort.y_true[:, j], cohort.y_score[:, j], cohort.patients).covariance[0, 0]
        assert values[:, j].std() == pytest.approx(np.sqrt(variance), rel=0.1)


@pytest.mark.parametrize("kwargs", [{"rounds": 0}, {"clusters": [1, 2]}])
def test_malformed_arguments_raise(cohort, kwargs):
    with pytest.raises(ValueError, match="Received"):
        bootstrap_auroc(cohort.y_true, cohort.y_score, **kwargs)
