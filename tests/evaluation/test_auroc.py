from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from cxrbatch.evaluation.auroc import auroc, midranks

labelled = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=50))
def test_midranks_equal_scipys(values):
    np.testing.assert_array_equal(midranks(values), rankdata(values))


@given(labelled)
def test_equals_sklearn_with_ties(pairs):
    y, s = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs]) / 8
    area = auroc(y, s)[0]
    if len(set(y)) == 1:
        assert np.isnan(area)
    else:
        assert area == pytest.approx(roc_auc_score(y, s), abs=1e-12)


def test_unknown_labels_are_left_out_for_their_finding_only(cohort):
    areas = auroc(cohort.y_true, cohort.y_score)
    for j in range(3):
        known = ~np.isnan(cohort.y_true[:, j])
        assert areas[j] == pytest.approx(
            roc_auc_score(cohort.y_true[known, j], cohort.y_score[known, j]), abs=1e-12
        )


@given(labelled)
def test_only_the_order_of_scores_matters(pairs):
    y, s = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs], float)
    np.testing.assert_array_equal(auroc(y, s), auroc(y, np.exp(s) - 3))


@given(labelled)
def test_turning_the_score_round_gives_the_complement(pairs):
    y, s = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs], float)
    np.testing.assert_allclose(auroc(y, s), 1 - auroc(y, -s), atol=1e-15)


@pytest.mark.parametrize(
    ("y", "s", "said"),
    [
        ([0, 1, 2], [0.1, 0.2, 0.3], "0, 1 or NaN"),
        ([0, 1], [0.1, np.nan], "finite"),
        ([0, 1], [0.1, 0.2, 0.3], "one shape"),
    ],
)
def test_malformed_arrays_raise(y, s, said):
    with pytest.raises(ValueError, match=said):
        auroc(y, s)


@pytest.mark.realdata
def test_published_model_on_real_labels_equals_sklearn(realdata):
    import pandas as pd

    from cxrbatch.evaluation.cohort import join
    from cxrbatch.evaluation.labels import read_labels
    from cxrbatch.evaluation.tables import read_probabilities

    scores = read_probabilities(realdata / "nih/published_probabilities.csv")
    cohort = join(read_labels(realdata / "nih/labels.csv", scores.findings), scores)
    areas = auroc(cohort.y_true, cohort.y_score)

    # The oracle joins and parses by itself, with pandas.
    table = pd.read_csv(realdata / "nih/labels.csv").merge(
        pd.read_csv(realdata / "nih/published_probabilities.csv"), on="Image Index"
    )
    lists = table["Finding Labels"].str.split("|")
    expected = {
        name: roc_auc_score([name in found for found in lists], table[f"prob_{name}"])
        for name in cohort.findings
    }
    assert dict(zip(cohort.findings, areas, strict=True)) == pytest.approx(expected, abs=1e-12)
    assert len(areas) == 14
    assert areas.mean() == pytest.approx(0.77, abs=0.01)
