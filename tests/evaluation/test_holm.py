from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.evaluation.holm import holm, simultaneous_level


def test_by_hand():
    # Sorted: 0.01 x 4 = 0.04; 0.02 x 3 = 0.06; 0.03 x 2 = 0.06; 0.04 x 1, but not below 0.06 before it.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx((0.06, 0.04, 0.06, 0.06))


def test_what_was_not_tested_does_not_count():
    assert holm([None, 0.01, None, 0.04]) == (None, 0.02, None, 0.04)
    assert holm([None]) == (None,)
    assert holm([0.6, 0.9]) == (1.0, 1.0)


@given(st.lists(st.integers(0, 1008), min_size=1, max_size=12), st.integers(1, 200))
def test_rejects_what_the_step_down_procedure_rejects(numerators, numerator):
    # Two primes below: no p value times a count can equal alpha, so rounding decides nothing.
    p_values, alpha = [i / 1009 for i in numerators], numerator / 1013
    rejected = set()
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[place] > alpha / (len(p_values) - step):
            break
        rejected.add(place)
    assert {place for place, p in enumerate(holm(p_values)) if p <= alpha} == rejected


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_no_probability(p):
    with pytest.raises(ValueError, match="within"):
        holm([0.5, p])


def test_level_of_each_of_several_intervals():
    assert simultaneous_level(0.95, 1) == 0.95
    assert simultaneous_level(0.95, 5) == pytest.approx(0.99)
    assert simultaneous_level(0.95, 0) == 0.95
