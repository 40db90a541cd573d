"""The door of this room: bytes in, a display-oriented grey image out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cxrbatch.intake.quiet import quiet_decoders
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.cut_off import cut_off_notes
from cxrbatch.radiographs.dicom import read_dicom
from cxrbatch.radiographs.radiograph import Radiograph, RadiographError
from cxrbatch.radiographs.raster import read_raster

BLANK_NOTE = "Every pixel has the same value: there is nothing to see in this image."


def read_radiograph(data: bytes, kind: FileKind, least: tuple[int, int] | None = None) -> Radiograph:
    """Decode one file.

    `data` is the whole file and `kind` what it is by its content. The result is uint16 of shape
    (rows, columns), 0 black and 65535 white, with notes on whatever had to be guessed or left out. With
    `least` (rows, columns) it may come at a lower resolution of at least that size (reduced.py).

    Raises `RadiographError`, and nothing but it and MemoryError, whatever the bytes are; its detail holds no
    patient data.
    A native decoder that crashes takes the process with it: call this in a worker process.
    """
    try:
        with quiet_decoders():
            film = read_dicom(data, least) if kind is FileKind.DICOM else read_raster(data, kind)
            if _is_blank(film.pixels):  # a model has an opinion of that, too
                return replace(film, notes=(*film.notes, BLANK_NOTE))
            return replace(film, notes=film.notes + cut_off_notes(film.pixels))
    except (RadiographError, MemoryError):
        raise
    except Exception as error:
        # Only the kind of error: its text could quote the header.
        raise RadiographError(
            Reason.DECODE_FAILED, f"The image could not be decoded ({type(error).__name__})."
        ) from None


def _is_blank(pixels: NDArray[np.uint16]) -> bool:
    """Whether all are alike; of a film the first rows already tell."""
    return all((row == pixels[0, 0]).all() for row in pixels)
