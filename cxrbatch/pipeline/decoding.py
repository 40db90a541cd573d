"""What a decoding process does with one file. Never imports TensorFlow."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind, SourceFile
from cxrbatch.pipeline.fit import fit_film
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.radiographs.display import display_jpeg
from cxrbatch.radiographs.radiograph import RadiographError
from cxrbatch.radiographs.read import read_radiograph


@dataclass(frozen=True, slots=True)
class DecodedFilm:
    """A film that was decoded, but for its pixels: `rows` and `columns` are those that it was fitted from.

    `source` is the file as it was when these pixels were read, None where nobody asks. `full_size` is (rows,
    columns) of the file where they are fewer (``--fast-decode``), else None.
    """

    rows: int
    columns: int
    file_sha256: str
    pixel_digest: str
    display_jpeg: bytes = field(repr=False)
    notes: tuple[str, ...]
    source: SourceFile | None = None
    full_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class UndecodedFilm:
    """A film that cannot be scored, and why. The digest is blank, and `source` None, where the file could not
    be read."""

    reason: Reason
    detail: str
    file_sha256: str = ""
    source: SourceFile | None = None


def decode_film(
    path: str,
    kind: FileKind,
    announced: int,
    spec: InputSpec,
    least: tuple[int, int] | None = None,
) -> tuple[DecodedFilm, NDArray[np.float32]] | UndecodedFilm:
    """Read, digest and decode `path`; with what was found comes the film fitted to the input of `spec`.

    A film of more pixels than `announced`, by its header, is refused. With `least` (rows, columns) a lower
    resolution of at least that size will do.
    Nothing is raised for a bad file: whatever is wrong with it comes back as a reason.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read()
            found = os.fstat(file.fileno())
    except OSError as error:
        return UndecodedFilm(
            Reason.UNREADABLE, f"The file could not be read: {error.strerror}. Check the disk or share."
        )
    source = SourceFile(path, found.st_size, found.st_mtime_ns, found.st_ino)
    result = _decode(data, kind, announced, spec, least)
    if isinstance(result, UndecodedFilm):
        return replace(result, source=source)
    decoded, grey = result
    return replace(decoded, source=source), grey


def _decode(
    data: bytes, kind: FileKind, announced: int, spec: InputSpec, least: tuple[int, int] | None
) -> tuple[DecodedFilm, NDArray[np.float32]] | UndecodedFilm:
    file_sha256 = hashlib.sha256(data).hexdigest()
    try:
        film = read_radiograph(data, kind, least)
    except RadiographError as error:
        return UndecodedFilm(error.reason, error.detail, file_sha256)
    except MemoryError:
        return UndecodedFilm(
            Reason.TOO_LARGE, "Decoding needs more memory than a decoder may have.", file_sha256
        )
    rows, columns = film.pixels.shape
    if film.pixels.size > announced:
        detail = f"Decodes to {rows} x {columns} pixels, more than its header announces."
        return UndecodedFilm(Reason.DECODE_FAILED, detail, file_sha256)
    picture = display_jpeg(film.pixels)
    decoded = DecodedFilm(
        rows, columns, file_sha256, film.digest, picture, film.notes, full_size=film.full_size
    )
    return decoded, fit_film(film.pixels, spec)
