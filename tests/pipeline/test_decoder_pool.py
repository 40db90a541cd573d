"""Decoding in worker processes: order, failures, crashes and hangs of a codec, no TensorFlow."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_info

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline import decoding
from cxrbatch.pipeline.decoder_pool import DecoderPool, FailedFilm, Film, FilmFile
from cxrbatch.pipeline.fit import fit_film
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.radiographs.read import read_radiograph

SPEC = InputSpec(height=24, width=20, channels=1, scaling="unit")


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(2, SPEC, timeout=5.0)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[FilmFile]:
    folder = tmp_path_factory.mktemp("films")
    files = []
    for number in range(12):
        grey = np.random.default_rng(number).integers(0, 256, (40 + number, 30), np.uint8)
        path = folder / f"{number}.png"
        Image.fromarray(grey).save(path)
        files.append(FilmFile(number, str(path), FileKind.PNG, *grey.shape))
    return files


def test_films_come_in_order_and_fitted_as_in_this_process(pool: DecoderPool, films: list[FilmFile]) -> None:
    results = list(pool.decode(films))
    assert [r.file.ordinal for r in results] == list(range(12))
    for result in results:
        assert isinstance(result, Film)
        data = Path(result.file.path).read_bytes()
        film = read_radiograph(data, FileKind.PNG)
        np.testing.assert_array_equal(result.grey, fit_film(film.pixels, SPEC))
        assert result.decoded.pixel_digest == film.digest
        assert result.decoded.file_sha256 == hashlib.sha256(data).hexdigest()
        with Image.open(io.BytesIO(result.decoded.display_jpeg)) as shown:
            assert shown.size == (30, result.decoded.rows)


def test_bad_files_fail_alone(pool: DecoderPool, films: list[FilmFile], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(films[0].path).read_bytes()[:200])
    gone = FilmFile(13, str(tmp_path / "gone.png"), FileKind.PNG, 10, 10)
    files = [films[0], FilmFile(12, str(broken), FileKind.PNG, 40, 30), gone, films[1]]
    first, second, third, fourth = pool.decode(files)
    assert isinstance(first, Film)
    assert isinstance(fourth, Film)
    assert isinstance(second, FailedFilm)
    assert second.failure.reason is Reason.DECODE_FAILED
    assert isinstance(third, FailedFilm)
    assert third.failure.reason is Reason.UNREADABLE


def test_film_larger_than_its_header_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    Image.fromarray(np.zeros((300, 300), np.uint8)).save(path)
    pool = DecoderPool(1, SPEC)
    try:
        (result,) = pool.decode([FilmFile(0, str(path), FileKind.PNG, 5, 5)])
    finally:
        pool.close()
    assert isinstance(result, FailedFilm)
    assert result.failure.reason is Reason.DECODE_FAILED
    assert "more than its header announces" in result.failure.detail


def _crash(*_: object) -> None:
    os.abort()


def _hang(*_: object) -> None:
    time.sleep(3600)


def _loaded_modules(*_: object) -> decoding.UndecodedFilm:
    heavy = sorted({"tensorflow", "keras", "openvino"} & set(sys.modules))
    return decoding.UndecodedFilm(Reason.UNREADABLE, ",".join(heavy))


@pytest.mark.parametrize(
    ("codec", "reason"), [(_crash, Reason.DECODER_CRASHED), (_hang, Reason.DECODE_TIMEOUT)]
)
def test_codec_that_crashes_or_hangs_costs_its_own_file_only(
    codec: object, reason: Reason, films: list[FilmFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = DecoderPool(1, SPEC, timeout=1.0)
    try:
        monkeypatch.setattr("cxrbatch.pipeline.decoder_pool.decode_film", codec)
        (result,) = pool.decode(films[:1])
        assert isinstance(result, FailedFilm)
        assert result.failure.reason is reason
        monkeypatch.undo()
        assert all(isinstance(film, Film) for film in pool.decode(films[:3]))
    finally:
        pool.close()


def test_workers_never_import_tensorflow(
    pool: DecoderPool, films: list[FilmFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    list(pool.decode(films))
    monkeypatch.setattr("cxrbatch.pipeline.decoder_pool.decode_film", _loaded_modules)
    for result in pool.decode(films):
        assert isinstance(result, FailedFilm)
        assert result.failure.detail == ""


def _threads_of_arithmetic(*_: object) -> decoding.UndecodedFilm:
    threads = {library["num_threads"] for library in threadpool_info()}
    return decoding.UndecodedFilm(Reason.UNREADABLE, repr(threads))


def test_workers_compute_with_one_thread(
    pool: DecoderPool, films: list[FilmFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrbatch.pipeline.decoder_pool.decode_film", _threads_of_arithmetic)
    for result in pool.decode(films[:2]):
        assert isinstance(result, FailedFilm)
        assert result.failure.detail == "{1}"
