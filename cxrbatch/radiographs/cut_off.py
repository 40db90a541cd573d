"""Pictures of which the lower part is missing, though their decoder found nothing wrong.

A decoder that runs out of data may fill up what is missing: with black, with the last grey that it had
(libjpeg-turbo), or with the last block of pixels that it had, over and over (libjpeg). The film is scored,
since collimation and padding look like this too, but whoever reads its report is told.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MISSING_PART = 0.3
"""Part of all rows from which on one grey value at the bottom is worth a sentence. Collimation of a chest
film that leaves less than 70 % of the detector's height is rare."""


_BLOCK = 16
"""Pixels: a side of a JPEG's largest block, and a multiple of every smaller one's."""


def cut_off_notes(pixels: NDArray[np.uint16]) -> tuple[str, ...]:
    """A sentence where the lowest rows, `MISSING_PART` or more of all, hold nothing of a film, and the rows
    above do.

    Args:
        pixels: a rendered film, uint16 (rows, columns).
    """
    rows, columns = pixels.shape
    if columns < 2 * _BLOCK:
        return ()
    blank = _blank_rows(pixels)
    if blank == rows or blank < MISSING_PART * rows:
        return ()
    return (f"The lowest {100 * blank // rows} % of the picture are blank: part of the film may be missing.",)


def _blank_rows(pixels: NDArray[np.uint16]) -> int:
    """How many rows at the bottom hold one value, or the same block over and over."""
    for count, row in enumerate(pixels[::-1]):
        if (row[_BLOCK:] != row[:-_BLOCK]).any():
            return count
    return len(pixels)
