from __future__ import annotations

import numpy as np
import pytest

from cxrbatch.training.records import BrokenOffError
from cxrbatch.training.scored import ScoredFilms


@pytest.fixture
def scored() -> ScoredFilms:
    return ScoredFilms(
        rows=np.array([3, 5, 8]),
        probabilities=np.array([[0.1], [0.2], [0.3]], np.float32),
        highest=np.array([[1.0], [2.0], [3.0]], np.float32),
        sizes=((1, 1), (2, 2), (3, 3)),
        notes=((), ("a",), ()),
        digests=("aa", "bb", "cc"),
        failed=(9,),
    )


def test_films_that_were_trained_on_are_taken_out_of_everything(scored):
    left = scored.without(frozenset({"bb", "dd"}))
    assert left.rows.tolist() == [3, 8]
    np.testing.assert_array_equal(left.probabilities, np.array([[0.1], [0.3]], np.float32))
    assert left.highest is not None
    np.testing.assert_array_equal(left.highest, [[1.0], [3.0]])
    assert (left.sizes, left.notes, left.digests) == (((1, 1), (3, 3)), ((), ()), ("aa", "cc"))
    assert left.failed == (9,)


def test_nothing_left_to_judge_by_is_told(scored):
    with pytest.raises(BrokenOffError, match="also trained on"):
        scored.without(frozenset(scored.digests))
