"""A limit lets the share through that it was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.film_check.above import above

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300)


@given(values=VALUES, share=st.floats(0.0, 1.0))
def test_no_more_than_the_share_lie_at_or_above(values: list[float], share: float) -> None:
    numbers = np.array(values)
    limit = above(numbers, share)
    over = np.sum(numbers >= limit)
    assert over <= share * len(numbers)


@given(count=st.integers(10, 500), share=st.floats(0.01, 0.5))
def test_of_different_values_as_many_as_may(count: int, share: float) -> None:
    numbers = np.random.default_rng(count).permutation(count).astype(float)
    assert np.sum(numbers >= above(numbers, share)) == int(share * count)


def test_equal_values_are_let_through_together() -> None:
    assert above(np.ones(200), 0.01) > 1.0
    assert above(np.array([0.0] * 150 + [1.0] * 50), 0.25) == pytest.approx(0.5)
