"""What is kept of a scored film beside the ledger: its display picture and its heat maps."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.radiographs.display import left_out_jpeg
from cxrbatch.scoring.engine import ScoredFilm

PICTURE, MAPS = ".jpg", ".npy"
"""Suffixes of `layout.display_file` and `layout.maps_file`."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Keeps films of a run; see `cxrbatch.scoring.engine.Keep`. Works in any process that sees the folder."""

    run: Path

    def __call__(self, film: ScoredFilm) -> ScoredFilm:
        """Files are there and on disk before anyone says so to the ledger.

        Raises:
            OSError: the disk is full or read-only.
        """
        decoded = film.decoded
        rows, columns = decoded.full_size or (decoded.rows, decoded.columns)
        place = self.run / film.file.shelf_mark
        place.parent.mkdir(parents=True, exist_ok=True)
        picture = left_out_jpeg(rows, columns) if film.file.hidden else decoded.display_jpeg
        write_atomic(place.with_name(place.name + PICTURE), picture)
        if film.maps is not None:
            buffer = io.BytesIO()
            np.save(buffer, film.maps, allow_pickle=False)
            write_atomic(place.with_name(place.name + MAPS), buffer.getvalue())
        slim = replace(decoded, display_jpeg=b"")
        return replace(film, decoded=slim, maps=None, has_maps=film.maps is not None)

    def clear(self, mark: str) -> None:
        """Remove what was kept of a film that turned out not to be scored."""
        place = self.run / mark
        for suffix in (PICTURE, MAPS):
            place.with_name(place.name + suffix).unlink(missing_ok=True)
