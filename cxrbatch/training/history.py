"""CSVLogger whose file has each finished epoch once, however often the run was killed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras

from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.training.disk import writing
from cxrbatch.training.guard import Guard
from cxrbatch.training.network import Phase
from cxrbatch.training.records import History

COLUMNS = (
    "epoch",
    "step",
    "deep",
    "loss",
    "val_loss",
    "val_macro_auroc",
    "learning_rate",
    "seconds",
    "images_per_second",
)
"""`epoch` from 1; `step` in all so far; `deep` 0 while the head alone learned, then 1; `learning_rate` the
epoch was trained with; `seconds` of training and validation; images per second of training alone."""

_WHOLE = ("epoch", "step", "deep")


class HistoryFile(keras.callbacks.Callback):
    """``history.csv``, written anew at each epoch's end from what the backup keeps. NaN is a blank cell.

    `guard` and the validation's scores must come before it.
    """

    async_safe = True
    name = "history"

    def __init__(self, path: Path, guard: Guard, images_per_step: int) -> None:
        super().__init__()
        self.phase: Phase = "head"
        self._path, self._guard, self._images = path, guard, images_per_step
        self._rows: list[tuple[float, ...]] = []

    @property
    def history(self) -> History:
        """All epochs so far."""
        return History(COLUMNS, tuple(self._rows))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add a row."""
        logs, guard = logs or {}, self._guard
        row = (
            epoch + 1,
            guard.steps,
            float(self.phase == "deep"),
            logs["loss"],
            logs["val_loss"],
            logs["val_macro_auroc"],
            guard.learning_rate,
            guard.seconds_since_begin(),
            guard.epoch_steps * self._images / max(guard.seconds, 1e-9),
        )
        self._rows.append(tuple(float(value) for value in row))

    def commit(self) -> None:
        """Write the file. Raises TrainingError when the disk is full."""
        lines = [",".join(COLUMNS)]
        lines += [",".join(_cell(c, x) for c, x in zip(COLUMNS, row, strict=True)) for row in self._rows]
        with writing(self._path, "the history"):
            write_atomic(self._path, ("\n".join(lines) + "\n").encode())

    def state(self) -> dict[str, Any]:
        """For the backup."""
        return {"columns": list(COLUMNS), "rows": [list(row) for row in self._rows]}

    def restore(self, state: dict[str, Any]) -> None:
        """As it was, the file too."""
        self._rows = [tuple(row) for row in state["rows"]]
        self.commit()


def _cell(column: str, value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if column in _WHOLE else f"{value:.7g}"
