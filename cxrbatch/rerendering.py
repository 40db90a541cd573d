"""``cxrbatch report``: every page of a finished run again, from what the run folder holds."""

from __future__ import annotations

import multiprocessing
import os
from functools import partial
from pathlib import Path

from cxrbatch import __version__
from cxrbatch.bundles.card import Card
from cxrbatch.deidentification.free_text import withheld
from cxrbatch.deidentification.settings import anonymous_pages, is_deidentified
from cxrbatch.ledger import layout, tables
from cxrbatch.ledger.audit_log import append_event
from cxrbatch.ledger.run_folder import RunFolder, RunFolderError
from cxrbatch.ledger.run_json import read_run_json, write_run_json
from cxrbatch.ledger.schema import ledger_faults_told
from cxrbatch.progress import Progress
from cxrbatch.reporting.content import ReportSettings, RunFacts
from cxrbatch.reporting.night_pages import worklist_rows, write_night_pages
from cxrbatch.reporting.press import PRELOAD, Press
from cxrbatch.request import Summary, reports_for
from cxrbatch.stopping import StopRequested, stop_on_signals
from cxrbatch.workers import WorkerPool


def report(run: Path, settings: ReportSettings, workers: int | None = None) -> Summary:
    """Render every report, the worklist and the audit of a finished run again, from what it stored.

    Raises:
        RunJsonError, LedgerError: `run` is no run folder, or one of another version.
        RunFolderError: it is not finished yet.
        FolderHeldError: a run works in it.
    """
    written = read_run_json(run)
    if written["state"] != "finished":
        raise RunFolderError(f"{run} is not finished: start its `cxrbatch score` command again first.")
    multiprocessing.set_forkserver_preload(PRELOAD)
    folder = RunFolder(run.absolute())
    try:
        card = Card.model_validate(folder.ledger.fact("card"))
        sha256 = written["bundle"]["sha256"]
        facts = RunFacts(folder.run_id, folder.started, written["version"], sha256, card)
        settings = reports_for(settings, card)
        if is_deidentified(folder.ledger):
            settings = anonymous_pages(settings)
        with stop_on_signals() as stop, ledger_faults_told(folder.path / layout.LEDGER):
            _print_all(folder, facts, settings, workers or len(os.sched_getaffinity(0)), stop)
        if stop:
            return Summary(stop.exit_code, "Stopped. Start the same command again.")
        failed = folder.ledger.report_errors()
        written["report_errors"] = failed
        written["counts"]["reports_failed"] = len(failed)
        # Before the pages, which print its digest.
        reported = {"version": __version__, "reports_failed": len(failed)}
        written["audit_log"] = {"newest_line_sha256": append_event(folder.path, "reported", reported)}
        rows = worklist_rows(folder.ledger, card, settings.acute)
        label = tables.bundle_label(card, sha256)
        tables.write_studies(folder.path, (row.study for row in rows), card, label)  # in the worklist's order
        write_night_pages(folder.path, folder.ledger, rows, facts, settings, written)
        write_run_json(folder.path, written)
    finally:
        folder.close()
    return Summary(3 if failed else 0, f"Rendered {len(rows)} reports, {len(failed)} failed.")


def _print_all(
    folder: RunFolder, facts: RunFacts, settings: ReportSettings, workers: int, stop: StopRequested
) -> None:
    is_hidden = is_deidentified(folder.ledger)
    press = Press(folder.path, facts, settings, partial(WorkerPool, workers))
    try:
        for study, _ in folder.ledger.studies():
            press.submit(study)
        with Progress("Reports", press.unfinished, "report") as progress:
            while press.unfinished and not stop:
                for key, problem in press.finished(wait=True):
                    folder.ledger.record_report(key, withheld(problem) if is_hidden else problem)
                    progress.step()
    finally:
        press.close()
