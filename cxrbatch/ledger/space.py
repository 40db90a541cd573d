"""Is there room for what a run is going to write? Asked before its first film, not found out by its last."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from cxrbatch.ledger.ledger import PendingImage

DISPLAY_SIDE = 1024
BYTES_PER_PIXEL = 0.03
"""Of a display picture: a smooth film of low contrast. A usual one takes four times as much."""
FIXED_BYTES = 16_000
"""Per image, whatever its size: heat maps, the ledger, the least that a file system gives a file."""
REPORT_BYTES = 60_000
"""Per image: a page, its pictures, a PDF."""


class NoSpaceError(Exception):
    """There is far too little room for the run; the message says how much it takes."""


def require_space(run: Path, images: Iterable[PendingImage], *, reports: bool) -> None:
    """Refuse a run that cannot end well.

    The estimate is low on purpose: a run that is refused would surely have failed.

    Raises:
        NoSpaceError: less is free than the least that the images would take.
    """
    count = 0
    needed = 0.0
    for image in images:
        rows, columns = image.header.rows, image.header.columns
        shrink = min(1.0, DISPLAY_SIDE / max(rows, columns, 1))
        picture = rows * columns * shrink * shrink * BYTES_PER_PIXEL
        needed += FIXED_BYTES + picture + (REPORT_BYTES + picture if reports else 0)
        count += 1
    free = shutil.disk_usage(run).free
    if free < needed:
        raise NoSpaceError(
            f"{run} has {free / 1e6:,.1f} MB free, and {count:,} images need at least "
            f"{needed / 1e6:,.1f} MB: free some space, or choose another --out. Nothing was scored yet."
        )
