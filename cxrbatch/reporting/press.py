"""Report pages are printed in worker processes, recycled now and then since WeasyPrint frees slowly."""

from __future__ import annotations

import errno
import gc
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

from threadpoolctl import threadpool_limits

from cxrbatch.allocator import keep_freed_memory
from cxrbatch.ledger.atomic import sweep_temporaries
from cxrbatch.ledger.layout import REPORTS
from cxrbatch.ledger.records import StudyRecord
from cxrbatch.reporting.content import ReportSettings, RunFacts
from cxrbatch.reporting.study_report import render_study
from cxrbatch.workers import OpenPool, WorkerDiedError

PRELOAD = ["cxrbatch.reporting.study_report", "cxrbatch.reporting.pdf"]
"""Modules for `multiprocessing.set_forkserver_preload`: imported once instead of in every worker."""

REPORTS_PER_PROCESS = 200
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
REPORT_TIMEOUT = 180.0
"""Seconds after which a page counts as hanging."""


class Press:
    """Prints study reports beside whatever else the run does. One that fails costs only itself."""

    def __init__(self, run: Path, facts: RunFacts, settings: ReportSettings, open_pool: OpenPool) -> None:
        self._fixed = (run, _without_patients(facts), settings)
        self._finished: SimpleQueue[tuple[str, BaseException | None]] = SimpleQueue()
        self._unfinished: set[str] = set()
        self._pool = open_pool(initializer=settle, max_tasks=REPORTS_PER_PROCESS)

    def submit(self, study: StudyRecord) -> None:
        """Queue a study. What it replaces of an older report stays until the new is there."""
        self._unfinished.add(study.key)
        run, facts, settings = self._fixed
        future = self._pool.submit(render_study, run, study, facts, settings, timeout=REPORT_TIMEOUT)
        future.add_done_callback(lambda done: self._finished.put((study.key, _error(done))))

    def finished(self, *, wait: bool = False, seconds: float = 1.0) -> Iterator[tuple[str, str]]:
        """Study key and problem (blank: none) of each report that ended since the last call.

        With `wait`, waits up to `seconds` for the first one.

        Raises:
            OSError: the disk is full or read-only. No report is at fault, and none of the rest would be
                written: they stay to be printed by the next start.
        """
        while self._unfinished:
            try:
                result = self._finished.get(timeout=seconds) if wait else self._finished.get_nowait()
            except Empty:
                return
            wait = False
            key, error = result
            if isinstance(error, OSError) and error.errno in _DISK_FAULTS:
                raise error
            self._unfinished.discard(key)
            yield key, _problem(error)

    @property
    def unfinished(self) -> int:
        """Reports that were submitted and not yet handed out by `finished`."""
        return len(self._unfinished)

    def close(self) -> None:
        """End the workers. Reports in work are dropped; the next start prints them anew."""
        self._pool.close()
        for key in self._unfinished:
            sweep_temporaries(self._fixed[0] / REPORTS / key)


def _without_patients(facts: RunFacts) -> RunFacts:
    """The facts without the hashes of the training patients' IDs: no page shows them, they may be megabytes,
    and the facts travel with every report."""
    training = facts.card.training_data
    if training is None:
        return facts
    light = training.model_copy(update={"patient_id_hashes": ()})
    return replace(facts, card=facts.card.model_copy(update={"training_data": light}))


def settle() -> None:
    """In a worker: there are as many as processors, so products of matrices stay in one thread each.

    A page is made of many small objects. Looking for garbage among them, and among all that is imported,
    after every 700 new ones costs a twelfth of its time and finds little.
    """
    threadpool_limits(1)
    keep_freed_memory()
    gc.freeze()
    gc.set_threshold(50_000, 5, 5)


def _error(future: Future) -> BaseException | None:
    return CancelledError() if future.cancelled() else future.exception()


def _problem(error: BaseException | None) -> str:
    match error:
        case None:
            return ""
        case CancelledError():
            return "The run was stopped before this report was printed."
        case TimeoutError():
            return f"Rendering did not end within {REPORT_TIMEOUT:g} s."
        case WorkerDiedError():
            return f"The rendering process ended unexpectedly (exit code {error.exitcode})."
        case _:
            return f"{type(error).__name__}: {error}"
