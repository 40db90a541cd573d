"""The keeper ends what bears its Ray's mark and nothing else, whenever its driver ends. No Ray is needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from cxrbatch.scoring.on_ray import keeper
from cxrbatch.scoring.on_ray.keeper import MARK, Keeper
from cxrbatch.scoring.on_ray.private import PrivateRay

HOLD = "import sys, time; file = open(sys.argv[1], sys.argv[2]); print('held', flush=True); time.sleep(600)"
"""A process that holds a file open; its command line names it."""

FAMILY = (
    "import os, sys, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork():\n"
    "        os._exit(0)\n"
    "    print(os.getpid(), flush=True)\n"
    "time.sleep(600)\n"
)
"""A process with a grandchild that nobody is the parent of, in a session of its own."""

DRIVER = (
    "import subprocess, time\n"
    "from cxrbatch.scoring.on_ray.private import PrivateRay\n"
    "private = PrivateRay()\n"
    "with private.entered():\n"
    "    child = subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL, start_new_session=True)\n"
    "print(private.for_ray(), child.pid, flush=True)\n"
    "time.sleep(600)\n"
)

Start = Callable[..., subprocess.Popen]
IsRunning = Callable[[int], bool]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python program whose environment has `variables`, and wait for its first line: `said`."""
    started: list[subprocess.Popen] = []

    def begin(program: str, *arguments: object, **variables: str) -> subprocess.Popen:
        command = [sys.executable, "-c", program, *map(str, arguments)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}
        )
        started.append(process)
        process.said = process.stdout.readline().split()
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """That of a Ray, with a log."""
    made = tmp_path / "ray"
    (made / "logs").mkdir(parents=True)
    (made / "logs" / "raylet.out").write_text("log\n")
    return made


def test_what_bears_the_mark_ends_and_bystanders_do_not(
    start: Start, folder: Path, is_running: IsRunning
) -> None:
    log = folder / "logs" / "raylet.out"
    kept = Keeper(str(folder))
    ours = start(HOLD, log, "a", **kept.variables)
    family = start(FAMILY, **kept.variables)
    bystanders = [
        start(HOLD, log, "r"),  # an administrator's `tail -f`
        start(HOLD, log, "a"),
        start(HOLD, log, "r", **{MARK: f"{folder}-2"}),  # of another Ray
        start(HOLD, log, "r", **{f"X{MARK}": str(folder), "OTHER": f"{MARK}={folder}"}),
    ]
    kept.let_go()
    assert ours.wait(20) == -signal.SIGKILL
    assert family.wait(20) == -signal.SIGKILL
    assert not is_running(int(family.said[0]))
    assert [process.poll() for process in bystanders] == [None] * len(bystanders)
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_outlives_a_driver_that_is_killed_with_its_group(
    start: Start, tools: SimpleNamespace, is_running: IsRunning, number: signal.Signals
) -> None:
    driver = start(f"import os; os.setpgid(0, 0)\n{DRIVER}")
    own, child = Path(driver.said[0]), int(driver.said[1])
    assert own.is_dir()
    assert is_running(child)
    os.killpg(driver.pid, number)
    driver.wait(20)
    tools.until(lambda: not is_running(child), "a process left behind", 20)
    tools.until(lambda: not own.parent.exists(), "a folder left behind", 20)


def test_a_driver_that_is_gone_before_it_is_ready(start: Start, folder: Path) -> None:
    ours = start(HOLD, folder / "logs" / "raylet.out", "a", **{MARK: str(folder)})
    theirs, mine = os.pipe()
    os.close(theirs)
    command = [sys.executable, "-I", "-S", keeper.__file__, str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=mine, timeout=60, check=False)
    os.close(mine)
    assert done.returncode == 0
    assert ours.wait(20) == -signal.SIGKILL
    assert not folder.exists()


def test_no_other_process_keeps_it_waiting(
    start: Start, tools: SimpleNamespace, is_running: IsRunning
) -> None:
    """Only the driver holds the pipe's end: one that it started without the mark outlives it."""
    program = DRIVER.replace("with private.entered():", "if True:")
    driver = start(program)
    own, child = Path(driver.said[0]), int(driver.said[1])
    try:
        driver.kill()
        tools.until(lambda: not own.parent.exists(), "a folder left behind", 20)
        assert is_running(child)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_service_manager_does_not_end_it_first(
    start: Start, folder: Path, tools: SimpleNamespace, number: signal.Signals
) -> None:
    kept = Keeper(str(folder))
    ours = start(HOLD, folder / "logs" / "raylet.out", "a", **kept.variables)
    (itself,) = [
        pid for pid, line in tools.command_lines().items() if "keeper.py" in line and str(folder) in line
    ]
    os.kill(itself, number)
    assert ours.poll() is None
    kept.let_go()
    assert ours.wait(20) == -signal.SIGKILL
    assert not folder.exists()


def test_the_drivers_own_environment_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    before = dict(os.environ)
    private = PrivateRay()
    try:
        own = Path(private.for_ray())
        with private.entered():
            assert os.environ[MARK] == os.environ["TMPDIR"] == str(own.parent)
        assert dict(os.environ) == before
        assert own.parent.stat().st_mode & 0o777 == 0o700
    finally:
        private.close()
    assert not own.parent.exists()


def test_a_long_path_for_temporary_files_is_not_rays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets need short paths; everything else stays where it was."""
    long = tmp_path / "quite-a-long-name"
    monkeypatch.setattr("tempfile.tempdir", str(long))
    monkeypatch.setenv("TMPDIR", str(long))
    private = PrivateRay()
    try:
        assert Path(private.for_ray()).parent.parent == Path("/tmp")
        with private.entered():
            assert os.environ["TMPDIR"] == str(long)
    finally:
        private.close()


def test_a_keeper_that_cannot_start_is_an_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(OSError, match="ended itself"):
        Keeper(str(folder))
