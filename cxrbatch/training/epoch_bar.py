"""How far an epoch is: a bar on a terminal, one log line a minute otherwise."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from typing import Any

import keras
from tqdm import tqdm

from cxrbatch.progress import LOG_SECONDS

_REFRESH_SECONDS = 0.5
_log = logging.getLogger("cxrbatch")


class EpochBar(keras.callbacks.Callback):
    """Loss, validation AUROC of the epoch before, images a second and time left.

    Called beside the steps (``async_safe``), from several threads: a lock keeps the bar whole.
    """

    async_safe = True
    stateless = True

    def __init__(self, epochs: int, steps: int, images_per_step: int) -> None:
        super().__init__()
        self._epochs, self._steps, self._images = epochs, steps, images_per_step
        self._lock = threading.Lock()
        self._bar: Any = None
        self._epoch, self._done = 0, 0
        self._loss, self._area = math.nan, math.nan
        self._began = self._last_line = self._last_refresh = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """A bar of its own."""
        self.close()
        self._epoch, self._done, self._loss = epoch + 1, 0, math.nan
        self._began = self._last_refresh = time.monotonic()
        self._bar = tqdm(
            desc=f"Epoch {self._epoch} of {self._epochs}",
            total=self._steps * self._images,
            unit=" images",
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move on; what is seen changes twice a second at most."""
        with self._lock:
            if batch + 1 <= self._done:
                return
            self._done, self._loss = batch + 1, (logs or {}).get("loss", math.nan)
            now = time.monotonic()
            if self._bar.disable:
                if now - self._last_line >= LOG_SECONDS:
                    self._last_line = now
                    _log.info("%s", self._line(now))
            elif now - self._last_refresh >= _REFRESH_SECONDS or self._done == self._steps:
                self._last_refresh = now
                self._show()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """The epoch's loss, and the validation's AUROC now that it is known."""
        logs = logs or {}
        with self._lock:
            self._loss = logs.get("loss", math.nan)
            self._area = logs.get("val_macro_auroc", math.nan)
            if not self._bar.disable:
                self._show()
        self.close()

    def close(self) -> None:
        """Leave the line as it is; also for a run that ends by an error."""
        if self._bar is not None:
            self._bar.close()

    def _show(self) -> None:
        self._bar.set_postfix_str(self._figures(), refresh=False)
        self._bar.update(self._done * self._images - self._bar.n)
        self._bar.refresh()

    def _figures(self) -> str:
        area = "" if math.isnan(self._area) else f", validation AUROC {self._area:.3f}"
        return f"loss {self._loss:.4f}{area}"

    def _line(self, now: float) -> str:
        rate = self._done / max(now - self._began, 1e-9)
        left = (self._steps - self._done) / rate
        return (
            f"Epoch {self._epoch} of {self._epochs}: step {self._done:,} of {self._steps:,}, "
            f"{self._figures()}, {rate * self._images:.1f} images/s, {_duration(left)} left in this epoch"
        )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60.0)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
