"""Colour to grey: ITU-R BT.601 luminance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# 0.299, 0.587 and 0.114 in 1/65536; they add up to 65536, so equal channels keep their value exactly.
RED, GREEN, BLUE = 19595, 38470, 7471
COLOUR_NOTE = "The image is in colour; its luminance was used."


def luminance(rgb: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.uint16]:
    """Luminance of (..., 3) RGB samples of `bits` bits, scaled to 0 .. 65535 and rounded.

    For 8 bits a grey of value v gives exactly ``257 * v``.
    """
    red, green, blue = (_as_16_bits(rgb[..., channel], bits) for channel in range(3))
    weighted = RED * red + GREEN * green + BLUE * blue  # below 2**32: nothing overflows
    return ((weighted + 32768) >> 16).astype(np.uint16)


def _as_16_bits(channel: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.uint32]:
    if bits == 8:
        return channel.astype(np.uint32) * np.uint32(257)
    if bits == 16:
        return channel.astype(np.uint32)
    return np.rint(channel * (65535 / ((1 << bits) - 1))).astype(np.uint32)


def is_colour(rgb: NDArray[np.unsignedinteger], bits: int) -> bool:
    """Whether more than 1% of the pixels (every 8th each way is looked at) have channels that differ by
    more than a sixteenth of the range: more than chroma noise of a compressed grey picture."""
    few = rgb[::8, ::8].astype(np.int64)
    difference = few.max(axis=-1) - few.min(axis=-1)
    return bool((difference > (1 << bits) // 16).mean() > 0.01)
