"""Worker processes: what one of them suffers is known, and costs nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cxrbatch.workers import WorkerDiedError, WorkerPool, _work


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1)
    yield pool
    pool.close()


def _die_by(number: int, path: str, times: int) -> str:
    """End by a signal as long as this was not done `times` before, as counted in a file."""
    done = len(Path(path).read_text()) if Path(path).exists() else 0
    if done < times:
        Path(path).write_text("x" * (done + 1))
        os.kill(os.getpid(), number)
        time.sleep(10)
    return "done"


def _unpicklable() -> object:
    return lambda: None


def test_results_and_errors_come_back(pool: WorkerPool) -> None:
    assert pool.submit(divmod, 7, 2, timeout=60).result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 7, 0, timeout=60).result()
    with pytest.raises(RuntimeError):
        pool.submit(_unpicklable, timeout=60).result()
    assert pool.submit(divmod, 9, 2, timeout=60).result() == (4, 1)


def test_crash_is_told_with_its_signal_and_not_tried_again(pool: WorkerPool, tmp_path: Path) -> None:
    crash = pool.submit(_die_by, signal.SIGSEGV, str(tmp_path / "n"), 1, timeout=60)
    after = pool.submit(divmod, 7, 2, timeout=60)
    with pytest.raises(WorkerDiedError) as caught:
        crash.result()
    assert caught.value.exitcode == -signal.SIGSEGV
    assert after.result() == (3, 1)
    assert (tmp_path / "n").read_text() == "x"


@pytest.mark.parametrize(("times", "survives"), [(1, True), (2, False)])
def test_task_of_a_worker_killed_from_outside_gets_one_more(
    pool: WorkerPool, tmp_path: Path, times: int, survives: bool
) -> None:
    future = pool.submit(_die_by, signal.SIGKILL, str(tmp_path / "n"), times, timeout=60)
    if survives:
        assert future.result() == "done"
    else:
        with pytest.raises(WorkerDiedError):
            future.result()


def test_worker_that_died_between_two_tasks_is_replaced(pool: WorkerPool) -> None:
    for _ in range(3):
        pid = pool.submit(os.getpid, timeout=60).result()
        os.kill(pid, signal.SIGKILL)
    assert pool.submit(os.getpid, timeout=60).result() != pid


def test_many_crashes_in_a_row_leave_no_future_open() -> None:
    pool = WorkerPool(3)
    try:
        futures = [pool.submit(os._exit if n % 2 else divmod, *((9,) if n % 2 else (n, 3)), timeout=60)
                   for n in range(24)]  # fmt: skip
        for n, future in enumerate(futures):
            if n % 2:
                with pytest.raises(WorkerDiedError):
                    future.result(timeout=60)
            else:
                assert future.result(timeout=60) == divmod(n, 3)
    finally:
        pool.close()


def test_hang_is_ended_whatever_the_clock_on_the_wall_says(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = pool.submit(time.sleep, 0.5, timeout=5)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    slow.result()
    monkeypatch.undo()
    with pytest.raises(TimeoutError):
        pool.submit(time.sleep, 60, timeout=0.2).result()


def test_signals_of_a_service_manager_do_not_end_workers(pool: WorkerPool) -> None:
    busy = pool.submit(time.sleep, 1, timeout=60)
    pid = pool.submit(os.getpid, timeout=60)
    time.sleep(0.2)
    busy.result()
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(pid.result(), number)
    assert pool.submit(os.getpid, timeout=60).result() == pid.result()


def test_closing_ends_every_future_and_process() -> None:
    pool = WorkerPool(1)
    pid = pool.submit(os.getpid, timeout=60).result()
    futures = [pool.submit(time.sleep, 60, timeout=600) for _ in range(3)]
    begun = time.monotonic()
    pool.close()
    assert time.monotonic() - begun < 10
    assert all(future.done() for future in futures)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_workers_are_recycled() -> None:
    pool = WorkerPool(1, max_tasks=2)
    try:
        pids = [pool.submit(os.getpid, timeout=60).result() for _ in range(4)]
    finally:
        pool.close()
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_nothing_goes_on_after_the_main_process_was_killed(
    tmp_path: Path, is_running: Callable[[int], bool]
) -> None:
    """Neither the task in hand nor those that wait: they would write into a run that was started again."""
    log = tmp_path / "log"
    code = (
        "import sys, time, os; from cxrbatch.workers import WorkerPool; pool = WorkerPool(1);"
        "first = pool.submit(os.getpid, timeout=60).result();"
        "pool.submit(time.sleep, 0.3, timeout=60);"
        '[pool.submit(exec, f\'open({sys.argv[1]!r}, "a").write("x")\', timeout=60) for _ in range(5)];'
        "print(first, flush=True); time.sleep(60)"
    )
    main = subprocess.Popen([sys.executable, "-c", code, str(log)], stdout=subprocess.PIPE, text=True)
    assert main.stdout is not None
    worker = int(main.stdout.readline())
    main.kill()
    main.wait()
    deadline = time.monotonic() + 10
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(worker)
    assert not log.exists()


def test_a_worker_whose_main_process_went_while_it_worked_ends_in_silence(
    capfd: pytest.CaptureFixture[str],
) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_work, args=(theirs, None, ()))
    worker.start()
    theirs.close()
    ours.send((time.sleep, (0.3,)))
    assert ours.recv() is None  # it has begun
    ours.close()
    worker.join(60)
    assert worker.exitcode == 0
    assert capfd.readouterr().err == ""
