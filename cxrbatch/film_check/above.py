"""Limits from a sample: so that a given share of it lies above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def above(values: NDArray[np.float64], share: float) -> float:
    """A limit with at most `share` of `values` above it: midway between two of them."""
    ordered = np.sort(values)[::-1]
    over = int(share * len(ordered))
    if over == 0 or over >= len(ordered):
        return float(np.nextafter(ordered[0], np.inf))
    if ordered[over - 1] == ordered[over]:
        return float(np.nextafter(ordered[over], np.inf))
    return float((ordered[over - 1] + ordered[over]) / 2.0)
