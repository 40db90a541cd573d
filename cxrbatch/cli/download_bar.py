"""How far a download is: a bar in bytes on a terminal, one log line a minute otherwise."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import Any, Self

LOG_SECONDS = 60.0
_log = logging.getLogger("cxrbatch")


class DownloadBar:
    """Call it with the bytes that are there and those there will be (None: unknown). A context manager.

    Nothing is shown before the first call, so that a refusal stays one line.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: Any = None
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int | None) -> None:
        if not sys.stderr.isatty():
            self._log(done, total)
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(desc=self._what, total=total, unit="B", unit_scale=True, dynamic_ncols=True)
        self._bar.total = total
        self._bar.update(done - self._bar.n)  # a clean restart goes back

    def _log(self, done: int, total: int | None) -> None:
        if time.monotonic() - self._last_line >= LOG_SECONDS:
            self._last_line = time.monotonic()
            _log.info("%s: %.1f of %s MB", self._what, done / 1e6, f"{total / 1e6:.1f}" if total else "?")
