"""What must end a training run between two steps: a stop that was asked for, a loss that is no number."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from typing import Any

import keras

from cxrbatch.stopping import StopRequested
from cxrbatch.training.records import BrokenOffError


class Guard(keras.callbacks.Callback):
    """Raises before the next step; counts steps, and times each epoch's training without its validation.

    The loss is looked at beside the steps (``async_safe``), so that the device need not wait for the host:
    a loss that is no number is told a step or two later, with the step in which it became so, and always
    before the epoch's checkpoint.

    `steps` counts over all starts of the run; `seconds` and
    `learning_rate` are of the current epoch, as plateaus change the rate at its end.
    """

    async_safe = True
    name = "guard"

    def __init__(self, stop: StopRequested | None, checkpoints: Path) -> None:
        super().__init__()
        self.steps, self.epoch_steps, self.seconds = 0, 0, 0.0
        self._stop, self._checkpoints = stop, checkpoints
        self._epoch, self._began, self.learning_rate = 0, 0.0, 0.0
        self._lock = threading.Lock()
        self._bad_step: int | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count anew."""
        self._epoch, self.epoch_steps, self._bad_step = epoch, 0, None
        self.learning_rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self._began = time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises StopNow or TrainingError."""
        self._check()
        self.epoch_steps = batch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """The running mean of an epoch's loss stays NaN once it is."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            with self._lock:
                self._bad_step = batch if self._bad_step is None else min(batch, self._bad_step)

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises StopNow: validation can be repeated."""
        if self._stop is not None:
            self._stop.check()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises BrokenOffError: the last step's loss counts too."""
        self.seconds = time.monotonic() - self._began
        if not math.isfinite((logs or {}).get("loss", math.nan)) and self._bad_step is None:
            self._bad_step = self.epoch_steps - 1
        self._check()
        self.steps += self.epoch_steps

    def seconds_since_begin(self) -> float:
        """Of the epoch, validation included."""
        return time.monotonic() - self._began

    def refuse_outputs(self) -> None:
        """The network gave NaN or infinity in validation. Raises BrokenOffError."""
        raise BrokenOffError(self._sentence("The network's outputs are no numbers any more after", ""))

    def state(self) -> dict[str, Any]:
        """For the backup."""
        return {"steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        """As it was."""
        self.steps = state["steps"]

    def commit(self) -> None:
        """No file shows it."""

    def _check(self) -> None:
        if self._bad_step is not None:
            step = self._bad_step + 1
            where = f", step {step} ({self.steps + step} in all)"
            raise BrokenOffError(self._sentence("The loss is no number any more (NaN or infinite) in", where))
        if self._stop is not None:
            self._stop.check()

    def _sentence(self, beginning: str, where: str) -> str:
        return (
            f"{beginning} epoch {self._epoch + 1}{where}, at a learning rate of {self.learning_rate:.2g}. "
            f"The {self._epoch} epochs before it are kept in {self._checkpoints}. Try a tenth of "
            '`learning_rate` and `warmup_learning_rate`, or mixed_precision = "off", in another --out.'
        )
