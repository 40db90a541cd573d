"""Whole runs with nothing stood in for, killed with all they started at random moments, until they finish.

A moment is drawn from what a run does and not from how long it takes, so that a slow machine is killed at
the same places as a fast one: one kill in four comes at any time from the start of the process on, the others
once a run folder holds a random number of the files that it will hold in the end, or up to 0.3 s later.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrbatch.ledger.atomic import TEMPORARY_MARK
from cxrbatch.ledger.lease import LEASE

TABLES = ("scores.csv", "calibrated.csv", "studies.csv", "rejected.csv")


FILMS = 12
MOST_KILLS = 5
"""Of one run folder; then it may finish."""
STARTING = 6.0
"""Seconds within which a kill "at any time" comes: most of a start, on a quiet machine."""


def _inbox(folder: Path) -> Path:
    folder.mkdir()
    for number in range(FILMS):
        grey = np.random.default_rng(number).integers(0, 256, (72, 64), np.uint8)
        Image.fromarray(grey).save(folder / f"{number:03}.png")
    whole = (folder / "000.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    return folder


def _start(inbox: Path, run: Path, reports: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cxrbatch", "score", str(inbox), "--out", str(run), "--reports", reports]
    with _messages(run).open("ab") as messages:
        return subprocess.Popen(command, stderr=messages, start_new_session=True)


def _messages(run: Path) -> Path:
    """What all starts in a run folder said."""
    return run.with_name(f"{run.name}.txt")


def _files(run: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(run))


def _same_as(run: Path, straight: Path) -> None:
    for name in TABLES:
        assert (run / name).read_bytes() == (straight / name).read_bytes(), name
    names = [sorted(str(path.relative_to(root)) for path in root.rglob("*")) for root in (run, straight)]
    assert names[0] == names[1]
    assert not [n for n in names[0] if TEMPORARY_MARK in n or n == LEASE]
    for stored in straight.glob("store/*/*"):
        assert (run / stored.relative_to(straight)).read_bytes() == stored.read_bytes()
    for pdf in run.glob("**/*.pdf"):
        assert pdf.read_bytes().rstrip().endswith(b"%%EOF")
    for page in run.glob("reports/*/report.html"):
        assert page.read_text().rstrip().endswith("</html>")
    assert len(list(run.glob("reports/*/report.html"))) == len(list(run.glob("store/*"))) == FILMS


def _wait_for_the_moment(
    process: subprocess.Popen[bytes], run: Path, moments: random.Random, most: int
) -> None:
    deadline = time.monotonic() + 300
    if moments.random() < 0.25:
        time.sleep(moments.uniform(0.2, STARTING))
        return
    wanted = moments.randint(_files(run), most)
    while _files(run) < wanted and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(moments.uniform(0.0, 0.3))


def _kill_until_finished(
    inbox: Path, run: Path, straight: Path, reports: str, moments: random.Random, most: int
) -> int:
    """Kill the run up to `most` times; how often it was."""
    kills = 0
    while True:
        process = _start(inbox, run, reports)
        if kills == most:
            assert process.wait(timeout=600) == 3, _messages(run).read_text()[-2000:]
            return kills
        _wait_for_the_moment(process, run, moments, _files(straight))
        if process.poll() is not None:
            assert process.returncode == 3, _messages(run).read_text()[-2000:]
            return kills
        # The main process alone, as the system does when memory runs out, or the whole group.
        if moments.random() < 0.5:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1


@pytest.mark.long
def test_fifty_random_kills(tmp_path: Path) -> None:
    inbox, moments = _inbox(tmp_path / "inbox"), random.Random(20261123)
    for reports in ("html", "html,pdf"):
        assert _start(inbox, tmp_path / reports, reports).wait(timeout=600) == 3
    kills = number = 0
    while kills < 50:
        reports = "html" if number % 3 else "html,pdf"
        run, straight = tmp_path / f"run-{number}", tmp_path / reports
        kills += _kill_until_finished(inbox, run, straight, reports, moments, min(MOST_KILLS, 50 - kills))
        _same_as(run, straight)
        number += 1
