"""Films to learn from, as `tf.data`: in an order that a resumed run takes up where it was left."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.pipeline.decoder_pool import FilmFile
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.pipeline.preprocess import make_scale
from cxrbatch.training.augmentation import make_augment
from cxrbatch.training.film_store import FilmStore
from cxrbatch.training.records import TrainingError
from cxrbatch.training.settings import Augmentation


def steps_in_epoch(films: int, batch_size: int, steps_per_epoch: int | None) -> int:
    """`steps_per_epoch`, or as many as it takes to meet every film."""
    return -(-films // batch_size) if steps_per_epoch is None else steps_per_epoch


def training_stream(
    store: FilmStore,
    films: Sequence[FilmFile],
    targets: NDArray[np.float32],
    spec: InputSpec,
    augmentation: Augmentation,
    batch_size: int,
    steps_per_epoch: int | None,
    seed: int,
    first_epoch: int,
) -> tf.data.Dataset:
    """Endless batches (inputs float32 (b, h, w, c), targets float32 (b, k)), always of `batch_size`.

    The films go round in ever new orders, one after the other without a gap, so that each is met as often
    as any other, whatever the steps of an epoch; a batch may reach from one order into the next. Which film
    comes, and how it is augmented, depends on the seed and the position since the first batch of all alone:
    a stream from `first_epoch` on gives bit by bit what one from the beginning would.

    Args:
        films: prepared in `store`.
        targets: (n, k), NaN where unknown.
        steps_per_epoch: None for `steps_in_epoch`'s, which is what an epoch is here.

    Raises:
        TrainingError: no films, or one that was not prepared.
    """
    load, count = _make_load(store, films, targets, spec), len(films)
    scale, augment = make_scale(spec), make_augment(augmentation)
    order_key, film_key = np.random.SeedSequence(seed).generate_state(2, np.uint64).astype(np.int64).tolist()
    first = first_epoch * steps_in_epoch(count, batch_size, steps_per_epoch) * batch_size

    @tf.autograph.experimental.do_not_convert
    def in_order(turn: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack((tf.constant(order_key, tf.int64), turn))
        rows = tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), key, alg="philox")
        return tf.data.Dataset.from_tensor_slices((turn * count + tf.range(count, dtype=tf.int64), rows))

    @tf.autograph.experimental.do_not_convert
    def film_at(position: tf.Tensor, row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        grey, target = load(row)
        grey = augment(grey, tf.stack((tf.constant(film_key, tf.int64), position)))
        return scale(grey), target

    # (position, row), from `first` on.
    places = tf.data.Dataset.counter(first // count).flat_map(in_order).skip(first % count)
    places = places.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return _batched(places.map(film_at, tf.data.AUTOTUNE, deterministic=True), batch_size, whole=True)


def evaluation_batches(
    store: FilmStore,
    films: Sequence[FilmFile],
    targets: NDArray[np.float32],
    spec: InputSpec,
    batch_size: int,
) -> tf.data.Dataset:
    """Every film once and in order, as serving prepares it; the last batch may be short.

    Raises:
        TrainingError: no films, or one that was not prepared.
    """
    load, scale = _make_load(store, films, targets, spec), make_scale(spec)

    @tf.autograph.experimental.do_not_convert
    def film_at(row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        grey, target = load(row)
        return scale(grey), target

    rows = tf.data.Dataset.range(len(films))
    return _batched(rows.map(film_at, tf.data.AUTOTUNE, deterministic=True), batch_size, whole=False)


def _make_load(
    store: FilmStore, films: Sequence[FilmFile], targets: NDArray[np.float32], spec: InputSpec
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """row -> (grey (h, w, 1), targets (k,)). In the graph from end to end: no Python, whose lock the films
    would queue for, and which leaks in a long training."""
    if not films:
        raise TrainingError("There is no film to train on or to judge by.")
    if len(films) != len(targets):
        raise ValueError(f"{len(films)} films need as many rows of targets. Received: {len(targets)}.")
    with tf.device("CPU:0"):
        paths = tf.constant([os.fsencode(store.location(film)) for film in films])
        wanted = tf.constant(targets, tf.float32)
    shape = (spec.height, spec.width, 1)

    def load(row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        content = tf.io.read_file(tf.gather(paths, row))
        values = tf.strings.substr(content, store.data_offset, store.data_bytes)
        grey = tf.reshape(tf.io.decode_raw(values, tf.float32, little_endian=True), shape)
        return grey, tf.gather(wanted, row)

    return load


def _batched(films: tf.data.Dataset, batch_size: int, *, whole: bool) -> tf.data.Dataset:
    options = tf.data.Options()
    # One machine reads everything; several devices share each batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return films.batch(batch_size, drop_remainder=whole).prefetch(tf.data.AUTOTUNE).with_options(options)
