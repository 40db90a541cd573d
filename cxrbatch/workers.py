"""A pool of processes that outlives what is done in it: a task may crash, hang or eat its memory.

Each worker has a thread of its own in this process and is handed one task at a time through a pipe of its
own. So it is always known which task a worker died of, a hang is measured by the clock that nobody sets, and
when this process is killed no worker finds more work: each notices within milliseconds and ends.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from queue import SimpleQueue
from typing import Any, Protocol

START_SECONDS = 120.0
"""Seconds within which a new worker must have taken its first task in hand."""
STARTS = 3
"""Workers that are started for a task before the machine is held to be at fault."""

_LAST_SECONDS = 0.2
"""For a worker that is ending by itself: its own exit code says more than that of our kill."""

_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
_CHILDREN = threading.Lock()
"""For starting a process and asking after one: multiprocessing does not expect several threads to do so."""


class WorkerDiedError(Exception):
    """The worker that was busy with the task ended; `exitcode` is negative for a signal."""

    def __init__(self, exitcode: int | None) -> None:
        super().__init__(exitcode)
        self.exitcode = exitcode


class Executor(Protocol):
    """What carries out tasks: a `WorkerPool`, or whatever does the same on other machines."""

    def submit(self, function: Callable[..., Any], *arguments: Any, timeout: float) -> Future:
        """See `WorkerPool.submit`."""

    def close(self) -> None:
        """See `WorkerPool.close`."""


class OpenPool(Protocol):
    """Makes an executor whose workers are set up by `initializer` and replaced after `max_tasks`."""

    def __call__(
        self, *, initializer: Callable[..., object] | None = None, max_tasks: int | None = None
    ) -> Executor: ...


@dataclass(frozen=True, slots=True)
class _Task:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    timeout: float
    future: Future = field(default_factory=Future)


class WorkerPool:
    """Processes forked from a small server, not from this one: TensorFlow's threads do not survive a fork."""

    def __init__(
        self,
        workers: int,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        max_tasks: int | None = None,
    ) -> None:
        """Nothing is started before there is work.

        Args:
            initializer: called with `initargs` in each new worker.
            max_tasks: a worker is replaced after this many tasks.
        """
        self._initializer = (initializer, initargs)
        self._max_tasks = max_tasks
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._workers: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closing = False
        # Before multiprocessing's own end, which sends a signal that workers ignore, and waits.
        self._at_exit = Finalize(self, self._kill, exitpriority=100)
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., Any], *arguments: Any, timeout: float) -> Future:
        """Have a worker call `function`, which must be picklable, as its result must be.

        The future raises what the function raised; TimeoutError after `timeout` seconds of work;
        `WorkerDiedError` where its worker died of it.
        """
        task = _Task(function, arguments, timeout)
        self._tasks.put(task)
        return task.future

    def close(self) -> None:
        """End the workers, whatever they are doing. Every future that is not done yet ends with an error."""
        self._kill()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        self._at_exit.cancel()

    def _kill(self) -> None:
        with self._lock:
            self._closing = True
            for worker in self._workers:
                worker.process.kill()

    def _serve(self) -> None:
        """One worker's thread."""
        worker: _Worker | None = None
        while (task := self._tasks.get()) is not None:
            if self._closing:
                task.future.cancel()
                task.future.set_running_or_notify_cancel()
                continue
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                if worker is None or worker.ended:
                    worker = self._start()
                worker = self._carry_out(task, worker)
            except BaseException as error:
                task.future.set_exception(error)
            if worker is not None and worker.tasks_done == self._max_tasks:
                worker.end()
                worker = None
        if worker is not None:
            worker.end()

    def _carry_out(self, task: _Task, worker: _Worker) -> _Worker:
        """Settle the task's future; the worker returned is the one that did it in the end."""
        spared = False
        for _ in range(STARTS):
            if worker.ended or not worker.is_alive():
                worker.end()
                worker = self._start()
            if not worker.take(task):
                continue  # it died between two tasks: no fault of this one
            try:
                task.future.set_result(worker.result(task.timeout))
            except WorkerDiedError as error:
                # No codec kills itself like that: the system ran out of memory, or someone stops everything.
                if error.exitcode in _FROM_OUTSIDE and not spared and not self._closing:
                    spared = True
                    continue
                task.future.set_exception(error)
            except Exception as error:
                task.future.set_exception(error)
            return worker
        raise WorkerDiedError(None)

    def _start(self) -> _Worker:
        with self._lock:
            if self._closing:
                raise WorkerDiedError(None)
            worker = _Worker(*self._initializer)
            self._workers = {other for other in self._workers if not other.ended} | {worker}
            return worker


class _Worker:
    """A process, and our end of its pipe."""

    def __init__(self, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
        context = multiprocessing.get_context("forkserver")
        self._pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_work, args=(theirs, initializer, initargs), daemon=True
        )
        self.tasks_done = 0
        self.ended = False
        with _CHILDREN:
            _start_server()
            self.process.start()
        theirs.close()

    def is_alive(self) -> bool:
        with _CHILDREN:
            return self.process.is_alive()

    def take(self, task: _Task) -> bool:
        """Hand over a task; False where the worker died before it had it in hand."""
        try:
            self._pipe.send((task.function, task.arguments))
            if self._pipe.poll(START_SECONDS):
                self._pipe.recv()
                return True
        except (OSError, EOFError):
            pass
        self.end()
        return False

    def result(self, timeout: float) -> Any:
        """What the task gave or raised; a worker that hangs or died of it is at its end."""
        try:
            if not self._pipe.poll(timeout):
                self.end()
                raise TimeoutError
            succeeded, value = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise WorkerDiedError(self.end()) from error
        self.tasks_done += 1
        if succeeded:
            return value
        raise value

    def end(self) -> int | None:
        """Make sure that the process is gone; its exit code."""
        if not self.ended:
            self.ended = True
            self._pipe.close()
            with _CHILDREN:
                self.process.join(_LAST_SECONDS)
                self.process.kill()
                self.process.join()
        return self.process.exitcode


def _start_server() -> None:
    """The fork server ignores SIGTERM: a service manager sends it to all of a run's processes at once.

    Blocked signals are inherited; what comes here meanwhile is delivered afterwards.
    """
    resource_tracker.ensure_running()  # on its own, since it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
    """A worker's life."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the main process decides when work ends
        signal.signal(number, signal.SIG_IGN)
    _silence_libraries()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*initargs)
    while True:
        try:
            function, arguments = pipe.recv()
            pipe.send(None)
        except (EOFError, OSError):  # the main process has gone
            return
        try:
            outcome = (True, function(*arguments))
        except Exception as error:
            outcome = (False, error)
        try:
            _send(pipe, outcome)
        except OSError:  # it went meanwhile: nobody is left to tell, least of all by a traceback
            return


def _send(pipe: Connection, outcome: tuple[bool, Any]) -> None:
    try:
        pipe.send(outcome)
    except (TypeError, AttributeError, ValueError) as error:  # what cannot be pickled
        pipe.send((False, RuntimeError(f"{type(error).__name__}: {error}")))


def _silence_libraries() -> None:
    """What libraries say of a file or a page may quote patient data, and would go to the night's log."""
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())  # else warnings go to stderr by default


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "only called in a worker"
    parent.join()
    os._exit(1)
