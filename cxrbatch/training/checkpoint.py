"""ModelCheckpoint whose files are whole or not there, and never of an epoch that was not recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from cxrbatch.ledger.atomic import TEMPORARY_MARK, sync_folder
from cxrbatch.training.disk import require_room, sync_file, writing
from cxrbatch.training.records import TrainingError

_BYTES_OF_STRUCTURE = 1 << 20
"""More than HDF5 needs for names and indices."""


class AtomicCheckpoint(keras.callbacks.ModelCheckpoint):
    """Keeps weights of `classifier` in `path` (``.weights.h5``): of the last epoch, or of the best.

    At an epoch's end the weights are *staged* beside `path`; they take its place when the backup has
    recorded the epoch (`commit`). A run killed in between repeats the epoch, and `restore` takes staged
    weights on or away as the backup says: so the file always belongs to the recorded history. `best` without
    `monitor` keeps every epoch.
    """

    async_safe = True
    """Nothing happens after a batch, so steps need not wait for it (Keras asks for this attribute)."""

    def __init__(
        self, path: Path, classifier: keras.Model, monitor: str | None, mode: Literal["min", "max"]
    ) -> None:
        staged = path.with_name(f"{TEMPORARY_MARK}staged-{path.name}")
        super().__init__(
            str(staged),
            monitor=monitor or "val_loss",
            mode=mode,
            save_best_only=monitor is not None,
            save_weights_only=True,
        )
        self.path, self.epoch = path, 0
        self.name = path.name
        self._classifier = classifier
        self._staged = staged
        self._bytes = sum(4 * int(np.prod(w.shape)) for w in classifier.weights) + _BYTES_OF_STRUCTURE

    def set_model(self, model: keras.Model) -> None:
        """Saves the classifier in place of `model`, which has layers of training around the same weights."""
        super().set_model(self._classifier)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stage the weights if they are to be kept. Raises TrainingError, with the disk full for one."""
        with writing(self.path, "a checkpoint"):
            try:
                self._staged.unlink(missing_ok=True)
                require_room(self.path, self._bytes)
                super().on_epoch_end(epoch, logs)
                if self._staged.exists():
                    sync_file(self._staged)
                    self._staged.replace(self._of(epoch + 1))
                    self.epoch = epoch + 1
            except BaseException:
                self._staged.unlink(missing_ok=True)
                raise

    def commit(self) -> None:
        """The epoch is recorded: its staged weights take their place."""
        staged = self._of(self.epoch)
        if staged.exists():
            staged.replace(self.path)
            sync_folder(self.path.parent)

    def state(self) -> dict[str, Any]:
        """For the backup: the best value so far, and the epoch (from 1) whose weights are kept."""
        return {"best": None if self.best is None else float(self.best), "epoch": self.epoch}

    def restore(self, state: dict[str, Any]) -> None:
        """As it was when `state` was recorded, the files too.

        Raises:
            TrainingError: the checkpoint was removed since.
        """
        self.best, self.epoch = state["best"], state["epoch"]
        self.commit()
        self.discard_staged()
        if self.epoch and not self.path.is_file():
            raise TrainingError(
                f"{self.path} is gone, which training had written: put it back, or start in another --out."
            )

    def discard_staged(self) -> None:
        """Take away what a killed run staged and did not record."""
        for leftover in self.path.parent.glob(f"{TEMPORARY_MARK}*{self.path.name}"):
            leftover.unlink(missing_ok=True)

    def _of(self, epoch: int) -> Path:
        return self.path.with_name(f"{TEMPORARY_MARK}{epoch:06d}-{self.path.name}")
