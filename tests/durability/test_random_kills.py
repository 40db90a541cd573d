"""Whole runs with nothing stood in for, killed with all they started at random moments, until they finish."""

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


def _inbox(folder: Path, films: int) -> Path:
    folder.mkdir()
    for number in range(films):
        grey = np.random.default_rng(number).integers(0, 256, (200, 160), np.uint8)
        Image.fromarray(grey).save(folder / f"{number:03}.png")
    (folder / "half.png").write_bytes((folder / "000.png").read_bytes()[:9000])
    return folder


def _start(inbox: Path, run: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cxrbatch", "score", str(inbox), "--out", str(run)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)


def _same_as(run: Path, straight: Path) -> None:
    for name in TABLES:
        assert (run / name).read_bytes() == (straight / name).read_bytes(), name
    names = [sorted(str(p.relative_to(r)) for r in [root] for p in r.rglob("*")) for root in (run, straight)]
    assert names[0] == names[1]
    assert not [n for n in names[0] if TEMPORARY_MARK in n or n == LEASE]
    for pdf in run.glob("reports/*/report.pdf"):
        assert pdf.read_bytes().rstrip().endswith(b"%%EOF")
    for page in run.glob("reports/*/report.html"):
        assert page.read_text().rstrip().endswith("</html>")
    assert len(list(run.glob("reports/*/report.html"))) == len(list(run.glob("store/*")))


def _kill_until_finished(inbox: Path, run: Path, moments: random.Random, most: int, duration: float) -> int:
    """Kill the run up to `most` times; how often it was."""
    kills = 0
    while True:
        process = _start(inbox, run)
        if kills == most:
            assert process.wait(timeout=600) == 3
            return kills
        time.sleep(moments.uniform(0.2, duration))
        if process.poll() is not None:
            assert process.returncode == 3
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
    inbox, moments = _inbox(tmp_path / "inbox", 30), random.Random(20261123)
    straight = tmp_path / "straight"
    begun = time.monotonic()
    assert _start(inbox, straight).wait(timeout=600) == 3
    duration = time.monotonic() - begun
    kills = number = 0
    while kills < 50:
        run = tmp_path / f"run-{number}"
        kills += _kill_until_finished(inbox, run, moments, most=min(5, 50 - kills), duration=duration)
        _same_as(run, straight)
        number += 1
