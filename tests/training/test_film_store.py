"""The film cache: serving's own pixels to the bit, nothing decoded twice, nothing trusted unless whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pydicom.data import get_testdata_file

from cxrbatch.intake.inspect import inspect
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import Candidate, FileKind
from cxrbatch.intake.walk import walk
from cxrbatch.ledger.space import NoSpaceError
from cxrbatch.pipeline.decoder_pool import DecoderPool, FailedFilm, Film, FilmFile
from cxrbatch.pipeline.feed import batches
from cxrbatch.pipeline.input_spec import InputSpec, Scaling
from cxrbatch.sample.cohort import write_cohort
from cxrbatch.training import film_store
from cxrbatch.training.film_store import FilmStore, same_content
from cxrbatch.training.records import TrainingError
from cxrbatch.training.stream import evaluation_batches

SPEC = InputSpec(height=24, width=32, channels=1, scaling="unit")


def _png(path: Path, seed: int, rows: int = 40, columns: int = 30) -> FilmFile:
    grey = np.random.default_rng(seed).integers(0, 65536, (rows, columns), np.uint16)
    Image.fromarray(grey).save(path)
    return FilmFile(seed, str(path), FileKind.PNG, rows, columns)


@pytest.fixture
def films(tmp_path: Path) -> list[FilmFile]:
    folder = tmp_path / "films"
    folder.mkdir()
    return [_png(folder / f"{seed}.png", seed, 40 + seed) for seed in range(4)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the films that were given to the decoders."""
    seen: list[str] = []
    original = DecoderPool.decode

    def decode(self: DecoderPool, files: Iterable[FilmFile]) -> Iterator[Film | FailedFilm]:
        files = list(files)
        seen.extend(file.path for file in files)
        return original(self, files)

    monkeypatch.setattr(DecoderPool, "decode", decode)
    return seen


def _greys(store: FilmStore, films: list[FilmFile]) -> list[np.ndarray]:
    return [store.grey(film) for film in films]


# -- training and serving


@pytest.fixture(scope="module")
def mixed_films(tmp_path_factory: pytest.TempPathFactory) -> list[FilmFile]:
    """PNG, and DICOM in several encodings (MONOCHROME1, windows, padding), of several shapes."""
    folder = tmp_path_factory.mktemp("mixed")
    write_cohort(folder / "sample", studies=6, seed=3, size=(200, 176))
    found = [_png(folder / f"{seed}.png", seed, 50 + 30 * seed, 120) for seed in range(2)]
    for source in walk([folder / "sample"]):
        result = inspect(source)
        if isinstance(result, Candidate) and "TRUNCATED" not in source.path:
            header = result.header
            found.append(FilmFile(len(found), source.path, header.kind, header.rows, header.columns))
    kinds = {film.kind for film in found}
    assert {FileKind.PNG, FileKind.DICOM} <= kinds
    return [FilmFile(i, film.path, film.kind, film.rows, film.columns) for i, film in enumerate(found)]


@pytest.mark.parametrize("fit", ["pad", "stretch", "crop"])
def test_training_sees_what_serving_sees_to_the_bit(
    fit: str, mixed_films: list[FilmFile], tmp_path: Path
) -> None:
    """Serving's own feed on the one side, the cache and the training batches on the other."""
    shape = InputSpec(height=48, width=40, channels=1, scaling="unit", fit=fit)
    pool = DecoderPool(2, shape)
    try:
        decoded_films = list(pool.decode(mixed_films))
    finally:
        pool.close()
    store: FilmStore | None = None
    targets = np.zeros((len(mixed_films), 1), np.float32)
    for scaling, channels in (
        ("unit", 1),
        ("imagenet", 3),
        ("standardise", 3),
        ("standardise", 1),
        ("xrv", 1),
    ):
        spec = shape.model_copy(update={"channels": channels, "scaling": Scaling(scaling)})

        def decode(files: Iterable[FilmFile]) -> Iterator[Film]:
            return (film for file, film in zip(files, decoded_films, strict=True) if file == film.file)

        served = [
            batch.inputs[position]
            for batch in batches(mixed_films, decode, spec, 4)
            for position, slot in enumerate(batch.slots)
            if slot is not None
        ]
        if store is None:
            store = FilmStore(tmp_path, spec)
            assert store.prepare(mixed_films, 2) == ()
        dataset = evaluation_batches(store, mixed_films, targets, spec, 4)
        trained = np.concatenate([inputs.numpy() for inputs, _ in dataset])
        assert trained.shape == (len(mixed_films), 48, 40, channels)
        np.testing.assert_array_equal(trained, np.stack(served))


# -- decoded once


def test_a_second_look_decodes_nothing(films: list[FilmFile], tmp_path: Path, decoded: list[str]) -> None:
    counted: list[int] = []
    first = FilmStore(tmp_path / "cache", SPEC)
    assert first.prepare(films, 2, progress=counted.append) == ()
    assert decoded == [film.path for film in films]
    greys = _greys(first, films)
    assert first.prepare(films, 2, progress=counted.append) == ()
    again = FilmStore(tmp_path / "cache", SPEC)
    assert again.prepare(films, 2, progress=counted.append) == ()
    assert len(decoded) == len(films)
    assert sum(counted) == 3 * len(films)
    for one, two in zip(greys, _greys(again, films), strict=True):
        assert one.shape == (24, 32)
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, two)


def test_unchanged_files_are_not_even_read(
    films: list[FilmFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FilmStore(tmp_path / "cache", SPEC).prepare(films, 2)

    def read(path: str) -> str:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(film_store, "file_digest", read)
    assert FilmStore(tmp_path / "cache", SPEC).prepare(films, 2) == ()


def test_moved_and_copied_films_are_found_by_content(
    films: list[FilmFile], tmp_path: Path, decoded: list[str]
) -> None:
    FilmStore(tmp_path / "cache", SPEC).prepare(films, 2)
    shutil.copytree(tmp_path / "films", tmp_path / "moved")
    moved = [
        FilmFile(f.ordinal, f.path.replace("/films/", "/moved/"), f.kind, f.rows, f.columns) for f in films
    ]
    store = FilmStore(tmp_path / "cache", SPEC)
    store.prepare([*films, *moved], 2)
    assert len(decoded) == len(films)
    assert same_content(store, [*films, *moved]) == tuple(zip(films, moved, strict=True))


def test_other_shape_is_another_cache_in_the_same_folder(
    films: list[FilmFile], tmp_path: Path, decoded: list[str]
) -> None:
    other = InputSpec(height=16, width=16, channels=3, scaling="imagenet", fit="stretch")
    for spec in (SPEC, other, SPEC, other):
        store = FilmStore(tmp_path / "cache", spec)
        store.prepare(films, 2)
        assert store.grey(films[0]).shape == (spec.height, spec.width)
    assert len(decoded) == 2 * len(films)


def test_other_scaling_and_channels_share_the_cache(
    films: list[FilmFile], tmp_path: Path, decoded: list[str]
) -> None:
    FilmStore(tmp_path / "cache", SPEC).prepare(films, 2)
    same_shape = SPEC.model_copy(update={"channels": 3, "scaling": "imagenet"})
    FilmStore(tmp_path / "cache", same_shape).prepare(films, 2)
    assert len(decoded) == len(films)


# -- changed files


def _changed(film: FilmFile, how: str) -> None:
    """Another picture in the same file name, of the same size and time of modification."""
    path = Path(film.path)
    before = path.stat()
    other = np.random.default_rng(99).integers(0, 65536, (film.rows, film.columns), np.uint16)
    Image.fromarray(other).save(path.with_suffix(".new.png"), "PNG", compress_level=0)
    content = path.with_suffix(".new.png").read_bytes()
    path.with_suffix(".new.png").unlink()
    if how == "replaced":
        beside = path.with_suffix(".beside")
        beside.write_bytes(content)
        beside.replace(path)
    else:
        path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("how", ["replaced", "written over"])
def test_changed_content_is_noticed_at_the_same_size_and_time(
    how: str, tmp_path: Path, decoded: list[str]
) -> None:
    path = tmp_path / "0.png"
    grey = np.random.default_rng(0).integers(0, 65536, (40, 30), np.uint16)
    Image.fromarray(grey).save(path, compress_level=0)
    film = FilmFile(0, str(path), FileKind.PNG, 40, 30)
    store = FilmStore(tmp_path / "cache", SPEC)
    store.prepare([film], 1)
    before = store.grey(film)
    _changed(film, how)
    again = FilmStore(tmp_path / "cache", SPEC)
    again.prepare([film], 1)
    assert len(decoded) == 2
    assert np.abs(again.grey(film) - before).max() > 0.1
    fresh = FilmStore(tmp_path / "fresh", SPEC)
    fresh.prepare([film], 1)
    np.testing.assert_array_equal(again.grey(film), fresh.grey(film))


def test_a_touched_file_is_read_and_not_decoded(
    films: list[FilmFile], tmp_path: Path, decoded: list[str]
) -> None:
    FilmStore(tmp_path / "cache", SPEC).prepare(films, 2)
    os.utime(films[0].path)
    FilmStore(tmp_path / "cache", SPEC).prepare(films, 2)
    assert len(decoded) == len(films)


# -- cache files that are not whole


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _zeroed(path: Path) -> None:
    """What a power failure leaves of a file that was not flushed: the right size, and zeros."""
    path.write_bytes(b"\0" * path.stat().st_size)


def _one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _foreign(path: Path) -> None:
    """A whole and proper file, but of another film."""
    other = next(p for p in path.parent.parent.rglob("*.npy") if p != path)
    shutil.copyfile(other, path)


def _plain(path: Path) -> None:
    """numpy's own file, without the seal."""
    with path.open("wb") as file:
        np.save(file, np.zeros((24, 32), np.float32))


@pytest.mark.parametrize("harm", [_cut, _emptied, _zeroed, _one_bit, _foreign, _plain, Path.unlink])
def test_cache_file_that_is_not_whole_is_made_again(
    harm: object, films: list[FilmFile], tmp_path: Path, decoded: list[str]
) -> None:
    store = FilmStore(tmp_path / "cache", SPEC)
    store.prepare(films, 2)
    before = store.grey(films[1])
    harm(store.location(films[1]))  # type: ignore[operator]
    with pytest.raises(TrainingError, match="altered while it was in use"):
        store.grey(films[1])
    again = FilmStore(tmp_path / "cache", SPEC)
    again.prepare(films, 2)
    assert decoded[len(films) :] == [films[1].path]
    np.testing.assert_array_equal(again.grey(films[1]), before)


@pytest.mark.parametrize("harm", ["cut", "garbage", "gone"])
def test_index_that_is_not_whole_costs_a_reading_and_no_decoding(
    harm: str, films: list[FilmFile], tmp_path: Path, decoded: list[str]
) -> None:
    FilmStore(tmp_path / "cache", SPEC).prepare(films, 2)
    index = tmp_path / "cache" / "index.jsonl"
    content = index.read_bytes()
    if harm == "gone":
        index.unlink()
    else:
        index.write_bytes(content[:-30] if harm == "cut" else b'\xff{"a"\n[1,2]\nnull\n[["x"],[1],3]\n')
    for _ in range(2):
        store = FilmStore(tmp_path / "cache", SPEC)
        assert store.prepare(films, 2) == ()
        assert len(_greys(store, films)) == len(films)
    assert len(decoded) == len(films)


def test_index_does_not_grow_with_every_change(films: list[FilmFile], tmp_path: Path) -> None:
    store = FilmStore(tmp_path / "cache", SPEC)
    store.prepare(films, 1)
    index = tmp_path / "cache" / "index.jsonl"
    index.write_bytes(index.read_bytes() * 1000)
    FilmStore(tmp_path / "cache", SPEC).prepare(films, 1)
    assert len(index.read_bytes().split()) < 100


def test_temporary_files_of_a_killed_run_are_swept(films: list[FilmFile], tmp_path: Path) -> None:
    store = FilmStore(tmp_path / "cache", SPEC)
    store.prepare(films, 1)
    left = store.location(films[0]).parent / ".cxrbatch-tmp-abc"
    left.write_bytes(b"half")
    FilmStore(tmp_path / "cache", SPEC).prepare(films, 1)
    assert not left.exists()


# -- what goes wrong


def test_bad_films_are_told_and_the_others_are_kept(
    films: list[FilmFile], tmp_path: Path, decoded: list[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(films[0].path).read_bytes()[:200])
    gone = FilmFile(8, str(tmp_path / "gone.png"), FileKind.PNG, 10, 10)
    wrong = [FilmFile(7, str(broken), FileKind.PNG, 40, 30), gone]
    store = FilmStore(tmp_path / "cache", SPEC)
    failed = store.prepare([films[0], *wrong, *films[1:]], 2)
    assert [(film, failure.reason) for film, failure in failed] == [
        (wrong[0], Reason.DECODE_FAILED),
        (gone, Reason.UNREADABLE),
    ]
    assert len(_greys(store, films)) == len(films)
    with pytest.raises(TrainingError, match="not in the film cache"):
        store.grey(gone)
    decoded.clear()
    FilmStore(tmp_path / "cache", SPEC).prepare([*films, *wrong], 2)
    assert sorted(decoded) == sorted(film.path for film in wrong)  # tried again: a share may be mended


def test_too_little_room_is_told_before_anything_is_decoded(
    films: list[FilmFile], tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FilmStore(tmp_path / "cache", SPEC)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 4 * 24 * 32 * 4))
    with pytest.raises(NoSpaceError, match=r"cache of 4 more films takes 0\.0 MB.*Nothing was decoded"):
        store.prepare(films, 2)
    assert decoded == []


def test_full_disk_is_one_message_and_loses_nothing(
    films: list[FilmFile], tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FilmStore(tmp_path / "cache", SPEC)
    write, written = film_store.write_atomic, []

    def full(path: Path, data: bytes, *, durable: bool) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        write(path, data, durable=durable)

    monkeypatch.setattr(film_store, "write_atomic", full)
    with pytest.raises(OSError, match=r"No space left on device .the film cache") as told:
        store.prepare(films, 2)
    assert told.value.errno == errno.ENOSPC
    monkeypatch.undo()
    again = FilmStore(tmp_path / "cache", SPEC)
    seen: list[str] = []
    original = DecoderPool.decode
    monkeypatch.setattr(
        DecoderPool,
        "decode",
        lambda self, files: (seen.extend(f.path for f in files), original(self, files))[1],
    )
    assert again.prepare(films, 2) == ()
    assert seen == [film.path for film in films[2:]]


def test_path_that_is_no_utf8(films: list[FilmFile], tmp_path: Path, decoded: list[str]) -> None:
    odd = os.fsdecode(os.fsencode(str(tmp_path)) + b"/\xff\n.png")
    shutil.copyfile(films[0].path, odd)
    film = FilmFile(0, odd, FileKind.PNG, films[0].rows, 30)
    for _ in range(2):
        store = FilmStore(tmp_path / "cache", SPEC)
        assert store.prepare([film], 1) == ()
    assert len(decoded) == 1
    assert isinstance(store.grey(film), np.ndarray)


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG1_J2KR.dcm"])
def test_a_real_film_is_served_and_cached_alike(name: str, tmp_path: Path) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip("pydicom-data is not installed")
    film = FilmFile(0, str(path), FileKind.DICOM, 1955, 1841)
    spec = InputSpec(height=64, width=64, channels=3, scaling="imagenet")
    pool = DecoderPool(1, spec)
    try:
        (batch,) = batches([film], pool.decode, spec, 1)
    finally:
        pool.close()
    store = FilmStore(tmp_path, spec)
    assert store.prepare([film], 1) == ()
    ((inputs, _),) = evaluation_batches(store, [film], np.zeros((1, 1), np.float32), spec, 1)
    assert tf.is_tensor(inputs)
    np.testing.assert_array_equal(inputs.numpy(), batch.inputs)
