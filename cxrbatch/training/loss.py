"""Weighted binary cross-entropy over findings of which some are unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def blend_targets(labels: Floats, soft: Floats | None, soft_weight: float) -> Floats:
    """What the network is asked for: (1 - soft_weight) label + soft_weight soft, where both are known.

    labels (n, k): 1, 0, NaN where unknown; soft (n, k): another model's or published probabilities in
    (0, 1), NaN where there are none. Where only one is known it stands alone, where none is the target is
    NaN. Distillation in its plainest form, at temperature 1 (Hinton et al., arXiv:1503.02531).

    Raises ValueError for unequal shapes or a weight outside [0, 1].
    """
    known = np.asarray(labels, np.float32)
    if not 0.0 <= soft_weight <= 1.0:
        raise ValueError(f"`soft_weight` must be in [0, 1]. Received: {soft_weight}")
    if soft is None:
        return known.copy()
    if soft.shape != known.shape:
        raise ValueError(f"`labels` and `soft` must have one shape. Received: {known.shape} and {soft.shape}")
    blended = (1.0 - soft_weight) * known + soft_weight * soft
    blended = np.where(np.isnan(soft), known, blended)
    return np.where(np.isnan(known), soft, blended).astype(np.float32)


def finding_weights(labels: Floats) -> tuple[Floats, Floats]:
    """Weights of a positive and of a negative for each finding, (k,) each, from training frequencies.

    labels (n, k): 1, 0, NaN where unknown (not counted). CheXNet (Rajpurkar et al., arXiv:1711.05225,
    section 2.1) weighs a positive by w+ = N- / N and a negative by w- = N+ / N of the finding, so that both
    classes weigh the same in sum. One factor over all findings makes the mean weight of a known label 1, so
    that learning rates mean what they mean without weights, and a finding with three positives does not get
    a weight of thousands. A finding with one class, or none, has no balance to restore: weight 1 (CheXNet's
    formula would make it 0, and leave its outputs where they started).
    """
    n_pos = np.nansum(labels == 1, axis=0).astype(np.float64)
    n_neg = np.nansum(labels == 0, axis=0).astype(np.float64)
    n = np.maximum(n_pos + n_neg, 1.0)
    both = (n_pos > 0) & (n_neg > 0)
    positive, negative = np.ones_like(n), np.ones_like(n)
    if both.any():
        mass = float(np.sum((2.0 * n_pos * n_neg / n)[both]))
        factor = float(np.sum(n[both])) / mass
        positive[both] = factor * (n_neg / n)[both]
        negative[both] = factor * (n_pos / n)[both]
    return positive.astype(np.float32), negative.astype(np.float32)


@keras.saving.register_keras_serializable(package="cxrbatch")
class MaskedWeightedBinaryCrossentropy(keras.losses.Loss):
    """Mean over the known entries of w+ t (-log p) + w- (1 - t) (-log(1 - p)), with p = sigmoid(logit).

    `y_true` (n, k) in [0, 1], NaN where unknown; `y_pred` (n, k) *logits*. The weights are (k,), from
    `finding_weights`; None for 1. Without a known entry the loss is 0.

    Under `tf.distribute` a replica sees a part of the batch. The mean over *its* known entries, averaged
    over replicas as Keras does, is not the mean over the batch when unknown entries are spread unevenly; so
    the sum is divided by the number of known entries in the whole batch (an all-reduce of one number).
    """

    def __init__(
        self,
        positive: Sequence[float] | Floats | None = None,
        negative: Sequence[float] | Floats | None = None,
        name: str = "masked_weighted_binary_crossentropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.positive = None if positive is None else [float(w) for w in positive]
        self.negative = None if negative is None else [float(w) for w in negative]

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """(n, k), (n, k) -> (n,), of which the mean is the loss: Keras scales no scalar for replicas."""
        known = tf.logical_not(tf.math.is_nan(y_true))
        # Unknown entries are taken out before the logarithm, not after: 0 * NaN is NaN, in gradients too.
        target = tf.where(known, y_true, tf.zeros_like(y_true))
        logit = tf.where(known, y_pred, tf.zeros_like(y_pred))
        positive, negative = self._weights(y_pred.dtype)
        # -log p = softplus(-z) and -log(1 - p) = softplus(z) neither overflow nor take log 0.
        each = positive * target * tf.nn.softplus(-logit)
        each += negative * (1.0 - target) * tf.nn.softplus(logit)
        films = tf.reduce_sum(tf.where(known, each, tf.zeros_like(each)), axis=-1)
        count = self._mean_count(tf.reduce_sum(tf.cast(known, films.dtype)))
        return films * tf.cast(tf.size(films), films.dtype) / count

    def get_config(self) -> dict[str, Any]:
        """Everything to make it again."""
        return {**super().get_config(), "positive": self.positive, "negative": self.negative}

    def _weights(self, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        one = tf.ones((), dtype)
        positive = one if self.positive is None else tf.constant(self.positive, dtype)
        negative = one if self.negative is None else tf.constant(self.negative, dtype)
        return positive, negative

    @staticmethod
    def _mean_count(known: tf.Tensor) -> tf.Tensor:
        """Known entries in the whole batch over the number of replicas, as Keras takes the mean over those
        too. At least a little, so that a batch without any gives 0."""
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            whole = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(known))
            known = whole / replica.num_replicas_in_sync
        return tf.maximum(known, tf.constant(1e-6, known.dtype))
