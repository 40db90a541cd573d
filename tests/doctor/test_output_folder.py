from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from cxrbatch.doctor.checks import output_folder
from cxrbatch.doctor.outcome import Level, Subject


def test_a_good_folder_is_left_as_it_was(tmp_path: Path) -> None:
    outcome = output_folder.check(Subject(out=tmp_path))
    assert outcome.level is not Level.PROBLEM
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_that_is_yet_to_be_made_is_judged_by_its_parent(tmp_path: Path) -> None:
    assert output_folder.nearest_folder(tmp_path / "runs" / "2026-01-31") == tmp_path


def test_a_folder_that_cannot_be_written_is_a_problem() -> None:
    outcome = output_folder.check(Subject(out=Path("/proc")))  # not even root writes there
    assert outcome.level is Level.PROBLEM
    assert "cannot be written" in outcome.message


@pytest.mark.parametrize(("gibibytes", "level"), [(0.5, Level.PROBLEM), (5, Level.WARNING), (50, Level.OK)])
def test_room_on_the_disk(
    gibibytes: float, level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=int(gibibytes * 2**30))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert output_folder.check(Subject(out=tmp_path)).level is level


def test_a_share_where_sqlite_fails_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite3, "connect", fail)
    outcome = output_folder.check(Subject(out=tmp_path))
    assert outcome.level is Level.PROBLEM
    assert "disk I/O error" in outcome.message


def test_a_share_without_locks_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    outcome = output_folder.check(Subject(out=tmp_path))
    assert outcome.level is Level.WARNING
    assert os.strerror(errno.ENOLCK) in outcome.message
