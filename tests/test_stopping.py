"""Stopping: one Ctrl-C waits for the work in hand, two do not."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import signal, sys
from cxrbatch.stopping import stop_on_signals
with stop_on_signals() as stop:
    for _ in range(int(sys.argv[1])):
        signal.raise_signal(signal.SIGINT)
    print("work in hand is finished", flush=True)
sys.exit(stop.exit_code)
"""


@pytest.mark.parametrize(("presses", "finishes"), [(1, True), (2, False)])
def test_second_ctrl_c_stops_at_once(presses: int, finishes: bool) -> None:
    command = [sys.executable, "-c", CODE, str(presses)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert ("finished" in done.stdout) is finishes
    assert "Traceback" not in done.stderr
