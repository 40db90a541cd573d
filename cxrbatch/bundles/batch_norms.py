"""Batch norms of networks whose weights are random: without statistics of their own, activations fade."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import keras
import numpy as np
from numpy.typing import NDArray


def settle_batch_norms(
    model: keras.Model, pictures: NDArray[np.float32], only: Collection[keras.Layer] | None = None
) -> None:
    """Set the moving means and variances of `model` to those of `pictures`, by one pass in training mode.

    Compare Mishkin and Matas, arXiv:1511.06422.

    Args:
        pictures: inputs of the network, (n, height, width, channels).
        only: layers among which the batch norms are; None: all.
    """
    chosen = None if only is None else {id(layer) for layer in only}
    norms = [
        layer
        for layer in leaves(model)
        if isinstance(layer, keras.layers.BatchNormalization) and (chosen is None or id(layer) in chosen)
    ]
    before = [(norm.momentum, norm.trainable) for norm in norms]
    for norm in norms:
        norm.momentum, norm.trainable = 0.0, True  # a frozen one would not look at the pictures
    model(pictures, training=True)
    for norm, (momentum, trainable) in zip(norms, before, strict=True):
        norm.momentum, norm.trainable = momentum, trainable


def leaves(model: keras.Model) -> Iterator[keras.Layer]:
    """Layers in the network's order, those of models inside it in their place."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer
