"""Decoded films on disk, so that the second epoch, and the second run, decode nothing.

What is kept is the first half of serving's preprocessing (`fit_film`), to the bit. It depends on the film's
content and the input's shape alone, so that a film is found again under the digest of its file.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.ledger.atomic import sweep_temporaries, write_atomic
from cxrbatch.ledger.changes import file_digest
from cxrbatch.ledger.space import NoSpaceError
from cxrbatch.pipeline.decoder_pool import DECODE_TIMEOUT, DecoderPool, Film, FilmFile
from cxrbatch.pipeline.decoding import UndecodedFilm
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.training.film_index import FileState, FilmIndex
from cxrbatch.training.records import TrainingError

DECODING_VERSION = 2
"""To be raised when `radiographs` or `fit_film` give other pixels for the same file."""

_SEAL_BYTES = hashlib.sha256().digest_size


class FilmStore:
    """A folder of decoded films for one shape of input; several shapes may share a folder.

        FOLDER/index.jsonl                             which file has which content
        FOLDER/320x320-pad-v2-numpy2.4.6/ab/abcd....npy  a film: float32 (height, width), then a seal

    A film's file is numpy's .npy with a seal behind it: the SHA-256 of all before it and of the name it
    should have. One that is torn, altered or another's fails `prepare`'s look at it and is made again.
    One process at a time may `prepare`.
    """

    def __init__(self, folder: Path, spec: InputSpec) -> None:
        """Raises OSError where the folder cannot be made or written."""
        self._folder = folder.absolute()
        self._shape = (spec.height, spec.width)
        # numpy's version: another's products may differ in last bits from what serving then computes.
        name = f"{spec.height}x{spec.width}-{spec.fit.value}-v{DECODING_VERSION}-numpy{np.__version__}"
        self._films = self._folder / name
        self._films.mkdir(parents=True, exist_ok=True)
        self._spec = spec
        self._index = FilmIndex(self._folder / "index.jsonl")
        self._digests: dict[str, str] = {}
        empty = _npy(np.zeros(self._shape, np.float32))
        self._npy_bytes = len(empty)
        self.data_bytes = spec.height * spec.width * 4
        self.data_offset = self._npy_bytes - self.data_bytes
        """Where in a film's file the values begin: float32, little endian, row by row."""

    def prepare(
        self,
        films: Sequence[FilmFile],
        workers: int,
        timeout: float = DECODE_TIMEOUT,
        progress: Callable[[int], object] | None = None,
    ) -> tuple[tuple[FilmFile, UndecodedFilm], ...]:
        """See that every film is here, decoding in processes of their own what is missing; the others'
        caches are looked at to the last bit. Returns what cannot be decoded, and why.

        Whatever it is stopped by, what was decoded until then is kept. `progress` is called with the number
        of films that were settled.

        Raises:
            NoSpaceError: less is free than the missing films take; nothing was decoded.
            OSError: the folder cannot be written (full, read-only).
        """
        told = progress or (lambda count: None)
        sweep_temporaries(self._films)
        missing = []
        for film, is_here in self._look(films, workers):
            if is_here:
                told(1)
            else:
                missing.append(film)
        if not missing:
            return ()
        self._require_space(len(missing))
        failed = []
        states = {film.path: _state(film.path) for film in missing}
        pool = DecoderPool(workers, self._spec, timeout)
        try:
            for result in pool.decode(missing):
                if isinstance(result, Film):
                    self._keep(result, states[result.file.path])
                else:
                    self._digests.pop(result.file.path, None)
                    failed.append((result.file, result.failure))
                told(1)
        finally:
            pool.close()
        return tuple(failed)

    def digest(self, film: FilmFile) -> str:
        """SHA-256 of the film's file, hexadecimal: films of the same content are the same film.

        Raises TrainingError for a film that was not prepared.
        """
        try:
            return self._digests[film.path]
        except KeyError:
            raise TrainingError("A film was asked for that is not in the film cache: prepare it.") from None

    def location(self, film: FilmFile) -> Path:
        """The file that holds a prepared film, from `data_offset` on."""
        return self._location(self.digest(film))

    def grey(self, film: FilmFile) -> NDArray[np.float32]:
        """float32 (height, width) in [0, 1]: `fit_film` of the film.

        Raises:
            TrainingError: it was not prepared, or its file was altered since.
            OSError: its file is gone.
        """
        sha256 = self.digest(film)
        data = self._sealed(sha256)
        if data is None:
            raise TrainingError(
                f"A film in the cache {self._films} was altered while it was in use: start again, and it is "
                "decoded anew."
            )
        return np.frombuffer(data, "<f4", offset=self.data_offset).reshape(self._shape).copy()

    def _look(self, films: Sequence[FilmFile], workers: int) -> Iterator[tuple[FilmFile, bool]]:
        """Which films are here, in their order. Threads: digesting leaves the interpreter to the others."""
        any_here = any(self._films.iterdir())
        with ThreadPoolExecutor(workers) as threads:
            yield from zip(films, threads.map(lambda film: self._is_here(film, any_here), films), strict=True)

    def _is_here(self, film: FilmFile, any_here: bool) -> bool:
        self._digests.pop(film.path, None)
        state = _state(film.path)
        if state is None or not any_here:
            return False
        sha256 = self._index.digest(film.path, state)
        if sha256 is None:
            try:
                sha256 = file_digest(film.path)
            except OSError:
                return False
            if self._sealed(sha256) is None:
                return False
            if _state(film.path) == state:
                self._index.remember(film.path, state, sha256)
        elif self._sealed(sha256) is None:
            return False
        self._digests[film.path] = sha256
        return True

    def _keep(self, film: Film, before: FileState | None) -> None:
        """The film first, then the index: what that names is there.

        `before` is the file's state before it was read; one that changed in between is not put down.
        """
        sha256 = film.decoded.file_sha256
        place = self._location(sha256)
        data = _npy(film.grey)
        try:
            place.parent.mkdir(exist_ok=True)
            # What a power failure tears is told by its seal.
            write_atomic(place, data + _seal(data, place.name), durable=False)
            if before is not None and before == _state(film.file.path):
                self._index.remember(film.file.path, before, sha256)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (the film cache)", str(self._folder)) from error
        self._digests[film.file.path] = sha256

    def _sealed(self, sha256: str) -> bytes | None:
        """The .npy bytes of a film, or None if they are not there as they were written."""
        place = self._location(sha256)
        try:
            content = place.read_bytes()
        except OSError:
            return None
        if len(content) != self._npy_bytes + _SEAL_BYTES:
            return None
        data = content[: self._npy_bytes]
        return data if content[self._npy_bytes :] == _seal(data, place.name) else None

    def _location(self, sha256: str) -> Path:
        return self._films / sha256[:2] / f"{sha256}.npy"

    def _require_space(self, count: int) -> None:
        needed = count * (self._npy_bytes + _SEAL_BYTES)
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise NoSpaceError(
                f"{self._folder} has {free / 1e6:,.1f} MB free, and the cache of {count:,} more films takes "
                f"{needed / 1e6:,.1f} MB: free some space, or choose another --out. Nothing was decoded yet."
            )


def same_content(store: FilmStore, films: Iterable[FilmFile]) -> tuple[tuple[FilmFile, ...], ...]:
    """Prepared films that are one file twice or more, byte for byte, each group in the order given."""
    groups: dict[str, list[FilmFile]] = {}
    for film in films:
        groups.setdefault(store.digest(film), []).append(film)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _state(path: str) -> FileState | None:
    try:
        return FileState.of(path)
    except OSError:
        return None  # decoding says why


def _npy(grey: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(grey, "<f4"), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _seal(data: bytes, name: str) -> bytes:
    digest = hashlib.sha256(data)
    digest.update(os.fsencode(name))
    return digest.digest()
