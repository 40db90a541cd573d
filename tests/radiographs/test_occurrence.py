"""What is found out cheaply about an image's words against counting each of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.radiographs.layout import PixelLayout
from cxrbatch.radiographs.occurrence import Occurrence
from cxrbatch.radiographs.stored_values import stored_pixels


@st.composite
def images(draw: st.DrawFn) -> np.ndarray:
    """A few different words in many rows: whole rows of one word, single pixels of another, any order."""
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    word = st.integers(0, np.iinfo(dtype).max)
    few = draw(st.lists(word, min_size=1, max_size=5))
    rows = draw(st.lists(st.sampled_from(few), min_size=1, max_size=70))
    image = np.repeat(np.array(rows, dtype)[:, np.newaxis], draw(st.integers(1, 20)), axis=1)
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, image.shape[0] - 1)), draw(st.integers(0, image.shape[1] - 1))
        image[at] = draw(word)
    return image


@st.composite
def values_for(draw: st.DrawFn, words: np.ndarray) -> np.ndarray:
    """A value for every possible word: rising, falling, in steps, of two's complement, or in any order."""
    number = np.arange(np.iinfo(words.dtype).max + 1)
    kind = draw(st.sampled_from(["rising", "falling", "steps", "sign", "shuffled", "flat"]))
    match kind:
        case "falling":
            return -1.5 * number + 7.0
        case "steps":
            return (number // draw(st.integers(2, 300))).astype(float)
        case "sign":
            return number.astype(words.dtype).view(words.dtype.str.replace("u", "i")).astype(float)
        case "shuffled":
            return np.random.default_rng(draw(st.integers(0, 9))).permutation(number).astype(float)
        case "flat":
            return np.zeros(len(number))
    return number.astype(float)


@given(st.data(), images(), st.booleans())
def test_extremes_are_those_of_all_pixels(data: st.DataObject, words: np.ndarray, signed: bool) -> None:
    values = data.draw(values_for(words))
    seen = values[words]
    assert Occurrence(words, signed).extremes(values) == (seen.min(), seen.max())


@given(images(), st.booleans())
def test_ends_and_bits(words: np.ndarray, signed: bool) -> None:
    numbers = words.view(words.dtype.str.replace("u", "i")) if signed else words
    found = Occurrence(words, signed)
    assert found.ends == (numbers.min(), numbers.max())
    assert found.bits_used() == np.bitwise_or.reduce(words.ravel())


@given(st.data(), images(), st.booleans(), st.floats(0, 70_000))
def test_quick_proof_of_a_spread_never_errs(
    data: st.DataObject, words: np.ndarray, signed: bool, least: float
) -> None:
    values = data.draw(values_for(words))
    counted = Occurrence(words, signed).spread(values)
    for bound in (least, counted, np.nextafter(counted, np.inf)):
        assert Occurrence(words, signed).spreads(values, bound) == (counted >= bound)


@given(st.data(), images(), st.booleans())
def test_spread_is_that_of_the_sorted_pixels(data: st.DataObject, words: np.ndarray, signed: bool) -> None:
    values = data.draw(values_for(words))
    seen = np.sort(values[words].ravel())
    share = np.arange(1, len(seen) + 1) / len(seen)
    low, high = (seen[np.searchsorted(share, q)] for q in (0.005, 0.995))
    assert Occurrence(words, signed).spread(values) == high - low


def test_spread_of_an_ordinary_film_is_proved_without_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.random.default_rng(1).normal(2000, 300, (640, 64)).astype(np.uint16)
    monkeypatch.setattr(Occurrence, "spread", lambda *_: pytest.fail("all pixels were counted"))
    assert Occurrence(words, signed=False).spreads(np.arange(65536) / 4096, 2 / 256)


@given(st.data(), images(), st.booleans())
def test_without_some_words(data: st.DataObject, words: np.ndarray, signed: bool) -> None:
    left_out = np.zeros(np.iinfo(words.dtype).max + 1, bool)
    left_out[words.flat[0]] = True
    rest = words[~left_out[words]]
    if rest.size:
        values = data.draw(values_for(words))
        found = Occurrence(words, signed).without(left_out)
        assert found.extremes(values) == (values[rest].min(), values[rest].max())
        assert found.counts.sum() == rest.size


@given(images(), st.integers(1, 16), st.integers(0, 15), st.booleans(), st.booleans())
def test_note_on_stray_bits_counts_them(
    words: np.ndarray, stored: int, room: int, signed: bool, encapsulated: bool
) -> None:
    bits = 8 * words.dtype.itemsize
    stored = min(stored, bits)
    high = min(bits - 1, stored - 1 + room)
    layout = PixelLayout(*words.shape, 1, 0, bits, stored, high, signed, "MONOCHROME2")
    notes = stored_pixels(words, layout, encapsulated).notes
    shift = 0 if encapsulated or any("contradicts" in note for note in notes) else high + 1 - stored
    above = words.astype(int) >> (shift + stored)
    stray = (above != 0) & ~(signed & (above == (1 << bits) - 1 >> (shift + stored)))
    said = f"Bits above BitsStored {stored} are set in {stray.sum():,} pixels; they were ignored."
    assert [note for note in notes if "Bits above" in note] == ([said] if stray.any() else [])
