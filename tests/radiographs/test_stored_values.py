"""Bit masks, sign and HighBit, each pixel by hand; and words beyond 16 bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.radiographs.layout import PixelLayout
from cxrbatch.radiographs.stored_values import look_up, stored_pixels


def layout(allocated: int, stored: int, high: int, signed: bool) -> PixelLayout:
    return PixelLayout(1, 1, 1, 0, allocated, stored, high, signed, "MONOCHROME2")


def by_hand(word: int, stored: int, high: int, signed: bool) -> int:
    """The stored value of one word, as a string of bits (PS3.5 8.1.1)."""
    bits = f"{word:064b}"[::-1][high + 1 - stored : high + 1][::-1]
    value = int(bits, 2)
    return value - (1 << stored) if signed and bits[0] == "1" else value


@given(
    words=st.lists(st.integers(0, 65535), min_size=1, max_size=30),
    stored=st.integers(1, 16),
    room=st.integers(0, 15),
    signed=st.booleans(),
)
def test_every_mask_and_sign(words, stored, room, signed):
    high = min(15, stored - 1 + room)
    samples = np.array([words], dtype=np.uint16)
    result = stored_pixels(samples, layout(16, stored, high, signed), encapsulated=False)
    if any("contradicts" in note for note in result.notes):  # tested below
        high = stored - 1
    expected = [by_hand(word, stored, high, signed) for word in words]
    assert result.values[result.words].ravel().tolist() == expected
    assert result.occurrence.counts.sum() == len(words)


def test_a_high_bit_that_the_pixels_contradict_is_not_believed():
    samples = np.array([[1, 2, 3, 4095]], dtype=np.uint16)
    result = stored_pixels(samples, layout(16, 12, 15, False), encapsulated=False)
    assert result.values[result.words].tolist() == [[1, 2, 3, 4095]]
    assert "HighBit 15 contradicts" in result.notes[0]


def test_high_bit_means_nothing_in_compressed_data():
    samples = np.array([[1 << 4, 5]], dtype=np.uint16)
    result = stored_pixels(samples, layout(16, 12, 15, False), encapsulated=True)
    assert result.values[result.words].tolist() == [[16, 5]]


def test_overlay_bits_are_masked_and_noted(render, ramp):
    with_overlay = ramp | np.uint16(0x8000) * (ramp % 2)
    result = render(with_overlay)
    np.testing.assert_array_equal(result.pixels, render(ramp).pixels)
    assert "2,048 pixels" in result.notes[0]


@pytest.mark.parametrize("extend", [True, False])
def test_signed_values_need_no_sign_extension_in_the_file(render, extend):
    values = np.arange(-2048, 2048, dtype=np.int16).reshape(64, 64)
    written = values if extend else values & np.int16(0x0FFF)
    result = render(written, PixelRepresentation=1)
    expected = (np.arange(4096) / 4095 * 65535 + 0.5).astype(np.uint16)
    np.testing.assert_array_equal(result.pixels.ravel(), expected)
    assert result.notes == ()


@pytest.mark.parametrize("high_bit", [11, 12, 15])
def test_high_bit_shifts_the_picture(render, ramp, high_bit):
    shifted = render(ramp << (high_bit - 11), HighBit=high_bit)
    np.testing.assert_array_equal(shifted.pixels, render(ramp).pixels)
    assert shifted.notes == ()


@pytest.mark.parametrize("dtype", [np.uint32, np.int32])
def test_thirty_two_bits_keep_their_order_and_range(render, dtype):
    rng = np.random.default_rng(5)
    low = 0 if dtype is np.uint32 else -(2**31)
    values = rng.integers(low, low + 2**32, (50, 50)).astype(dtype)
    pixels = render(values, BitsStored=32).pixels
    exact = (values.astype(float) - values.min()) / (float(values.max()) - float(values.min())) * 65535
    np.testing.assert_allclose(pixels, exact, atol=1.01)


def test_look_up_is_fancy_indexing():
    rng = np.random.default_rng(6)
    words = rng.integers(0, 65536, (201, 33)).astype(np.uint16)
    table = rng.integers(0, 65536, 65536).astype(np.uint16)
    np.testing.assert_array_equal(look_up(table, words), table[words])
