"""Random changes that a chest film tolerates, as TensorFlow operations without a state of their own."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from cxrbatch.training.settings import Augmentation

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def make_augment(settings: Augmentation) -> Augment:
    """A function (grey, seed) -> grey: float32 (h, w, 1) in [0, 1], seed int32 or int64 (2,).

    The same seed gives the same picture. Contrast first, then one bilinear warp (mirroring, if it is wanted
    at all, rotation, scale and shift at once, about the centre), with black outside. What is not wanted is
    not done: with `Augmentation.none()` a film comes out as it went in, to the bit.
    """

    @tf.autograph.experimental.do_not_convert  # all branches are decided by the settings, none by a tensor
    def augment(grey: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        # Philox is the same on every device; each change has its own draw, whichever others are wanted.
        drawn = tf.random.stateless_uniform((6,), seed, -1.0, 1.0, alg="philox")
        if settings.contrast > 0:
            grey = _contrast(grey, 1.0 + settings.contrast * drawn[0])
        if settings.rotation > 0 or settings.shift > 0 or settings.scale > 0 or settings.flip:
            grey = _warp(grey, _transform(tf.shape(grey), settings, drawn[1:]))
        return grey

    return augment


def _contrast(grey: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Spread about the mean of the film itself: bars beside it are black (0) and stay black."""
    film = grey > 0.0
    count = tf.math.count_nonzero(film, dtype=tf.float32)
    mean = tf.reduce_sum(grey) / tf.maximum(count, 1.0)
    return tf.where(film, tf.clip_by_value(mean + factor * (grey - mean), 0.0, 1.0), 0.0)


def _transform(shape: tf.Tensor, settings: Augmentation, drawn: tf.Tensor) -> tf.Tensor:
    """(8,) of ImageProjectiveTransformV3: output point (x, y) -> (a x + b y + c, d x + e y + f) in the input.

    `drawn` (5,) in [-1, 1]: rotation, scale, shift along x and y, and the sign of which mirrors.
    """
    height, width = tf.cast(shape[0], tf.float32), tf.cast(shape[1], tf.float32)
    angle = drawn[0] * settings.rotation * (3.141592653589793 / 180.0)
    zoom = 1.0 + drawn[1] * settings.scale
    mirror = tf.where(drawn[4] < 0.0, -1.0, 1.0) if settings.flip else tf.constant(1.0)
    cosine, sine = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    across, down = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    from_x = across + drawn[2] * settings.shift * width
    from_y = down + drawn[3] * settings.shift * height
    a, b, d, e = mirror * cosine, -mirror * sine, sine, cosine
    c = across - a * from_x - b * from_y
    f = down - d * from_x - e * from_y
    return tf.stack((a, b, c, d, e, f, tf.zeros(()), tf.zeros(())))


def _warp(grey: tf.Tensor, transform: tf.Tensor) -> tf.Tensor:
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=grey[tf.newaxis],
        transforms=transform[tf.newaxis],
        output_shape=tf.shape(grey)[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(warped[0], grey.shape)
