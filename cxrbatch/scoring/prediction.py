"""What a predictor gives for a batch, and how every runtime turns logits into probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.film_check import FilmCheck, Look

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of one batch of n: `logits` and `probabilities` float32 (n, findings), in the card's order.

    `maps` float32 (n, grid rows, grid columns, findings) in logits (their mean over the grid plus the
    finding's bias is the logit), or None where the model's head gives none. NaN, in the input or from
    the network, is NaN here: never a probability. `looks` (n of them) say whether the pictures look like
    frontal chest films, None where the bundle has no film check.
    """

    logits: Floats
    probabilities: Floats
    maps: Floats | None
    looks: Sequence[Look] | None = None


class HasInputs(Protocol):
    """A batch as `Predictor.predict` takes it; what else it holds is its owner's."""

    @property
    def inputs(self) -> Floats:
        """(batch_size, height, width, channels). Not to be changed before its prediction is there."""


B = TypeVar("B", bound=HasInputs)


class Predictor(Protocol):
    """A network ready to run on batches of one fixed shape. Several threads may use it."""

    @property
    def runtime(self) -> str:
        """``keras`` or ``openvino``."""

    @property
    def runtime_version(self) -> str:
        """Versions and device, as the ledger records them: scores are bound to them (contract 3.3)."""

    @property
    def threads(self) -> int:
        """CPU threads that one forward pass uses: scores are bound to their number, too."""

    @property
    def at_once(self) -> int:
        """Forward passes that `predict` has under way at a time. No score depends on it."""

    @property
    def batch_size(self) -> int:
        """The number of images every batch must have."""

    @property
    def precision(self) -> str:
        """``float32`` or ``mixed``."""

    def __call__(self, batch: Floats) -> Prediction:
        """Score float32 (batch_size, height, width, channels). Raises ValueError for another shape."""

    def predict(self, batches: Iterable[B]) -> Iterator[tuple[B, Prediction]]:
        """Each batch with its prediction, in order, and the same to the bit as one by one.

        `batches` is read as passes become free, by the calling thread; one batch more than `at_once` is held
        at most. What goes wrong, there or in a pass, is raised here, and what is under way is dropped, as it
        is where the iterator is abandoned: no pass is left running.

        Raises:
            ValueError: a batch has another shape.
        """


def sigmoid(logits: NDArray[np.floating[Any]]) -> Floats:
    """1 / (1 + exp(-logit)), computed in float64 without overflow, given as float32; NaN stays NaN."""
    z = logits.astype(np.float64)
    decay = np.exp(-np.abs(z))
    return (np.where(z >= 0, 1.0, decay) / (1.0 + decay)).astype(np.float32)


def logit(probabilities: NDArray[np.floating[Any]]) -> Floats:
    """ln(p / (1 - p)) with p held 1e-7 away from 0 and 1; float32."""
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1.0 - 1e-7)
    return np.log(p / (1.0 - p)).astype(np.float32)


def prediction_from_outputs(
    outputs: Mapping[str, NDArray[Any]], batch: Floats, check: FilmCheck | None = None
) -> Prediction:
    """The outputs of `heatmaps.scoring_model` for `batch`, by name, as a `Prediction`.

    An image with NaN or infinite pixels gets NaN throughout: on CPUs a network's ReLUs turn NaN into 0,
    so a plausible probability would come out.
    """
    outputs = {name: np.array(value, np.float32) for name, value in outputs.items()}
    broken = ~np.isfinite(batch).all(axis=(1, 2, 3))
    for value in outputs.values():
        value[broken] = np.nan
    looks = None if check is None else check.looks(outputs["cells"])
    if "probabilities" in outputs:
        return Prediction(logit(outputs["probabilities"]), outputs["probabilities"], None, looks)
    return Prediction(outputs["logits"], sigmoid(outputs["logits"]), outputs.get("maps"), looks)


def check_shape(batch: Floats, expected: tuple[int, ...]) -> None:
    """Raise ValueError unless `batch` has exactly the predictor's shape."""
    if batch.shape != expected:
        raise ValueError(f"A batch must have the shape {expected}; received {batch.shape}.")
