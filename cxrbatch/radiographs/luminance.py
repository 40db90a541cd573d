"""Colour to grey: ITU-R BT.601 luminance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# 0.299, 0.587 and 0.114 in 1/65536; they add up to 65536, so equal channels keep their value exactly.
RED, GREEN, BLUE = 19595, 38470, 7471
COLOUR_NOTE = "The image is in colour; its luminance was used."


def luminance(rgb: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.uint16]:
    """Luminance of (..., 3) RGB samples of `bits` bits (8 to 16 in effect), scaled to 0 .. 65535 and rounded.

    For 8 bits a grey of value v gives exactly ``257 * v``.
    """
    top = (1 << bits) - 1
    scaled = rgb.astype(np.float64) * (65535 / top) if bits not in (8, 16) else None
    red, green, blue = (
        _as_16_bits(rgb[..., i], bits) if scaled is None else np.rint(scaled[..., i]).astype(np.uint64)
        for i in range(3)
    )
    weighted = RED * red + GREEN * green + BLUE * blue
    return ((weighted + 32768) >> 16).astype(np.uint16)


def _as_16_bits(channel: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.uint64]:
    wide = channel.astype(np.uint64)
    return wide * np.uint64(257) if bits == 8 else wide


def is_colour(rgb: NDArray[np.unsignedinteger], bits: int) -> bool:
    """Whether more than 1% of the pixels (every 8th each way is looked at) have channels that differ by
    more than a sixteenth of the range: more than chroma noise of a compressed grey picture."""
    few = rgb[::8, ::8].astype(np.int64)
    difference = few.max(axis=-1) - few.min(axis=-1)
    return bool((difference > (1 << bits) // 16).mean() > 0.01)
