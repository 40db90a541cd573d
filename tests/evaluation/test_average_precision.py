from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from cxrbatch.evaluation.average_precision import average_precision


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60))
def test_equals_sklearn_with_ties(pairs):
    y, s = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs]) / 8
    if y.any():
        assert average_precision(y, s)[0] == pytest.approx(average_precision_score(y, s), abs=1e-12)
    else:
        assert np.isnan(average_precision(y, s)[0])


def test_unknown_labels_are_left_out(cohort):
    for j, value in enumerate(average_precision(cohort.y_true, cohort.y_score)):
        known = ~np.isnan(cohort.y_true[:, j])
        expected = average_precision_score(cohort.y_true[known, j], cohort.y_score[known, j])
        assert value == pytest.approx(expected, abs=1e-12)
