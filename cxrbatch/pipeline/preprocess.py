"""From one decoded film to the network's input: the same code for scoring and for training.

Imports TensorFlow: only the scoring and training processes import this module, never a decoding worker.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.pipeline.input_spec import Fit, InputSpec, Scaling

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


Tensors = Callable[[tf.Tensor], tf.Tensor]


def make_preprocess(spec: InputSpec) -> Tensors:
    """A TensorFlow function: film, uint16 (rows, columns) -> float32 (height, width, channels)."""
    fit, scale = make_fit(spec), make_scale(spec)
    return lambda pixels: scale(fit(pixels))


def make_fit(spec: InputSpec) -> Tensors:
    """The first half of `make_preprocess`: uint16 (rows, columns) -> float32 (height, width, 1) in [0, 1].

    Resizing is bilinear with an antialiasing filter, as Pillow's, so that a film of any resolution
    is averaged down and not sampled. Black bars (`Fit.PAD`) are added before grey values are scaled.
    """

    @tf.autograph.experimental.do_not_convert  # all branches are decided by the spec, none by a tensor
    def fit(pixels: tf.Tensor) -> tf.Tensor:
        grey = tf.cast(pixels[..., tf.newaxis], tf.float32) / 65535.0
        if spec.fit is Fit.STRETCH:
            return tf.image.resize(grey, (spec.height, spec.width), antialias=True)
        if spec.fit is Fit.CROP:
            return tf.image.resize(_seen(grey, spec), (spec.height, spec.width), antialias=True)
        height, width = _fitted(tf.shape(pixels), spec)
        grey = tf.image.resize(grey, tf.stack((height, width)), antialias=True)
        return tf.image.pad_to_bounding_box(
            grey, (spec.height - height) // 2, (spec.width - width) // 2, spec.height, spec.width
        )

    return fit


def make_scale(spec: InputSpec) -> Tensors:
    """The second half: (height, width, 1) in [0, 1] -> (height, width, channels) as the network wants it."""

    @tf.autograph.experimental.do_not_convert
    def scale(grey: tf.Tensor) -> tf.Tensor:
        scaled = _scale(grey, spec.scaling)
        scaled = tf.broadcast_to(scaled, (spec.height, spec.width, max(spec.channels, scaled.shape[-1])))
        return tf.ensure_shape(scaled, (spec.height, spec.width, spec.channels))

    return scale


def preprocess_one(pixels: NDArray[np.uint16], spec: InputSpec) -> NDArray[np.float32]:
    """One film, (rows, columns) -> (height, width, channels), for notebooks and tests."""
    result: NDArray[np.float32] = make_preprocess(spec)(tf.constant(pixels)).numpy()
    return result


def _fitted(shape: tf.Tensor, spec: InputSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """`geometry.content_box`'s height and width, in the graph: float64 and the same rounding."""
    rows, columns = tf.cast(shape[0], tf.float64), tf.cast(shape[1], tf.float64)
    scale = tf.minimum(spec.height / rows, spec.width / columns)
    height = tf.clip_by_value(tf.cast(tf.round(rows * scale), tf.int32), 1, spec.height)
    width = tf.clip_by_value(tf.cast(tf.round(columns * scale), tf.int32), 1, spec.width)
    return height, width


def _seen(grey: tf.Tensor, spec: InputSpec) -> tf.Tensor:
    """`geometry.seen_part` of a film (rows, columns, 1), in the graph: float64 and the same rounding."""
    shape = tf.shape(grey)
    rows, columns = shape[0], shape[1]
    down = tf.cast(columns, tf.float64) * spec.height / spec.width
    across = tf.cast(rows, tf.float64) * spec.width / spec.height
    seen_rows = tf.minimum(rows, tf.maximum(1, tf.cast(tf.round(down), tf.int32)))
    seen_columns = tf.minimum(columns, tf.maximum(1, tf.cast(tf.round(across), tf.int32)))
    top, left = rows // 2 - seen_rows // 2, columns // 2 - seen_columns // 2
    return tf.slice(grey, (top, left, 0), (seen_rows, seen_columns, 1))


def _scale(grey: tf.Tensor, scaling: Scaling) -> tf.Tensor:
    match scaling:
        case Scaling.UNIT:
            return grey
        case Scaling.IMAGENET:
            return (grey - tf.constant(IMAGENET_MEAN)) / tf.constant(IMAGENET_STD)
        case Scaling.STANDARDISE:
            deviation = tf.math.reduce_std(grey)
            # A film of one grey value has no contrast to standardise: it becomes all zeros, not NaN.
            return (grey - tf.reduce_mean(grey)) / tf.maximum(deviation, 1e-7)
        case Scaling.XRV:
            return grey * 2048.0 - 1024.0
