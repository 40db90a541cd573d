"""SIGTERM and Ctrl-C: finish what is in hand, then stop; a second signal stops at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_STDERR = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopNow(Exception):  # noqa: N818 (no error)
    """A stop was asked for, at a place where nothing is lost by it."""


class StopRequested:
    """True once a signal came; `exit_code` is the shell's convention, 128 + signal number."""

    def __init__(self) -> None:
        self._signal = 0

    def __bool__(self) -> bool:
        return self._signal != 0

    @property
    def exit_code(self) -> int:
        return 128 + self._signal

    def check(self) -> None:
        """For places at which nothing is lost by stopping.

        Raises:
            StopNow: a signal came.
        """
        if self:
            raise StopNow

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._signal:
            _say("Stopped at once. Start the same command again to go on.")
            # As safe as a power cut, from which every run recovers. An exception could be raised just where
            # the interpreter swallows it, and workers end by themselves once this process has.
            os._exit(128 + number)
        self._signal = number
        _say("Stopping after the work in hand; a second Ctrl-C stops at once.")


@contextmanager
def stop_on_signals() -> Iterator[StopRequested]:
    """Within the block a first SIGINT or SIGTERM is noted instead of ending the process."""
    stop = StopRequested()
    before = {number: signal.signal(number, stop._on_signal) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def exit_code_for_signals() -> Iterator[None]:
    """For the whole of a command, in a process that does nothing else: a signal ends it with an exit code,
    and one that comes when the command is over changes that code no more. No handler is given back.
    """
    came: list[int] = []

    def leave(number: int, _: FrameType | None) -> None:
        # Outside of `stop_on_signals` nothing is in hand that must not be left.
        _say("Stopped. Start the same command again.")
        if came:  # the first one's exception was swallowed, or takes too long on its way
            os._exit(128 + number)
        came.append(number)
        sys.exit(128 + number)

    for number in _SIGNALS:
        signal.signal(number, leave)
    try:
        yield
    finally:
        # Python takes its own handlers back before it has ended; being ignored outlasts that.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _say(line: str) -> None:
    """Past Python's streams and the log: the signal may have come while one of them was being written to."""
    with suppress(OSError):
        os.write(_STDERR, f"{line}\n".encode())
