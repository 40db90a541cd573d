"""Pixels as indices into small tables: "every grey transform is a table over stored values".

A decoded 16-bit image has millions of pixels but at most 65,536 different words. Bit masks, sign, modality
LUT, window, inversion and padding are worked out once a word; the image is touched twice, for its extreme
words (occurrence.py) and to look all of them up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.radiographs.layout import PixelLayout
from cxrbatch.radiographs.occurrence import Occurrence

_ROWS = 64  # rows at a time: their indices stay in the processor's cache


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """`words` is uint8 or uint16 (rows, columns). For every possible word (256 or 65,536) `values` is the
    stored value that it stands for; `occurrence` tells which of them there are."""

    words: NDArray[np.unsignedinteger]
    values: NDArray[np.int64]
    occurrence: Occurrence
    notes: tuple[str, ...] = ()


def stored_pixels(samples: NDArray[np.integer], layout: PixelLayout, encapsulated: bool) -> StoredPixels:
    """Index decoded samples by their words.

    Each word is shifted down to bit 0, masked to the stored bits, and sign-extended where signed (PS3.5
    8.1.1: bits outside BitsStored mean nothing). In compressed data the codec has already put the stored
    bits lowest, whatever HighBit says. Samples of more than 16 bits are reduced to the 65,536 steps of
    their own range.
    """
    unsigned = samples.view(samples.dtype.str.replace("i", "u"))
    if unsigned.dtype.itemsize > 2:
        return _wide(unsigned, layout)
    size = 1 << (8 * unsigned.dtype.itemsize)
    occurrence = Occurrence(unsigned, layout.signed)
    every_word = np.arange(size, dtype=np.int64)
    shift, notes = (0, ()) if encapsulated else _shift(occurrence, layout)
    notes += _stray_bits(occurrence, shift, layout)
    return StoredPixels(unsigned, _value(every_word, shift, layout), occurrence, notes)


def look_up(table: NDArray[np.uint16], words: NDArray[np.unsignedinteger]) -> NDArray[np.uint16]:
    """`table[words]`, some rows at a time: numpy widens an index to 64 bits, four times a film's size."""
    pixels = np.empty(words.shape, dtype=table.dtype)
    for top in range(0, len(words), _ROWS):
        np.take(table, words[top : top + _ROWS], out=pixels[top : top + _ROWS], mode="clip")
    return pixels


def _stray_bits(occurrence: Occurrence, shift: int, layout: PixelLayout) -> tuple[str, ...]:
    """A note where bits above the stored ones are set and are no sign: an old overlay, or a wrong header."""
    above = shift + layout.bits_stored
    least, greatest = occurrence.ends
    if greatest < 1 << above and least >= (-1 << above if layout.signed else 0):
        return ()
    counts = occurrence.counts
    rest = np.arange(len(counts)) >> above
    stray = rest != 0
    if layout.signed:
        stray &= rest != (len(counts) - 1) >> above
    pixels = int(counts[stray].sum())
    if not pixels:
        return ()
    return (f"Bits above BitsStored {layout.bits_stored} are set in {pixels:,} pixels; they were ignored.",)


def _value(words: NDArray[np.int64], shift: int, layout: PixelLayout) -> NDArray[np.int64]:
    span = 1 << layout.bits_stored
    values = (words >> shift) & (span - 1)
    return np.where(values >= span >> 1, values - span, values) if layout.signed else values


def _shift(occurrence: Occurrence, layout: PixelLayout) -> tuple[int, tuple[str, ...]]:
    """How far down the stored bits are; a HighBit that the data contradict is not believed."""
    shift = layout.high_bit + 1 - layout.bits_stored
    if shift == 0:
        return 0, ()
    used = occurrence.bits_used()
    if used >> layout.bits_stored == 0 and used & ((1 << shift) - 1):
        return 0, (
            f"HighBit {layout.high_bit} contradicts the pixels, which lie in the lowest "
            f"{layout.bits_stored} bits; the lowest bits were taken.",
        )
    return shift, ()


def _wide(unsigned: NDArray[np.unsignedinteger], layout: PixelLayout) -> StoredPixels:
    bits = min(layout.bits_stored, 62)  # 63 and 64 bits would not fit int64 while being masked
    shift = layout.high_bit + 1 - bits
    span = 1 << bits
    values = ((unsigned >> np.uint64(shift)) & np.uint64(span - 1)).astype(np.int64)
    if layout.signed:
        values = np.where(values >= span >> 1, values - span, values)
    low, high = int(values.min()), int(values.max())
    step = max(1, (high - low) // 65536 + 1)
    words = ((values - low) // step).astype(np.uint16)
    values_of_words = low + step * np.arange(65536, dtype=np.int64)
    return StoredPixels(words, values_of_words, Occurrence(words, signed=False))
