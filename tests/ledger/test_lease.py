"""The lease on a run folder: lost during a standstill, fought over, on file systems without locks."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cxrbatch.ledger import lease as lease_module
from cxrbatch.ledger.lease import LEASE, FolderHeldError, Holder, Lease


def _write(folder: Path, holder: Holder, age: float = 0.0) -> None:
    (folder / LEASE).write_text(json.dumps(asdict(holder)))
    then = time.time() - age
    os.utime(folder / LEASE, (then, then))


def _elsewhere() -> Holder:
    return replace(Holder.this_process(), host="night-2", boot="another start of another machine")


def _no_locks(*_: object) -> None:
    raise OSError(37, "No locks available")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(lease_module, "TAKEOVER_SECONDS", 0.3)


@pytest.mark.usefixtures("quick")
def test_lease_that_another_machine_took_over_is_noticed_and_left_alone(tmp_path: Path) -> None:
    lease = Lease.take(tmp_path)
    lease.require_held()
    other = _elsewhere()
    _write(tmp_path, other)
    time.sleep(0.3)
    with pytest.raises(FolderHeldError, match="night-2") as caught:
        lease.require_held()
    assert caught.value.holder == other
    lease.release()
    assert json.loads((tmp_path / LEASE).read_text())["token"] == other.token


def test_standstill_is_noticed_before_the_next_beat(tmp_path: Path) -> None:
    lease = Lease.take(tmp_path)  # its heart will beat in 20 s
    _write(tmp_path, _elsewhere())
    with pytest.raises(FolderHeldError):
        lease.require_held()
    lease.release()


DAY = 86400.0


@pytest.mark.usefixtures("quick")
def test_dead_holders_lease_from_before_the_clock_was_set_back_is_taken_over(tmp_path: Path) -> None:
    _write(tmp_path, _elsewhere(), age=-DAY)
    Lease.take(tmp_path).release()


@pytest.mark.usefixtures("quick")
def test_clock_set_back_a_little_keeps_a_living_holders_lease(tmp_path: Path) -> None:
    _write(tmp_path, _elsewhere(), age=-30)
    with pytest.raises(FolderHeldError):
        Lease.take(tmp_path)


@pytest.mark.parametrize("age", [DAY, -DAY])
def test_holder_whose_lease_seems_a_day_old_after_a_jump_gives_way_before_it_writes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float
) -> None:
    """The clock of a share jumps between two beats, and another machine takes the living holder for dead."""
    monkeypatch.setattr(lease_module, "TAKEOVER_SECONDS", 0.01)
    monkeypatch.setattr(fcntl, "flock", _no_locks)  # as on another machine
    first = Lease.take(tmp_path)
    _write(tmp_path, first._mine, age=age)
    second = Lease.take(tmp_path)
    with pytest.raises(FolderHeldError):
        first.require_held()
    second.require_held()
    first.release()
    second.require_held()
    second.release()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("age", [DAY, -DAY])
def test_heart_mends_the_lease_after_a_jump_of_the_clock(tmp_path: Path, age: float) -> None:
    lease = Lease.take(tmp_path)
    _write(tmp_path, lease._mine, age=age)
    deadline = time.monotonic() + 60
    while abs(time.time() - (tmp_path / LEASE).stat().st_mtime) > 80:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    lease.release()


@pytest.mark.usefixtures("quick")
def test_lease_that_was_taken_over_and_given_back_is_lost_too(tmp_path: Path) -> None:
    lease = Lease.take(tmp_path)
    (tmp_path / LEASE).unlink()
    time.sleep(0.3)
    with pytest.raises(FolderHeldError, match="another process"):
        lease.require_held()
    lease.release()


@pytest.mark.usefixtures("quick")
def test_heart_keeps_the_lease_young(tmp_path: Path) -> None:
    lease = Lease.take(tmp_path)
    _write(tmp_path, lease._mine, age=1000)
    time.sleep(0.3)
    assert time.time() - (tmp_path / LEASE).stat().st_mtime < 5
    lease.require_held()
    lease.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_container_of_another_name_on_this_machine_that_died_is_taken_over_at_once(tmp_path: Path) -> None:
    _write(tmp_path, replace(Holder.this_process(), host="container-1"))
    Lease.take(tmp_path).release()


@pytest.mark.usefixtures("quick")
def test_machine_of_the_same_name_is_another_machine(tmp_path: Path) -> None:
    _write(tmp_path, replace(_elsewhere(), host=Holder.this_process().host))
    with pytest.raises(FolderHeldError):
        Lease.take(tmp_path)


@pytest.mark.usefixtures("quick")
def test_without_locks_the_heartbeat_alone_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", _no_locks)
    lease = Lease.take(tmp_path)
    with pytest.raises(FolderHeldError, match=f"pid {os.getpid()}"):
        Lease.take(tmp_path)
    lease.release()
    _write(tmp_path, Holder.this_process(), age=1000)
    Lease.take(tmp_path).release()


@pytest.mark.parametrize("locks", [True, False])
def test_of_many_that_take_over_a_dead_holders_lease_at_once_one_wins(tmp_path: Path, locks: bool) -> None:
    _write(tmp_path, _elsewhere(), age=1000)
    code = (
        "import sys, time, fcntl; from pathlib import Path; from cxrbatch.ledger import lease\n"
        "def none(*_): raise OSError(37, 'No locks available')\n"
        "if sys.argv[2] == 'False': fcntl.flock = none\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "try: lease.Lease.take(Path(sys.argv[1])); print('mine', flush=True)\n"
        "except lease.FolderHeldError: print('held', flush=True)\n"
        "sys.stdin.readline()"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(locks)]
    takers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    try:
        for taker in takers:
            assert taker.stdout is not None
            assert taker.stdout.readline() == "ready\n"
        for taker in takers:
            assert taker.stdin is not None
            taker.stdin.write("go\n")
            taker.stdin.flush()
        results = [taker.stdout.readline() for taker in takers]  # type: ignore[union-attr]
        assert sorted(results) == ["held\n"] * 3 + ["mine\n"]
    finally:
        for taker in takers:
            taker.kill()
            taker.communicate()
