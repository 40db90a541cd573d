"""Every finding's heat map and logit in one forward pass.

With activations A (h, w, c) before global average pooling and the dense layer's W (c, k) and b:
``cams = A . W`` (h, w, k), class activation maps (Zhou et al., CVPR 2016), and
``logits = mean_hw(cams) + b``.
For this head Grad-CAM on the logit (Selvaraju et al., ICCV 2017), *without* its final ReLU, is the same
map up to the constant 1 / (h w): its channel weights, the mean gradients, are W / (h w). The maps here
are ``cams``, in logits: their mean over the grid plus the bias is the logit.
"""

from __future__ import annotations

from typing import Any

import keras

from cxrbatch.bundles.film_check import Tap
from cxrbatch.bundles.head import NoPooledHeadError, final_dense, pooled_head
from cxrbatch.scoring.cells import cell_means


class ClassActivationMaps(keras.layers.Layer):
    """The head as a 1x1 convolution followed by the mean; shares its weights with the dense layer."""

    def __init__(self, dense: keras.layers.Dense, **options: Any) -> None:
        # Float32 also in mixed precision: the maps of one film are compared with those of another.
        super().__init__(dtype="float32", trainable=False, **options)
        self.dense = dense

    def call(self, features: Any) -> dict[str, Any]:
        """(n, h, w, c) -> {"logits": (n, k), "maps": (n, h, w, k)}."""
        kernel, bias = _weights(self.dense)
        maps = keras.ops.matmul(keras.ops.cast(features, "float32"), kernel)
        logits = keras.ops.mean(maps, axis=(1, 2))
        return {"logits": logits if bias is None else logits + bias, "maps": maps}


class Logits(keras.layers.Layer):
    """The dense layer without its sigmoid; shares its weights."""

    def __init__(self, dense: keras.layers.Dense, **options: Any) -> None:
        super().__init__(dtype="float32", trainable=False, **options)
        self.dense = dense

    def call(self, pooled: Any) -> dict[str, Any]:
        """(n, c) -> {"logits": (n, k)}."""
        kernel, bias = _weights(self.dense)
        logits = keras.ops.matmul(keras.ops.cast(pooled, "float32"), kernel)
        return {"logits": logits if bias is None else logits + bias}


def heat_map_model(classifier: keras.Model) -> keras.Model:
    """(n, height, width, channels) -> {"logits": (n, k), "maps": (n, grid rows, grid columns, k)}.

    Shares its weights with `classifier`, and exports to OpenVINO.

    Raises:
        NoPooledHeadError: the head is not pooling and a dense layer with a sigmoid.
    """
    head = pooled_head(classifier)
    outputs = ClassActivationMaps(head.dense, name="class_activation_maps")(head.features)
    return keras.Model(classifier.inputs[0], outputs, name="scoring")


def scoring_model(classifier: keras.Model, tap: Tap | None = None) -> keras.Model:
    """`heat_map_model`; for another head {"logits"}, or, where these too are hidden, {"probabilities"}.

    With a `tap` there is also {"cells": (n, grid, grid, channels)}, for the film check.

    Raises:
        BundleError: the tap does not fit the network.
    """
    outputs = _outputs(classifier)
    if tap is not None:
        outputs = {**outputs, "cells": cell_means(classifier, tap)}
    return keras.Model(classifier.inputs[0], outputs, name="scoring")


def _outputs(classifier: keras.Model) -> dict[str, Any]:
    try:
        head = pooled_head(classifier)
    except NoPooledHeadError:
        pass
    else:
        return ClassActivationMaps(head.dense, name="class_activation_maps")(head.features)
    try:
        dense = final_dense(classifier)
    except NoPooledHeadError:
        return {"probabilities": classifier.outputs[0]}
    return Logits(dense, name="logits")(dense.input)


def _weights(dense: keras.layers.Dense) -> tuple[Any, Any | None]:
    return dense.kernel, dense.bias if dense.use_bias else None
