"""Killed or stopped at any fault point and started again, a run ends as if nobody had done so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DRIVER = Path(__file__).with_name("kill_everywhere.py")


def _end_everywhere(
    folder: Path, scenario: str, which: str, seconds: float, ending: str = "kill"
) -> dict[str, Any]:
    command = [sys.executable, str(DRIVER), str(folder), scenario, which, ending]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("scenario", ["new", "changed", "fresh"])
def test_one_point_of_each_kind(tmp_path: Path, scenario: str) -> None:
    outcome = _end_everywhere(tmp_path, scenario, "first", 600)
    assert outcome["failures"] == {}
    labels = set(outcome["labels"])
    for point in (
        "BEGIN IMMEDIATE",
        "COMMIT",
        "rename reports html",
        "rename  scores.csv",
        "rename  run.json",
    ):
        assert {f"before {point}", f"after {point}"} <= labels


@pytest.mark.parametrize("ending", ["signal", "signals"])
def test_signals_while_reports_tables_and_pages_are_written(tmp_path: Path, ending: str) -> None:
    outcome = _end_everywhere(tmp_path, "new", "printing", 600, ending)
    assert outcome["failures"] == {}
    assert outcome["tried"] >= 20
    # A single signal that comes after the last study lets the pages be finished, and with them the run.
    assert outcome["stopped"] == outcome["tried"] if ending == "signals" else outcome["stopped"] > 0


@pytest.mark.long
@pytest.mark.parametrize("scenario", ["new", "changed", "fresh"])
def test_every_point(tmp_path: Path, scenario: str) -> None:
    outcome = _end_everywhere(tmp_path, scenario, "every", 3600)
    assert outcome["failures"] == {}
    assert outcome["tried"] == outcome["points"] > 100
