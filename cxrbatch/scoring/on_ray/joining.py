"""Joining a Ray cluster that is there, or starting one of this machine, and leaving no trace of either."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from cxrbatch.chatter import imports_kept_quiet
from cxrbatch.scoring.engine import EngineUnavailableError

# Before ray is imported: a Ray that is started from here tells nobody of itself.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

OBJECT_STORE_BYTES = 100 << 20
"""Of a Ray of this machine. Films do not pass through it: tasks and results are a few hundred bytes each."""

_LONGEST_FOLDER = 40
"""Ray makes sockets below its folder, whose paths the system limits to 107 bytes."""


class Connection:
    """This process as the driver of a cluster."""

    def __init__(self, address: str | None) -> None:
        """Join the cluster at `address`; None starts one of this machine.

        Raises:
            EngineUnavailableError: there is none, or it cannot be joined.
        """
        self._folder: str | None = None
        if address is None:
            self._folder = _private_folder()
        try:
            with _own_signals(), imports_kept_quiet():
                ray.init(**(_joined(address) if address else _started(self._folder)))
        except (ConnectionError, RuntimeError, ValueError, AssertionError, TimeoutError, OSError) as error:
            self.close()
            raise EngineUnavailableError(_why_not(address, error)) from error
        self.is_ours = address is None

    def close(self) -> None:
        """Leave. What was started here is ended, and its folder removed."""
        with imports_kept_quiet():
            ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _joined(address: str) -> dict[str, Any]:
    if address.startswith("ray://"):
        raise ValueError("a Ray client address does not do")
    return {"address": address, **_QUIET}


def _started(folder: str | None) -> dict[str, Any]:
    return {
        "address": "local",
        "num_cpus": len(os.sched_getaffinity(0)),
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_temp_dir": folder,
        **_QUIET,
    }


_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}


def _private_folder() -> str:
    """Where a Ray of this machine has its sockets and logs; nobody else may look into it."""
    usual = tempfile.gettempdir()
    return tempfile.mkdtemp(
        prefix="cxrbatch-ray-", dir=usual if len(usual) <= _LONGEST_FOLDER - 22 else "/tmp"
    )


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
