"""Streams of training batches: order, equal shares, resuming to the bit, several devices."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.decoder_pool import FilmFile
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.pipeline.preprocess import preprocess_one
from cxrbatch.radiographs.read import read_radiograph
from cxrbatch.training.film_store import FilmStore
from cxrbatch.training.records import TrainingError
from cxrbatch.training.settings import Augmentation
from cxrbatch.training.stream import evaluation_batches, steps_in_epoch, training_stream

SPEC = InputSpec(height=24, width=20, channels=3, scaling="standardise")
COUNT = 11
NONE = Augmentation.none()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[FilmFile]:
    folder = tmp_path_factory.mktemp("films")
    found = []
    for number in range(COUNT):
        grey = np.random.default_rng(number).integers(0, 65536, (30, 25), np.uint16)
        Image.fromarray(grey).save(folder / f"{number}.png")
        found.append(FilmFile(number, str(folder / f"{number}.png"), FileKind.PNG, 30, 25))
    return found


@pytest.fixture(scope="module")
def store(films: list[FilmFile], tmp_path_factory: pytest.TempPathFactory) -> FilmStore:
    store = FilmStore(tmp_path_factory.mktemp("cache"), SPEC)
    assert store.prepare(films, 2) == ()
    return store


TARGETS = np.column_stack((np.arange(COUNT), np.full(COUNT, np.nan))).astype(np.float32)
"""The first column tells which film it is, the second is unknown."""


def _stream(store: FilmStore, films: list[FilmFile], **changes: object) -> tf.data.Dataset:
    wanted = {
        "augmentation": NONE,
        "batch_size": 4,
        "steps_per_epoch": None,
        "seed": 5,
        "first_epoch": 0,
    } | changes
    return training_stream(store, films, TARGETS, SPEC, **wanted)  # type: ignore[arg-type]


def _take(stream: tf.data.Dataset, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(inputs, targets) for inputs, targets in itertools.islice(stream.as_numpy_iterator(), steps)]


def _order(stream: tf.data.Dataset, steps: int) -> list[int]:
    return [int(number) for _, targets in _take(stream, steps) for number in targets[:, 0]]


@pytest.mark.parametrize(
    ("count", "batch_size", "asked", "steps"),
    [(11, 4, None, 3), (12, 4, None, 3), (3, 8, None, 1), (11, 4, 100, 100), (1000, 4, 2, 2)],
)
def test_steps_in_epoch(count: int, batch_size: int, asked: int | None, steps: int) -> None:
    assert steps_in_epoch(count, batch_size, asked) == steps


def test_batches_are_endless_and_of_one_size(store: FilmStore, films: list[FilmFile]) -> None:
    stream = _stream(store, films)
    assert stream.cardinality() == tf.data.INFINITE_CARDINALITY
    inputs, targets = stream.element_spec
    assert (inputs.shape.as_list(), inputs.dtype) == ([4, 24, 20, 3], tf.float32)
    assert (targets.shape.as_list(), targets.dtype) == ([4, 2], tf.float32)


def test_each_input_belongs_to_its_targets(store: FilmStore, films: list[FilmFile]) -> None:
    for inputs, targets in _take(_stream(store, films), 5):
        for pixels, (number, unknown) in zip(inputs, targets, strict=True):
            film = read_radiograph(Path(films[int(number)].path).read_bytes(), FileKind.PNG)
            np.testing.assert_array_equal(pixels, preprocess_one(film.pixels, SPEC))
            assert np.isnan(unknown)


@pytest.mark.parametrize(("batch_size", "steps"), [(4, None), (4, 2), (3, 100), (11, None), (16, 1)])
def test_each_film_is_met_as_often_as_any_other(
    batch_size: int, steps: int | None, store: FilmStore, films: list[FilmFile]
) -> None:
    order = _order(_stream(store, films, batch_size=batch_size, steps_per_epoch=steps), 11 * 4)
    turns = [order[i : i + COUNT] for i in range(0, len(order) - COUNT + 1, COUNT)]
    assert all(sorted(turn) == list(range(COUNT)) for turn in turns)
    assert len({tuple(turn) for turn in turns}) == len(turns)  # ever new orders
    assert turns[0] != list(range(COUNT))


def test_order_depends_on_the_seed(store: FilmStore, films: list[FilmFile]) -> None:
    assert _order(_stream(store, films), 6) == _order(_stream(store, films), 6)
    assert _order(_stream(store, films), 6) != _order(_stream(store, films, seed=6), 6)
    large = _order(_stream(store, films, seed=2**40 + 5), 6)
    assert large != _order(_stream(store, films, seed=5), 6)


def test_every_place_in_an_order_is_equally_likely(store: FilmStore, films: list[FilmFile]) -> None:
    """Seven films, 600 orders: where each comes, by chi-squared."""
    turns = 600
    stream = training_stream(store, films[:7], TARGETS[:7], SPEC, NONE, 7, None, 1, 0)
    order = _order(stream, turns)
    places = Counter((i % 7, number) for i, number in enumerate(order))
    followers = Counter(itertools.pairwise(order))
    expected = turns / 7
    chi2 = sum((places[i, j] - expected) ** 2 / expected for i in range(7) for j in range(7))
    assert chi2 < 36 + 5 * np.sqrt(2 * 36)  # 36 degrees of freedom, five deviations
    assert min(followers[i, j] for i in range(7) for j in range(7) if i != j) > 0.6 * turns / 7


@pytest.mark.parametrize("steps", [None, 2, 5])
@pytest.mark.parametrize("first_epoch", [1, 3])
def test_resumed_stream_is_the_tail_of_an_uninterrupted_one_to_the_bit(
    first_epoch: int, steps: int | None, store: FilmStore, films: list[FilmFile]
) -> None:
    skipped = first_epoch * steps_in_epoch(COUNT, 4, steps)
    whole = _take(_stream(store, films, augmentation=Augmentation(), steps_per_epoch=steps), skipped + 5)
    rest = _take(
        _stream(store, films, augmentation=Augmentation(), steps_per_epoch=steps, first_epoch=first_epoch),
        5,
    )
    for (inputs, targets), (again, targets_again) in zip(whole[skipped:], rest, strict=True):
        np.testing.assert_array_equal(inputs, again)
        np.testing.assert_array_equal(targets, targets_again)


def test_a_film_is_augmented_anew_each_time(store: FilmStore, films: list[FilmFile]) -> None:
    seen: dict[int, list[np.ndarray]] = {}
    for inputs, targets in _take(_stream(store, films, augmentation=Augmentation()), 9):
        for pixels, number in zip(inputs, targets[:, 0], strict=True):
            seen.setdefault(int(number), []).append(pixels)
    for pictures in seen.values():
        assert all(np.abs(a - b).max() > 0.1 for a, b in itertools.combinations(pictures, 2))


def test_evaluation_meets_every_film_once_in_order(store: FilmStore, films: list[FilmFile]) -> None:
    batches = list(evaluation_batches(store, films, TARGETS, SPEC, 4).as_numpy_iterator())
    assert [len(targets) for _, targets in batches] == [4, 4, 3]
    assert np.concatenate([targets for _, targets in batches])[:, 0].tolist() == list(range(COUNT))
    for inputs, targets in batches:
        for pixels, number in zip(inputs, targets[:, 0], strict=True):
            film = read_radiograph(Path(films[int(number)].path).read_bytes(), FileKind.PNG)
            np.testing.assert_array_equal(pixels, preprocess_one(film.pixels, SPEC))


def test_one_film_is_enough(store: FilmStore, films: list[FilmFile]) -> None:
    stream = training_stream(store, films[:1], TARGETS[:1], SPEC, NONE, 3, None, 0, 0)
    ((_, targets),) = _take(stream, 1)
    assert targets[:, 0].tolist() == [0, 0, 0]


def test_wrong_use_is_told(store: FilmStore, films: list[FilmFile]) -> None:
    with pytest.raises(TrainingError, match="no film to train on"):
        training_stream(store, [], TARGETS[:0], SPEC, NONE, 4, None, 0, 0)
    stranger = FilmFile(0, "/films/stranger.png", FileKind.PNG, 3, 3)
    with pytest.raises(TrainingError, match="prepare it"):
        evaluation_batches(store, [stranger], TARGETS[:1], SPEC, 4)
    with pytest.raises(ValueError, match="as many rows of targets"):
        evaluation_batches(store, films, TARGETS[:3], SPEC, 4)


def test_devices_share_the_same_batches(store: FilmStore, films: list[FilmFile]) -> None:
    """As `MirroredStrategy` deals them out; one device here, two in the tests of fitting."""
    stream = _stream(store, films, augmentation=Augmentation())
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    shared = iter(strategy.experimental_distribute_dataset(stream))
    for inputs, targets in _take(stream, 4):
        theirs, their_targets = next(shared)
        np.testing.assert_array_equal(inputs, strategy.experimental_local_results(theirs)[0])
        np.testing.assert_array_equal(targets, strategy.experimental_local_results(their_targets)[0])


def test_no_python_in_the_stream(store: FilmStore, films: list[FilmFile]) -> None:
    """Python functions in it would hold the interpreter's lock, and leak."""
    stream = _stream(store, films, augmentation=Augmentation())
    graph = tf.compat.v1.GraphDef.FromString(stream._as_serialized_graph().numpy())
    names = {node.op for node in graph.node}
    names |= {node.op for function in graph.library.function for node in function.node_def}
    assert {"ReadFile", "ImageProjectiveTransformV3"} <= names
    assert not names & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}
