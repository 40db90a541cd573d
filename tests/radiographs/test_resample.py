"""Resampling against Pillow, pixel by pixel, at sizes and proportions of all kinds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrbatch.radiographs.resample import Filter, resample


def noise(rows: int, columns: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(3).integers(0, np.iinfo(dtype).max + 1, (rows, columns), dtype)


def on_a_border(length: int, wanted: int) -> bool:
    """Whether a pixel's centre lies between two of the result: to which it counts is a matter of rounding."""
    return bool(((2 * np.arange(length) + 1) * wanted % (2 * length) == 0).any())


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.floats(0, 1), st.floats(0, 1))
def test_boxes_are_pillows_within_its_rounding(rows, columns, down, across):
    """Pillow rounds to whole greys after each of its two passes: together at most one grey."""
    wanted = max(1, round(rows * down)), max(1, round(columns * across))
    assume(not on_a_border(rows, wanted[0]) and not on_a_border(columns, wanted[1]))
    pixels = noise(rows, columns)
    theirs = Image.fromarray(pixels).resize(wanted[::-1], Image.Resampling.BOX)
    assert np.abs(resample(pixels, *wanted, Filter.BOX) - np.asarray(theirs)).max() <= 1.01


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_triangles_are_pillows_in_floating_point(rows, columns, to_rows, to_columns):
    pixels = noise(rows, columns).astype(np.float32)
    theirs = Image.fromarray(pixels).resize((to_columns, to_rows), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(
        resample(pixels, to_rows, to_columns, Filter.TRIANGLE), np.asarray(theirs), atol=3e-4, rtol=0
    )


def test_halving_by_boxes_is_the_mean_of_four():
    pixels = noise(60, 80, np.uint16)
    means = pixels.reshape(30, 2, 40, 2).mean(axis=(1, 3))
    np.testing.assert_array_equal(resample(pixels, 30, 40, Filter.BOX), means.astype(np.float32))


def test_every_pixel_lies_in_one_box():
    """Whatever the sizes: of one white pixel, exactly one pixel of the result has anything."""
    for wanted in range(1, 23):
        found = resample(np.eye(22, dtype=np.uint16), 22, wanted, Filter.BOX)
        assert ((found > 0).sum(axis=1) == 1).all()


@pytest.mark.parametrize("shape", [(1, 2_000_000), (2_000_000, 1), (3, 700_000)])
def test_a_line_of_pixels_takes_little_memory(shape):
    pixels = np.full(shape, 500, np.uint16)
    np.testing.assert_allclose(resample(pixels, 320, 320, Filter.TRIANGLE), 500.0, rtol=1e-5)


def test_order_of_the_bytes_in_memory_does_not_matter():
    pixels = noise(211, 190, np.uint16)
    for view in (pixels[::-1, ::2], np.asfortranarray(pixels), pixels.T):
        expected = resample(np.ascontiguousarray(view), 50, 40, Filter.TRIANGLE)
        np.testing.assert_allclose(resample(view, 50, 40, Filter.TRIANGLE), expected, rtol=1e-6)
