"""Which words occur in an image, and how often, found out as cheaply as the question allows.

To count every pixel's word takes 10 ms of a film of 3.6 million, their least and greatest half a millisecond.
For most films the latter is enough: of values that rise or fall from word to word the extremes belong to the
extreme words. What is answered is exact either way.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_ROWS = 64  # rows at a time: they stay in the processor's cache
_SAMPLED = 16  # one row of so many is counted before all are
_MIDDLE = (0.005, 0.995)


class Occurrence:
    """The words of an image, uint8 or uint16 (rows, columns), of which 256 or 65,536 are possible.

    `signed`: words are in the order of two's complement, so that the values they stand for mostly rise.
    """

    def __init__(
        self, words: NDArray[np.unsignedinteger], signed: bool, counts: NDArray[np.int64] | None = None
    ) -> None:
        """`counts` where they are known already; `words` is then not looked at."""
        self._words = words
        self._signed = signed
        self._possible = 1 << (8 * words.dtype.itemsize)
        if counts is not None:
            self.counts = counts

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many pixels have each possible word."""
        return self._count(self._words)

    @cached_property
    def ends(self) -> tuple[int, int]:
        """The least and the greatest word that occurs, as signed numbers where `signed`."""
        numbers = self._words.view(self._words.dtype.str.replace("u", "i")) if self._signed else self._words
        parts = [numbers[top : top + _ROWS] for top in range(0, len(numbers), _ROWS)]
        return min(int(part.min()) for part in parts), max(int(part.max()) for part in parts)

    def bits_used(self) -> int:
        """All words that occur, or-ed together."""
        return int(np.bitwise_or.reduce(self._words, axis=None))

    def without(self, left_out: NDArray[np.bool_]) -> Occurrence:
        """The same image less the pixels of some words."""
        return Occurrence(self._words, self._signed, np.where(left_out, 0, self.counts))

    def extremes(self, values: NDArray[np.float64]) -> tuple[float, float]:
        """The least and the greatest of `values`, one for each possible word, among the words that occur."""
        if not self._are_counted():
            between = values[np.arange(self.ends[0], self.ends[1] + 1)]  # a negative word counts from the end
            steps = np.diff(between)
            if (steps >= 0).all() or (steps <= 0).all():
                low, high = sorted((float(between[0]), float(between[-1])))
                return low, high
        present = values[self.counts > 0]
        return float(present.min()), float(present.max())

    def spread(self, values: NDArray[np.float64]) -> float:
        """How far the middle 99% of the pixels reach on `values`."""
        present = np.flatnonzero(self.counts)
        found = values[present]
        order = np.argsort(found, kind="stable")
        share = np.cumsum(self.counts[present][order]) / self.counts.sum()
        low, high = np.searchsorted(share, _MIDDLE)
        last = len(order) - 1
        return float(found[order[min(high, last)]] - found[order[min(low, last)]])

    def spreads(self, values: NDArray[np.float64], least: float) -> bool:
        """Whether `spread` is at least `least`.

        A sixteenth of the rows may prove it: where more than 0.5% of all pixels lie at or below a value in
        these rows alone, so they do in the image, and as many at or above another. Else all are counted.
        """
        return (not self._are_counted() and self._sample_spreads(values, least)) or (
            self.spread(values) >= least
        )

    def _sample_spreads(self, values: NDArray[np.float64], least: float) -> bool:
        counts = self._count(self._words[::_SAMPLED])
        present = np.flatnonzero(counts)
        found = values[present]
        order = np.argsort(found, kind="stable")
        found, upwards = found[order], np.cumsum(counts[present][order])
        # The same quotients as in `spread`, of counts that can only be smaller there at the lower end, and
        # only greater at the upper.
        low = np.searchsorted(upwards / self._words.size, _MIDDLE[0])
        from_here_up = upwards[-1] - upwards + counts[present][order]
        high = np.flatnonzero((self._words.size - from_here_up) / self._words.size < _MIDDLE[1])
        if low == len(found) or not len(high):
            return False
        return bool(found[high[-1]] - found[low] >= least)

    def _are_counted(self) -> bool:
        return "counts" in vars(self)

    def _count(self, words: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
        counts = np.zeros(self._possible, dtype=np.int64)
        for top in range(0, len(words), _ROWS):
            counts += np.bincount(words[top : top + _ROWS].ravel(), minlength=self._possible)
        return counts
