"""From one film to the network's input: the same code for scoring and for training.

Two halves: `fit.fit_film`, in the decoding processes, and `make_scale`, in the `tf.data` graph. Imports
TensorFlow: only the scoring and training processes import this module, never a decoding worker.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.pipeline.fit import fit_film
from cxrbatch.pipeline.input_spec import InputSpec, Scaling

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


Tensors = Callable[[tf.Tensor], tf.Tensor]


def make_scale(spec: InputSpec) -> Tensors:
    """The second half: (height, width, 1) in [0, 1] -> (height, width, channels) as the network wants it."""

    @tf.autograph.experimental.do_not_convert
    def scale(grey: tf.Tensor) -> tf.Tensor:
        scaled = _scale(grey, spec.scaling)
        scaled = tf.broadcast_to(scaled, (spec.height, spec.width, max(spec.channels, scaled.shape[-1])))
        return tf.ensure_shape(scaled, (spec.height, spec.width, spec.channels))

    return scale


def preprocess_one(pixels: NDArray[np.uint16], spec: InputSpec) -> NDArray[np.float32]:
    """One film, uint16 (rows, columns) -> (height, width, channels), where no night is run."""
    grey = tf.constant(fit_film(pixels, spec)[..., np.newaxis])
    result: NDArray[np.float32] = make_scale(spec)(grey).numpy()
    return result


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
