from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from cxrbatch.evaluation.intervals import logit_interval, t_quantile


@pytest.mark.parametrize("degrees", [1, 1.5, 4, 9, 29, 300, 1e6])
def test_t_quantile_equals_scipys(degrees):
    assert t_quantile(0.95, degrees) == pytest.approx(t.ppf(0.975, degrees), rel=1e-9)


def test_infinite_degrees_are_the_normal_quantile():
    assert t_quantile(0.95, np.inf) == pytest.approx(1.959963984540054, abs=1e-12)


@given(st.floats(0.001, 0.999), st.floats(1e-8, 0.05))
def test_logit_interval_stays_inside_and_holds_the_estimate(area, variance):
    low, high = logit_interval(area, variance)
    assert 0 <= low < area < high <= 1


def test_logit_interval_by_hand():
    # logit 0.8 = ln 4; se 0.04 / 0.16 = 0.25; ln 4 -+ 1.96 x 0.25 -> 4 exp(-+0.48999) as odds.
    low, high = logit_interval(0.8, 0.04**2)
    odds = 4 * np.exp(np.array([-1, 1]) * 1.959963984540054 * 0.25)
    assert (low, high) == pytest.approx(tuple(odds / (1 + odds)), abs=1e-12)


@pytest.mark.parametrize(("area", "variance"), [(1.0, 0.0), (0.0, 0.0), (0.7, float("nan"))])
def test_interval_is_none_where_undefined(area, variance):
    assert logit_interval(area, variance) is None


def test_fewer_degrees_of_freedom_widen_it():
    wide, narrow = logit_interval(0.8, 0.001, degrees=10), logit_interval(0.8, 0.001)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
