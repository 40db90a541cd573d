"""Pictures at another size, by two products with matrices of weights: down the columns, then along the rows.

Each row of such a matrix has weights in a narrow band only, so it is applied in blocks: a few rows of the
result, from the few rows of the picture that they need, which become floating point numbers where they still
lie in the processor's cache. A film of 1955 x 1841 pixels takes 2.5 ms to 320 pixels; TensorFlow's resize
took 12.7 and was eight times as far from the exact values (docs/performance.md).

The same bytes come out wherever numpy's BLAS and its number of threads are the same: decoding processes hold
it to one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_TALLEST, _WIDEST = 8, 16
"""Rows, and then columns, of the result that are made at once: what was fastest."""
_STRIP = 256
"""Rows of the result between the two products: they are still in the cache when the second reads them."""
_BAND = 128
"""About so many rows of the picture go into a block: where one of the result is made of very many, fewer of
these are made at once, or the matrices would be mostly zeros."""
_LONGEST_KEPT = 1 << 14
"""Pixels of a side up to which its matrices are kept for the next film: longer ones are rare, and large."""


class Filter(Enum):
    """How a pixel of the result is made of those of the picture; both average when a picture is reduced."""

    BOX = auto()
    """The mean of all pixels whose centres lie in it. For reducing only."""

    TRIANGLE = auto()
    """Bilinear; reducing, the weights fall linearly to the middles of the pixels beside it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Pixels `of` the result are `weights` (float32) times pixels `made_from` of the picture, on one side."""

    of: slice
    made_from: slice
    weights: NDArray[np.float32]


def resample(pixels: NDArray[np.number], rows: int, columns: int, by: Filter) -> NDArray[np.float32]:
    """`pixels` (rows, columns) at another size, float32 of the same scale.

    The filters are those of Pillow's ``BOX`` and ``BILINEAR``; the latter is that of ``tf.image.resize`` with
    ``antialias=True``, too. Against float64 the error is below 1e-6 of the greatest value.
    """
    if pixels.shape[0] < rows and pixels.shape[1] > columns:  # else a long line is made tall first
        return np.ascontiguousarray(resample(pixels.T, columns, rows, by).T)
    down = _blocks(pixels.shape[0], rows, _TALLEST, by)
    across = _blocks(pixels.shape[1], columns, _WIDEST, by)
    result = np.empty((rows, columns), np.float32)
    memory = np.empty((min(rows, _STRIP), pixels.shape[1]), np.float32)
    in_strip = _STRIP // _TALLEST
    for at in range(0, len(down), in_strip):
        blocks = down[at : at + in_strip]
        top, end = blocks[0].of.start, blocks[-1].of.stop
        upright = memory[: end - top]
        for block in blocks:
            band = pixels[block.made_from].astype(np.float32)
            np.matmul(block.weights, band, out=upright[block.of.start - top : block.of.stop - top])
        for block in across:
            np.matmul(upright[:, block.made_from], block.weights.T, out=result[top:end, block.of])
    return result


def _blocks(length: int, wanted: int, at_once: int, by: Filter) -> tuple[_Block, ...]:
    make = _make_blocks if length > _LONGEST_KEPT else _kept_blocks
    return make(length, wanted, at_once, by)


def _make_blocks(length: int, wanted: int, at_once: int, by: Filter) -> tuple[_Block, ...]:
    """From `length` to `wanted` pixels of a side, at most `at_once` of these a block."""
    scale = length / wanted
    at_once = max(1, min(at_once, int(_BAND / scale)))
    return tuple(
        _block(np.arange(first, min(first + at_once, wanted)), length, wanted, by)
        for first in range(0, wanted, at_once)
    )


_kept_blocks = lru_cache(maxsize=64)(_make_blocks)


def _block(of: NDArray[np.int64], length: int, wanted: int, by: Filter) -> _Block:
    """Weights as Pillow's ``precompute_coeffs`` has them: in float64, each row divided by its sum.

    Pixel k of the result has its middle at (k + 0.5) * scale of the picture. An enlarged picture is
    interpolated between neighbours: a filter is never narrower than a pixel.
    """
    scale = length / wanted
    reach = max(scale, 1.0)
    middles = (of + 0.5) * scale
    first = max(0, int(middles[0] - reach))
    end = min(length, int(middles[-1] + reach) + 1)
    places = np.arange(first, end)
    if by is Filter.BOX:  # in whole numbers: a pixel whose centre lies on a border belongs to one side only
        centres, borders = (2 * places + 1) * wanted, 2 * length * of[:, np.newaxis]
        weights = ((centres > borders) & (centres <= borders + 2 * length)).astype(np.float64)
    else:
        weights = np.maximum(0.0, 1.0 - np.abs(places + 0.5 - middles[:, np.newaxis]) / reach)
    weights /= weights.sum(axis=1, keepdims=True)
    return _Block(
        slice(int(of[0]), int(of[-1]) + 1), slice(first, end), np.ascontiguousarray(weights, np.float32)
    )
