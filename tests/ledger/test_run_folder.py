"""Run folders: new, resumed, started over, refused; one run at a time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cxrbatch.ledger.atomic import TEMPORARY_MARK, write_atomic
from cxrbatch.ledger.lease import LEASE, FolderHeldError, Lease
from cxrbatch.ledger.run_folder import RunFolder, RunFolderError
from cxrbatch.ledger.run_json import RunJsonError, read_run_json, write_run_json
from cxrbatch.ledger.schema import LedgerError


def test_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run_id, started = folder.run_id, folder.started
    folder.close()
    again = RunFolder(tmp_path / "run")
    assert (again.run_id, again.started, again.is_new) == (run_id, started, False)
    again.close()


def test_fresh_run_keeps_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run_id = folder.run_id
    folder.close()
    (tmp_path / "run" / "reports" / "x").mkdir(parents=True)
    (tmp_path / "run" / "scores.csv").write_text("old")
    again = RunFolder(tmp_path / "run", fresh=True)
    assert again.run_id != run_id
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [LEASE, "ledger.db"]
    again.close()


@pytest.mark.parametrize("fresh", [False, True])
def test_folder_with_something_else_in_it_is_never_touched(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunFolderError, match=r"is no run folder.*thesis\.txt"):
        RunFolder(tmp_path, fresh=fresh)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.settle("settings", {"bundle": "a", "threads": 2})
    folder.settle("settings", {"bundle": "a", "threads": 2})
    with pytest.raises(RunFolderError, match="threads was 2 and is now 4"):
        folder.settle("settings", {"bundle": "a", "threads": 4})
    folder.close()


def test_ledger_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.ledger._db.execute("PRAGMA user_version = 99")
    folder.close()
    with pytest.raises(LedgerError, match="schema version 99"):
        RunFolder(tmp_path / "run")


def test_damaged_ledger_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "ledger.db").write_bytes(b"no database " * 1000)
    with pytest.raises(LedgerError, match="damaged"):
        RunFolder(run)


def test_temporary_files_of_a_killed_run_are_swept(tmp_path: Path) -> None:
    run = tmp_path / "run"
    RunFolder(run).close()
    (run / "store" / "s").mkdir(parents=True)
    (run / "store" / "s" / f"{TEMPORARY_MARK}0").write_bytes(b"half")
    RunFolder(run).close()
    assert list((run / "store" / "s").iterdir()) == []


def test_second_run_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from cxrbatch.ledger.lease import Lease;"
        "Lease.take(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderHeldError, match=f"pid {holder.pid}"):
            Lease.take(tmp_path)
    finally:
        holder.kill()
        holder.wait()
    Lease.take(tmp_path).release()  # a dead holder holds nothing


def _lease_of_another_machine(folder: Path, age: float) -> None:
    (folder / LEASE).write_text(
        json.dumps({"host": f"not-{socket.gethostname()}", "pid": 1, "since": "2026-01-01T00:00:00+0000"})
    )
    then = time.time() - age
    os.utime(folder / LEASE, (then, then))


def test_lease_of_another_machine_holds_while_its_heart_beats(tmp_path: Path) -> None:
    _lease_of_another_machine(tmp_path, age=10)
    with pytest.raises(FolderHeldError, match=f"not-{socket.gethostname()}"):
        Lease.take(tmp_path)


def test_lease_of_another_machine_that_died_is_taken_over(tmp_path: Path) -> None:
    _lease_of_another_machine(tmp_path, age=1000)
    Lease.take(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "scores.csv"
    write_atomic(target, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


def test_run_json_of_an_unknown_version_is_refused(tmp_path: Path) -> None:
    write_run_json(tmp_path, {"state": "finished"})
    assert read_run_json(tmp_path)["state"] == "finished"
    (tmp_path / "run.json").write_text('{"schema_version": 2}')
    with pytest.raises(RunJsonError, match="schema version 2"):
        read_run_json(tmp_path)


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_damaged_run_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunJsonError):
        read_run_json(tmp_path)
