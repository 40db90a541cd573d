"""Joining a Ray cluster that is there, or starting one of this machine, and leaving no trace of either."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from cxrbatch.chatter import imports_kept_quiet
from cxrbatch.scoring.engine import EngineUnavailableError
from cxrbatch.scoring.on_ray.private import PrivateRay

# Before ray is imported: a Ray that is started from here tells nobody of itself.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

OBJECT_STORE_BYTES = 100 << 20
"""Of a Ray of this machine. Films do not pass through it: tasks and results are a few hundred bytes each."""


class Connection:
    """This process as the driver of a cluster."""

    def __init__(self, address: str | None) -> None:
        """Join the cluster at `address`; None starts one of this machine.

        Raises:
            EngineUnavailableError: there is none, or it cannot be joined.
        """
        self._private: PrivateRay | None = None
        try:
            if address is None:
                self._private = PrivateRay()
            with _own_signals(), imports_kept_quiet():
                self._begin(address)
        except (ConnectionError, RuntimeError, ValueError, AssertionError, TimeoutError, OSError) as error:
            self.close()
            raise EngineUnavailableError(_why_not(address, error)) from error
        except BaseException:
            self.close()
            raise

    def _begin(self, address: str | None) -> None:
        if self._private is None:
            ray.init(**_joined(address or ""))
            return
        with self._private.entered():
            ray.init(**_started(self._private.for_ray()))

    def close(self) -> None:
        """Leave. What was started here is ended, and its folder removed."""
        try:
            with imports_kept_quiet():
                ray.shutdown()
        finally:
            if self._private is not None:
                self._private.close()


def _joined(address: str) -> dict[str, Any]:
    if address.startswith("ray://"):
        raise ValueError("a Ray client address does not do")
    return {"address": address, **_QUIET}


def _started(folder: str) -> dict[str, Any]:
    return {
        "address": "local",
        "num_cpus": len(os.sched_getaffinity(0)),
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_temp_dir": folder,
        **_QUIET,
    }


_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray installs a handler for SIGTERM of its own; how a run stops is ours to say."""
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if in_main else None
    try:
        yield
    finally:
        if in_main:
            with suppress(TypeError):  # a handler that was not set from Python
                signal.signal(signal.SIGTERM, before)


def _why_not(address: str | None, error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if address is None:
        return f"No Ray could be started on this machine ({reason}): see to that, or use --engine local."
    return (
        f"The Ray cluster '{address}' cannot be joined ({reason}): start Ray on this machine with `ray start "
        "--address=HEAD:6379`, and give --ray-address auto or HEAD:6379."
    )
