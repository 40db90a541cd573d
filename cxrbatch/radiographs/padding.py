"""Pixel padding: pixels that were never exposed (PS3.3 C.7.5.1.1.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxrbatch.radiographs.header_values import read_integer
from cxrbatch.radiographs.layout import PixelLayout
from cxrbatch.radiographs.stored_values import StoredPixels


def padding_words(
    ds: Dataset, stored: StoredPixels, layout: PixelLayout
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which words are padding, and notes.

    PixelPaddingValue alone names one stored value; with PixelPaddingRangeLimit all between the two,
    both included, whichever is the greater. Padding that would leave no picture at all is not believed.
    """
    none = np.zeros(stored.values.shape, dtype=bool)
    first = read_integer(ds, "PixelPaddingValue")
    if first is None:
        return none, ()
    limit = read_integer(ds, "PixelPaddingRangeLimit")
    first = _as_stored(first, layout)
    last = first if limit is None else _as_stored(limit, layout)
    padding = (stored.values >= min(first, last)) & (stored.values <= max(first, last))
    if not stored.occurrence.counts[~padding].any():
        return none, ("Every pixel counts as padding by PixelPaddingValue; it was ignored.",)
    return padding, ()


def _as_stored(value: int, layout: PixelLayout) -> int:
    """A padding value written with the other signedness (63536 for -2000), as stored values have it."""
    if layout.signed and value >= 1 << (layout.bits_allocated - 1):
        return value - (1 << layout.bits_allocated)
    if not layout.signed and value < 0:
        return value + (1 << layout.bits_allocated)
    return value
