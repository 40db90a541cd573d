"""Colour to grey against floating point BT.601 and against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cxrbatch.radiographs.luminance import is_colour, luminance

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("bits", [8, 10, 12, 16, 32])
def test_is_bt601(bits):
    dtype = np.uint8 if bits == 8 else np.uint16 if bits <= 16 else np.uint32
    rgb = RNG.integers(0, 1 << bits, (40, 41, 3)).astype(dtype)
    expected = rgb @ np.array([0.299, 0.587, 0.114]) / ((1 << bits) - 1) * 65535
    np.testing.assert_allclose(luminance(rgb, bits), expected, atol=1.6)


def test_agrees_with_pillow():
    rgb = RNG.integers(0, 256, (40, 41, 3)).astype(np.uint8)
    grey = np.asarray(Image.fromarray(rgb).convert("L")).astype(int)
    assert np.abs(luminance(rgb, 8) / 257 - grey).max() <= 0.51


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_keeps_its_value_exactly(bits):
    grey = np.arange(1 << bits).astype(np.uint8 if bits == 8 else np.uint16)
    rgb = np.repeat(grey[:, None], 3, axis=1)
    np.testing.assert_array_equal(luminance(rgb, bits), grey.astype(np.uint16) * (257 if bits == 8 else 1))


def test_chroma_noise_is_no_colour():
    rgb = np.repeat(RNG.integers(10, 240, (64, 64, 1)), 3, axis=2) + RNG.integers(-4, 5, (64, 64, 3))
    assert not is_colour(rgb.astype(np.uint8), 8)
    rgb[:32, :, 0] = 255
    assert is_colour(rgb.astype(np.uint8), 8)
