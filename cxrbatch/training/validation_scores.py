"""After each epoch: loss and macro AUROC over the whole validation set."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.evaluation.auroc import auroc
from cxrbatch.training.guard import Guard
from cxrbatch.training.loss import MaskedWeightedBinaryCrossentropy


def macro_auroc(labels: NDArray[np.float32], scores: NDArray[np.floating[Any]]) -> float | None:
    """Mean AUROC over the findings with both classes among the known labels; None if there is none.

    labels (m, k): 1, 0, NaN where unknown; scores (m, k), finite.
    """
    areas = auroc(labels, scores)
    return None if np.isnan(areas).all() else float(np.nanmean(areas))


class ValidationScores(keras.callbacks.Callback):
    """Puts ``val_loss`` and ``val_macro_auroc`` into the logs; must come before what looks at them.

    One pass of the network over `films`, a dataset of (inputs, ...) or inputs in the order of `labels`
    (m, k): a mean of batches' AUROC is not the AUROC, and a mean of batches' losses is not the loss when
    unknown labels are spread unevenly. ``val_macro_auroc`` is NaN when no finding has both classes.
    """

    stateless = True

    def __init__(
        self,
        films: tf.data.Dataset,
        labels: NDArray[np.float32],
        loss: MaskedWeightedBinaryCrossentropy,
        guard: Guard,
    ) -> None:
        super().__init__()
        self._films, self._labels, self._loss, self._guard = films, labels, loss, guard

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises TrainingError when the network gives no numbers, StopNow when a stop was asked for."""
        # The guard goes along for stops; predict() would otherwise run to its end.
        logits = self.model.predict(self._films, verbose=0, callbacks=[self._guard])
        if logits.shape != self._labels.shape:
            raise ValueError(
                f"the validation films gave outputs of {logits.shape} for labels of {self._labels.shape}"
            )
        if not np.isfinite(logits).all():
            self._guard.refuse_outputs()
        if logs is not None:
            area = macro_auroc(self._labels, logits)
            logs["val_loss"] = float(self._loss(self._labels, logits))
            logs["val_macro_auroc"] = float("nan") if area is None else area
