"""glibc's allocator, told to keep what is freed. For processes that handle one large array after another.

By default it asks the system for each array of a film anew and gives it back when it is freed: for every
film, thousands of pages are cleared and mapped again, which costs a fifth of decoding an uncompressed one
and stands in the way of the other processes (figures in docs/performance.md).
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
"""Numbers of mallopt(3)'s parameters."""

LARGEST = 128 << 20
"""Bytes of one array from which on it is given back at once after all: larger than all but huge films."""
KEPT = 256 << 20
"""Bytes of free memory at the top of the heap from which on some is given back."""


def keep_freed_memory() -> bool:
    """Have this process reuse its freed memory; whether that could be done (glibc only)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, which has ways of its own
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, KEPT))
