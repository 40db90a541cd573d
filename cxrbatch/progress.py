"""How far a long job is: a bar on a terminal, one log line a minute otherwise."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

LOG_SECONDS = 60.0
_log = logging.getLogger("cxrbatch")


class Progress:
    """Counts up to `total`. Use as a context manager."""

    def __init__(self, what: str, total: int, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done = 0
        self._status = ""
        self._last_line = time.monotonic()
        self._bar = tqdm(
            desc=what, total=total, unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def step(self, count: int = 1, status: str = "") -> None:
        """`count` more are done; `status` is shown beside the count."""
        self._done += count
        if status != self._status:
            self._status = status
            self._bar.set_postfix_str(status, refresh=False)
        self._bar.update(count)
        if self._bar.disable and time.monotonic() - self._last_line >= LOG_SECONDS:
            self._last_line = time.monotonic()
            beside = f" ({self._status})" if self._status else ""
            _log.info("%s: %d of %d %ss%s", self._what, self._done, self._total, self._unit, beside)
