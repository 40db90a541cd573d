"""The pointing game and overlap, against brute force over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cxrbatch.evaluation.localisation import overlap, points_at, widened

SHAPE = (7, 9)
heats = arrays(np.float32, SHAPE, elements=st.integers(-3, 5).map(float))
masks = arrays(np.bool_, SHAPE)


@given(heats, masks, st.sampled_from([0.0, 1.0, 1.5, 3.0]))
def test_pointing_is_the_distance_of_the_first_highest_pixel_to_the_lesion(
    heat: np.ndarray, mask: np.ndarray, tolerance: float
) -> None:
    best, place = -math.inf, (0, 0)
    for row in range(SHAPE[0]):
        for column in range(SHAPE[1]):
            if heat[row, column] > best:
                best, place = heat[row, column], (row, column)
    distances = [math.dist(place, (r, c)) for r, c in zip(*np.nonzero(mask), strict=True)]
    expected = bool(best > 0 and distances and min(distances) <= tolerance)
    assert points_at(heat, mask, tolerance) is expected


@given(heats, masks, st.sampled_from([0.25, 0.5, 1.0]))
def test_overlap_is_counted_pixel_by_pixel(heat: np.ndarray, mask: np.ndarray, share: float) -> None:
    both = either = 0
    for value, lesion in zip(heat.flat, mask.flat, strict=True):
        hot = heat.max() > 0 and value >= share * heat.max()
        both += bool(hot and lesion)
        either += bool(hot or lesion)
    assert overlap(heat, mask, share) == pytest.approx(both / either if heat.max() > 0 else 0.0)


def test_a_lesion_is_widened_in_all_directions() -> None:
    mask = np.zeros((5, 5), bool)
    mask[2, 2] = True
    plus = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]])
    assert (widened(mask, 1.0) == plus.astype(bool)).all()
    assert not widened(np.zeros((5, 5), bool), 9.0).any()


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"same shape; received \(2, 2\) and \(2, 3\)"):
        points_at(np.zeros((2, 2)), np.zeros((2, 3), bool))
    with pytest.raises(ValueError, match="no numbers"):
        overlap(np.full((2, 2), np.nan), np.zeros((2, 2), bool), 0.5)
    with pytest.raises(ValueError, match="share"):
        overlap(np.zeros((2, 2)), np.zeros((2, 2), bool), 0.0)
