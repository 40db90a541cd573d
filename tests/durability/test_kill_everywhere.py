"""Killed at any fault point and started again, a run ends as if nobody had killed it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("kill_everywhere.py")


def _kill_everywhere(folder: Path, scenario: str, which: str, seconds: float) -> dict[str, object]:
    command = [sys.executable, str(DRIVER), str(folder), scenario, which]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("scenario", ["new", "changed", "fresh"])
def test_one_point_of_each_kind(tmp_path: Path, scenario: str) -> None:
    outcome = _kill_everywhere(tmp_path, scenario, "first", 600)
    assert outcome["failures"] == {}
    labels = set(outcome["labels"])  # type: ignore[call-overload]
    for point in (
        "BEGIN IMMEDIATE",
        "COMMIT",
        "rename reports html",
        "rename  scores.csv",
        "rename  run.json",
    ):
        assert {f"before {point}", f"after {point}"} <= labels


@pytest.mark.long
@pytest.mark.parametrize("scenario", ["new", "changed", "fresh"])
def test_every_point(tmp_path: Path, scenario: str) -> None:
    outcome = _kill_everywhere(tmp_path, scenario, "every", 3600)
    assert outcome["failures"] == {}
    assert outcome["tried"] == outcome["points"] > 100  # type: ignore[operator]
