"""The window functions against the standard's pseudo-code, value by value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.radiographs.window import Window


def linear(x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.2.1 with ymin 0 and ymax 1."""
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    if x > c - 0.5 + (w - 1) / 2:
        return 1.0
    return (x - (c - 0.5)) / (w - 1) + 0.5


def linear_exact(x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.3.2."""
    if x <= c - w / 2:
        return 0.0
    if x > c + w / 2:
        return 1.0
    return (x - c) / w + 0.5


def sigmoid(x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    exponent = -4 * (x - c) / w
    return 0.0 if exponent > 700 else 1 / (1 + math.exp(exponent))


ORACLES = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


@pytest.mark.parametrize("function", ORACLES)
@given(
    center=st.floats(-1e5, 1e5),
    width=st.floats(1, 1e5),
    values=st.lists(st.integers(-32768, 65535), min_size=1, max_size=40),
)
def test_follows_the_standard(function, center, width, values):
    ours = Window(center, width, function).apply(np.array(values, dtype=np.float64))
    expected = [ORACLES[function](x, center, width) for x in values]
    # A width of just over 1 has a slope of any steepness: compare where the slope is below 1e6.
    if function == "LINEAR" and 1 < width < 1 + 1e-6:
        return
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_a_linear_window_of_width_one_is_a_threshold():
    ours = Window(100, 1).apply(np.array([98.0, 99.0, 99.5, 100.0, 101.0]))
    np.testing.assert_array_equal(ours, [0, 0, 0, 1, 1])


def test_the_standards_example_of_eight_bits():
    """PS3.3 C.11.2.1.2.1: center 128 and width 256 pass 0 .. 255 through; 2048 and 4096 pass 12 bits."""
    np.testing.assert_allclose(Window(128, 256).apply(np.arange(256.0)), np.arange(256) / 255, atol=1e-12)
    np.testing.assert_allclose(
        Window(2048, 4096).apply(np.arange(4096.0)), np.arange(4096) / 4095, atol=1e-12
    )
