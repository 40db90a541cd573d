from __future__ import annotations

import pytest
from scipy.stats import norm

from cxrbatch.evaluation.sample_size import sample_size


@pytest.mark.parametrize(
    ("difference", "towards", "bound"), [(-0.005, "non_inferior", -0.02), (-0.03, "inferior", 0.0)]
)
def test_so_many_patients_have_the_power(difference, towards, bound):
    found = sample_size(difference, 0.02, 400, 0.02)
    assert found.towards == towards
    error = 0.02 * (400 / found.as_found) ** 0.5
    # Chance that the interval clears its bound when the difference is the true one.
    power = norm.sf(norm.ppf(0.975) - abs(difference - bound) / error)
    assert power == pytest.approx(0.8, abs=0.002)


def test_models_that_are_equal():
    found = sample_size(-0.01, 0.02, 400, 0.02)
    assert found.if_equal == pytest.approx(400 * ((1.959964 + 0.841621) ** 2), abs=1)


def test_a_difference_at_the_margin_is_never_settled():
    assert sample_size(-0.02, 0.02, 400, 0.02).as_found is None
