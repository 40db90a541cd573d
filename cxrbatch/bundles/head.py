"""Recognise a classifier's head: global average pooling, then one dense layer with a sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

import keras


class NoPooledHeadError(ValueError):
    """The head is not pooling and a dense layer, so its heat maps do not come for free."""


@dataclass(frozen=True, slots=True)
class PooledHead:
    """`features`: last activation (n, rows, columns, channels); `dense`: the layer after pooling."""

    features: keras.KerasTensor
    dense: keras.layers.Dense


def final_dense(classifier: keras.Model) -> keras.layers.Dense:
    """The dense layer whose output, through a sigmoid, is the classifier's.

    Raises:
        NoPooledHeadError: the network ends in something else.
    """
    layer = _producer(classifier.outputs[0])
    if isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.sigmoid:
        layer = _producer(layer.input)
        if isinstance(layer, keras.layers.Dense) and layer.activation is keras.activations.linear:
            return layer
    elif isinstance(layer, keras.layers.Dense) and layer.activation is keras.activations.sigmoid:
        return layer
    raise NoPooledHeadError("The network does not end in a dense layer with a sigmoid.")


def pooled_head(classifier: keras.Model) -> PooledHead:
    """The pooling's input and the dense layer; dropout between them is passed over.

    Raises:
        NoPooledHeadError: the head is another one.
    """
    dense = final_dense(classifier)
    layer = _producer(dense.input)
    while isinstance(layer, keras.layers.Dropout):
        layer = _producer(layer.input)
    if not isinstance(layer, keras.layers.GlobalAveragePooling2D):
        raise NoPooledHeadError("The network's dense layer does not follow global average pooling.")
    if layer.data_format != "channels_last" or layer.keepdims:
        raise NoPooledHeadError("The network's pooling is not over channels-last activations to a vector.")
    return PooledHead(layer.input, dense)


def _producer(tensor: keras.KerasTensor) -> keras.Layer | None:
    """The layer that made `tensor` in its functional graph; None for something that is no layer."""
    history = getattr(tensor, "_keras_history", None)
    operation = history.operation if history is not None else None
    return operation if isinstance(operation, keras.Layer) else None
