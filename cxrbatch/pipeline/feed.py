"""The tf.data pipeline: fitted films in, batches of a fixed shape out.

Slots do not move. A film's batch and its slot in it follow from its ordinal alone, so that a resumed run
computes each film exactly as an uninterrupted one would (contract 3.3, determinism): slots whose film is
already done, or failed to decode, are filled with a black film.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.pipeline.decoder_pool import FailedFilm, Film, FilmFile
from cxrbatch.pipeline.decoding import DecodedFilm
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.pipeline.preprocess import make_scale

Slot = tuple[FilmFile, DecodedFilm] | FailedFilm | None
"""What a slot holds: a decoded film (what is seen of it is in the batch), a failure, or nothing."""


@dataclass(frozen=True, slots=True)
class Batch:
    """`inputs` is float32 (batch, height, width, channels); `slots` says which film lies where."""

    inputs: NDArray[np.float32]
    slots: tuple[Slot, ...]


def batches(
    files: Iterable[FilmFile],
    decode: Callable[[Iterable[FilmFile]], Iterator[Film | FailedFilm]],
    spec: InputSpec,
    batch_size: int,
) -> Iterator[Batch]:
    """Decode `files`, which are sorted by ordinal, and yield them in batches of exactly `batch_size` slots.

    Args:
        files: what to decode; ordinals may have gaps.
        decode: yields a film or a failure for each file, in order (`DecoderPool.decode`).
        spec: the input that the bundle wants.
        batch_size: slots in a batch.
    """
    plan: list[tuple[int, list[FilmFile]]] = [
        (number, list(group)) for number, group in groupby(files, key=lambda f: f.ordinal // batch_size)
    ]
    # Metadata travels beside the tensors: what the generator appends here, the loop below takes out in order.
    in_flight: deque[tuple[Slot, ...]] = deque()

    black = np.zeros((spec.height, spec.width), np.float32)
    scale = make_scale(spec)

    def films() -> Iterator[NDArray[np.float32]]:
        decoded = decode(file for _, group in plan for file in group)
        for _, group in plan:
            slots: list[Slot] = [None] * batch_size
            greys = [black] * batch_size
            for file in group:
                position = file.ordinal % batch_size
                film = next(decoded, None)
                if film is None:  # the decoders were closed: the run is being stopped
                    return
                if isinstance(film, Film):
                    greys[position] = film.grey
                    slots[position] = (film.file, film.decoded)
                else:
                    slots[position] = film
            in_flight.append(tuple(slots))
            yield from greys

    dataset = (
        tf.data.Dataset.from_generator(films, output_signature=tf.TensorSpec(black.shape, tf.float32))
        .map(
            lambda grey: scale(grey[..., tf.newaxis]), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        .batch(batch_size, drop_remainder=True)
        .prefetch(2)
    )
    for inputs in dataset.as_numpy_iterator():
        yield Batch(inputs, in_flight.popleft())
