"""Stopping: one Ctrl-C waits for the work in hand, two do not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


def _command(folder: Path) -> list[str]:
    inbox = folder / "inbox"
    inbox.mkdir()
    for number in range(12):
        grey = np.random.default_rng(number).integers(0, 256, (64, 64), np.uint8)
        Image.fromarray(grey).save(inbox / f"{number}.png")
    score = ["score", str(inbox), "--out", str(folder / "run"), "--reports", "none"]
    return [sys.executable, "-m", "cxrbatch", *score]


def _wait_for(path: Path, process: subprocess.Popen[str], *, there: bool) -> None:
    deadline = time.monotonic() + 120
    while path.exists() is not there:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.0005)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_while_a_stopped_process_ends_leave_its_exit_code(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = subprocess.Popen(_command(tmp_path), stderr=subprocess.PIPE, text=True)
    _wait_for(tmp_path / "run" / "audit.jsonl", process, there=True)
    process.send_signal(number)
    _wait_for(tmp_path / "run" / "lease.json", process, there=False)  # given back at the end of a run
    while process.poll() is None:
        process.send_signal(number)
        time.sleep(0.0005)
    assert process.returncode == code
    assert "Traceback" not in process.communicate()[1]


OVER = """
import atexit, os, signal, sys
from cxrbatch.cli import app

def late(*_):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(number)

class Last:
    def __del__(self, kill=os.kill, me=os.getpid(), numbers=(signal.SIGINT, signal.SIGTERM)):
        for number in numbers:  # Python has no handlers by now
            kill(me, number)

sys.modules["last"] = Last()
atexit.register(late)
app.app = lambda: sys.exit(3)
app.main()
"""


def test_signals_while_a_process_ends_are_not_taken_for_a_stop() -> None:
    done = subprocess.run([sys.executable, "-c", OVER], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_before_a_run_has_begun_gives_the_exit_code(number: signal.Signals, code: int) -> None:
    module = "import signal, sys\nfrom cxrbatch.cli import app\n"
    module += f"def early():\n    signal.raise_signal({int(number)})\napp.app = early\napp.main()"
    done = subprocess.run([sys.executable, "-c", module], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, "Stopped. Start the same command again.\n")
