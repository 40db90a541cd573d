"""A small process that ends a Ray of this machine and removes its folder, however its driver ended.

Ray ends its own processes where it is asked to, not where the driver was killed: the kernel takes the head
and the raylet along, but Ray's agents first report the raylet's death to the head, which has died too, and
wait up to a minute for an answer (`ray._private.process_watcher.report_raylet_error_logs`). Nobody removes
the folder. So a process from outside that Ray sees to both.

It waits at a pipe whose other end only the driver holds: the kernel closes that, whatever happens. Then it
ends the processes that have this Ray's mark in the environment they were started with, which only what the
driver started inherits. Files that are open, or a command line that names the folder, say less: an
administrator's `tail -f` has both, and is left alone.

This file is run as a program, with the standard library only: about 12 MB.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

MARK = "CXRBATCH_PRIVATE_RAY"
"""An environment variable whose value is the folder of the Ray that a process belongs to."""
KEEPS_THE_MARK = {"SPT_NOENV": "1"}
"""To Ray's setproctitle: put titles over the command line, not also over the environment that follows it."""

_NONE_LEFT = 3
"""Looks in a row that must find nothing: one alone may miss a process that is started while it looks."""
_PAUSE = 0.1
_LONGEST = 60.0
"""Seconds after which what even SIGKILL does not end is left to the kernel: it hangs in a device."""


class Keeper:
    """The driver's hand on that process."""

    def __init__(self, folder: str) -> None:
        """Start it. Processes that are then started with `variables` are its to end.

        Raises:
            OSError: it could not be started.
        """
        # In a session of its own: Ctrl-C, a closed terminal and `kill -9` of the driver's group pass it by.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        self.variables = {MARK: folder, **KEEPS_THE_MARK}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._process.stdout as answer:
            if not answer.read():
                self.let_go()
                raise OSError("the process that would end it ended itself")

    def let_go(self) -> None:
        """Have it end what is left and remove the folder; returns when it has."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def keep(folder: str) -> None:
    """What the process does with its life."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(BrokenPipeError):  # the driver has gone already: all the more
        os.write(1, b"ready")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    while os.read(0, 1):
        pass
    end_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


def end_all(folder: str) -> None:
    """Kill until nothing of the Ray in `folder` is left."""
    end, none = time.monotonic() + _LONGEST, 0
    while none < _NONE_LEFT and time.monotonic() < end:
        found = of_ray(folder)
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        none = 0 if found else none + 1
        time.sleep(_PAUSE)


def of_ray(folder: str) -> list[int]:
    """This user's processes that were started with the mark of the Ray in `folder`."""
    mark, found = os.fsencode(f"{MARK}={folder}"), []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            is_ours = process.stat().st_uid == os.geteuid()
            if is_ours and mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:  # it has ended, or may not be looked at
            continue
    return found


if __name__ == "__main__":
    keep(sys.argv[1])
