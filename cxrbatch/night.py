"""One run, from a folder of files to reports: the only place where the rooms are joined.

Read `Night.run` first: it is the order of events, and the same whether the run is new or resumed, since
each step asks the ledger what is still to be done.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxrbatch import __version__
from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.bundles.prevalence import at_prevalence
from cxrbatch.deidentification.labels import pseudonymous_labels
from cxrbatch.deidentification.names import Names, open_names
from cxrbatch.deidentification.settings import check_mode
from cxrbatch.evaluation.labels import Labels
from cxrbatch.film_check.judgement import Judgement
from cxrbatch.film_check.of_run import NONE, judge_of_run
from cxrbatch.inbox import take_in
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import Rejection, SourceFile
from cxrbatch.intake.studies import percent_encode
from cxrbatch.intake.walk import walk
from cxrbatch.ledger import layout, tables
from cxrbatch.ledger.account import Counts, LeftOut, RunState, account
from cxrbatch.ledger.audit_log import append_event
from cxrbatch.ledger.ledger import PendingImage
from cxrbatch.ledger.records import ScoredImage
from cxrbatch.ledger.run_folder import RunFolder
from cxrbatch.ledger.run_json import write_run_json
from cxrbatch.ledger.schema import ledger_faults_told
from cxrbatch.ledger.shelf import Shelf
from cxrbatch.ledger.space import require_space
from cxrbatch.pipeline.decoder_pool import FailedFilm, FilmFile
from cxrbatch.progress import Progress
from cxrbatch.reporting.content import ReportSettings, RunFacts
from cxrbatch.reporting.night_pages import print_night_pages, worklist_rows
from cxrbatch.reporting.press import PRELOAD, Press
from cxrbatch.request import Request, RequestError, Summary, labels_for, reports_for
from cxrbatch.scoring.engine import (
    Engine,
    EngineLostError,
    Outcome,
    ScoredFilm,
    Scorer,
    ScoringPlan,
    Surroundings,
)
from cxrbatch.scoring.engines import EngineChoice, open_engine
from cxrbatch.stopping import StopNow, StopRequested, stop_on_signals
from cxrbatch.validation.inputs import Model
from cxrbatch.validation.run import validate_night
from cxrbatch.workers import WorkerDiedError, WorkerPool

_log = logging.getLogger("cxrbatch")

PAGES_TIMEOUT = 3600.0
"""Seconds after which making the pages of a whole night counts as hanging."""


def score(request: Request) -> Summary:
    """Make, or resume, a run. Everything it learns lies in the run folder; messages go to the log.

    Raises:
        RequestError, LabelsError, InputNotFoundError, BundleError, RunFolderError, NoSpaceError,
            FolderHeldError: before anything is scored; each message says what to do.
        FolderHeldError: also later, where another machine took the folder over during a standstill.
        LedgerError, OSError: the run folder cannot be written (full, read-only): start the same command
            again once that is mended.
    """
    with stop_on_signals() as stop:
        return _score(request, stop)


def _score(request: Request, stop: StopRequested) -> Summary:
    found = walk(request.inputs, exclude=[request.out])
    bundle = open_bundle(request.model)
    bundle = replace(bundle, card=at_prevalence(bundle.card, request.prevalence))
    request = replace(request, reports=reports_for(request.reports, bundle.card))
    labels = None if request.labels is None else labels_for(request.labels, bundle.card)
    # Workers are forked from a small server process that has already imported what they need.
    preload = ("cxrbatch.pipeline.decoding", *PRELOAD)
    multiprocessing.set_forkserver_preload(list(preload))
    names = open_names(request.deidentify, request.out)
    folder = RunFolder(request.out.absolute(), fresh=request.fresh)
    try:
        with (
            ledger_faults_told(folder.path / layout.LEDGER),
            closing(_open_engine(request, bundle, folder, preload, stop)) as engine,
        ):
            night = Night(request, bundle, folder, engine, stop, names)
            summary = night.run(found)
            if labels is not None and night.is_finished:
                night.validate(labels)
            return summary
    finally:
        try:
            folder.close()
        finally:
            names.close()


def _open_engine(
    request: Request, bundle: Bundle, folder: RunFolder, preload: tuple[str, ...], stop: StopRequested
) -> Engine:
    choice = EngineChoice(request.engine, request.workers, request.ray_address, request.cpus_per_scorer)
    around = Surroundings(
        folder.path, request.inputs, bundle, request.model, preload, stopping=lambda: bool(stop)
    )
    return open_engine(choice, around)


class Night:
    """The run itself. One instance, one `run`."""

    def __init__(
        self,
        request: Request,
        bundle: Bundle,
        folder: RunFolder,
        engine: Engine,
        stop: StopRequested,
        names: Names,
    ) -> None:
        self._request = request
        self._names = names
        self._bundle = bundle
        self._folder = folder
        self._ledger = folder.ledger
        self._engine = engine
        self._shelf = Shelf(folder.path)
        self._stop = stop
        self._left_out = LeftOut()
        self._seconds: dict[str, float] = {}
        self._facts = RunFacts(folder.run_id, folder.started, __version__, bundle.sha256, bundle.card)
        check_mode(folder, names)
        self._film_judge = judge_of_run(bundle, self._ledger.fact("settings"), request.reject_unusual)
        folder.settle("settings", self._settings())
        # For rendering again one day, when the bundle may be gone.
        self._ledger.record_fact("card", bundle.card.model_dump(mode="json"))

    def run(self, found: Iterator[SourceFile | Rejection]) -> Summary:
        """The order of events."""
        self._note("started" if self._folder.is_new else "resumed")
        try:
            with self._timed("intake"):
                self._take_in(found)
        except StopNow:
            return self._stopped()
        if self.is_finished:
            return self._summary()  # nothing has changed since then
        self._require_space()
        write_run_json(self._folder.path, self._account("running"))
        with self._timed("scoring_and_reports"):
            press = self._start_press()
            try:
                if not self._stop:
                    self._score(press)
                self._report(press)
                self._commit()
            except EngineLostError:
                self._ledger.rollback()
                if not self._stop:  # a service manager stops an engine's processes together with this one
                    raise
            except BaseException:
                self._ledger.rollback()
                raise
            finally:
                if press is not None:
                    press.close()
        if self._stop:
            return self._stopped()
        with self._timed("tables"):
            self._write_tables()
        return self._stopped() if self._stop else self._finish()

    def _take_in(self, found: Iterator[SourceFile | Rejection]) -> None:
        take_in(
            found,
            self._request,
            self._ledger,
            self._bundle.sha256,
            self._engine.pool,
            self._left_out,
            self._names,
            self._stop,
        )

    def _require_space(self) -> None:
        settings = self._request.reports
        pending = (image for page in self._ledger.pending_pages() for image in page)
        require_space(self._folder.path, pending, reports=settings.html or settings.pdf)

    def _commit(self) -> None:
        self._folder.require_held()
        self._ledger.commit()

    def _commit_if_due(self) -> None:
        if self._ledger.commit_is_due:
            self._commit()

    # -- scoring

    def _score(self, press: Press | None) -> None:
        left = self._ledger.file_states()["pending"]
        if not left:
            return
        scorer = self._start_scorer()
        in_hand: dict[int, PendingImage] = {}
        try:
            with Progress("Scoring", left, "image") as progress:
                for outcome in () if self._stop else scorer.score(self._films(in_hand)):
                    image = in_hand.pop(outcome.file.ordinal)
                    self._record(image, outcome)
                    progress.step(status=self._engine.status)
                    self._commit_and_print(image.study_key, press)
                    if self._stop:
                        return
        finally:
            scorer.close()

    def _films(self, in_hand: dict[int, PendingImage]) -> Iterator[FilmFile]:
        """What is still to be scored, in order; each image is put into `in_hand` as it is asked for."""
        for page in self._ledger.pending_pages():
            for image in page:
                in_hand[image.ordinal] = image
                yield self._film(image)

    def _film(self, image: PendingImage) -> FilmFile:
        header = image.header
        return FilmFile(
            image.ordinal,
            self._names.real_path(image.path),
            header.kind,
            header.rows,
            header.columns,
            layout.shelf_mark(image.study_key, layout.image_key(image.path)),
            hidden=header.may_be_burned_in and self._names.leaves_out_burned_in,
        )

    def _start_scorer(self) -> Scorer:
        request = self._request
        begun = self._ledger.fact("arithmetic")
        if isinstance(begun, dict):  # a resumed run computes as it began, unless it is told otherwise
            threads = request.threads or begun["threads"]
            batch_size = request.batch_size or begun["batch_size"]
        else:
            threads, batch_size = request.threads, request.batch_size
        plan = ScoringPlan(
            model=request.model,
            keep=self._shelf,
            runtime=request.runtime,
            batch_size=batch_size,
            threads=threads,
            mixed_precision=request.mixed_precision,
            decode_timeout=request.decode_timeout,
            fast_decode=request.fast_decode,
        )
        try:
            scorer = self._engine.scorer(self._bundle, plan)
        except ValueError as error:
            raise RequestError(str(error)) from error
        try:
            self._folder.settle("arithmetic", scorer.arithmetic)
        except BaseException:
            scorer.close()
            raise
        return scorer

    def _record(self, image: PendingImage, outcome: Outcome) -> None:
        """The engine has put files on disk; what is not scored after all is taken away before the ledger
        says so."""
        names = self._names
        found = outcome.failure if isinstance(outcome, FailedFilm) else outcome.decoded
        if found.source is not None and names.source(found.source) != image.source:
            # What its header said may no longer hold. An unreadable file is looked at again on every start.
            self._shelf.clear(outcome.file.shelf_mark)
            detail = "The file changed while the run was going on: start the same command again to score it."
            self._ledger.record_rejection(image.path, Reason.UNREADABLE, detail, "")
            return
        if isinstance(outcome, FailedFilm):
            failure = outcome.failure
            detail, file_sha256 = names.sentence(failure.detail), names.digest(failure.file_sha256)
            self._ledger.record_rejection(image.path, failure.reason, detail, file_sha256)
            return
        decoded = outcome.decoded
        file_sha256, pixel_digest = names.digest(decoded.file_sha256), names.digest(decoded.pixel_digest)
        uid = image.header.image_uid
        twin = self._ledger.twin(image.path, image.study_key, uid, pixel_digest) if uid else None
        if twin is not None:
            self._shelf.clear(outcome.file.shelf_mark)
            detail = f"The same image as {percent_encode(twin)}, which was scored."
            self._ledger.record_rejection(image.path, Reason.DUPLICATE, detail, file_sha256)
            return
        judged = self._judged(outcome)
        if judged.rejection:
            self._shelf.clear(outcome.file.shelf_mark)
            self._ledger.record_rejection(image.path, Reason.LOOKS_WRONG, judged.rejection, file_sha256)
            return
        rows, columns = decoded.full_size or (decoded.rows, decoded.columns)
        key = layout.image_key(image.path)
        scored = ScoredImage(
            path=image.path,
            study_key=image.study_key,
            image_key=key,
            header=image.header,
            rows=rows,
            columns=columns,
            probabilities=tuple(outcome.probabilities.tolist()),
            display_file=layout.display_file(image.study_key, key),
            maps_file=layout.maps_file(image.study_key, key) if outcome.has_maps else None,
            atypicality=None if outcome.look is None else outcome.look.atypicality,
            notes=(*judged.notes, *image.header.notes, *map(names.sentence, decoded.notes)),
            wrong=None if outcome.look is None else outcome.look.wrong,
        )
        self._ledger.record_score(scored, pixel_digest, file_sha256)

    def _judged(self, outcome: ScoredFilm) -> Judgement:
        """Whether the film looks like one, and what is to be said of that."""
        judge = self._film_judge
        return Judgement() if judge is None else judge(outcome.look, outcome.decoded.notes)

    # -- reports

    def _start_press(self) -> Press | None:
        settings = self._request.reports
        if not (settings.html or settings.pdf):
            return None
        press = Press(self._folder.path, self._facts, settings, self._engine.pool)
        for key in self._ledger.unreported():
            press.submit(self._ledger.study(key))
        return press

    def _commit_and_print(self, study_key: str, press: Press | None) -> None:
        if self._ledger.close_study(study_key) and press is not None:
            press.submit(self._ledger.study(study_key))
        if press is not None:
            for key, problem in press.finished():
                self._ledger.record_report(key, self._names.sentence(problem))
        self._commit_if_due()

    def _report(self, press: Press | None) -> None:
        """Wait for what is still being printed."""
        for key in self._ledger.open_studies():  # studies of which a file was taken away or rejected
            self._commit_and_print(key, press)
        for key in self._ledger.emptied_studies():
            for part in (layout.REPORTS, layout.STORE):
                shutil.rmtree(self._folder.path / part / key, ignore_errors=True)
        if press is None:
            for key in self._ledger.unreported():
                self._ledger.record_report(key)
            return
        with Progress("Reports", press.unfinished, "report") as progress:
            while press.unfinished and not self._stop:
                for key, problem in press.finished(wait=True):
                    self._ledger.record_report(key, self._names.sentence(problem))
                    progress.step(status=self._engine.status)
                self._commit_if_due()

    # -- what the whole night says

    def _write_tables(self) -> None:
        run, card = self._folder.path, self._bundle.card
        label = tables.bundle_label(card, self._bundle.sha256)
        studies = [study for study, _ in self._ledger.studies()]
        tables.write_scores(run, studies, card, label)
        tables.write_calibrated(run, studies, card, label)
        rows = worklist_rows(self._ledger, card, self._request.reports.acute)
        tables.write_studies(run, (row.study for row in rows), card, label)
        tables.write_rejected(run, self._ledger.rejected())

    def _finish(self) -> Summary:
        """run.json is written last: one that says finished has everything beside it. Killed before the last
        line, all of this is done again; killed after it, nothing is.
        """
        self._folder.require_held()
        settings = self._request.reports
        written = self._account("finished")
        # Before the pages, which print the digest of this line, and with it anchor all lines before it.
        written["audit_log"] = {"newest_line_sha256": self._note("finished", counts=written["counts"])}
        self._ledger.commit()
        self._print_night_pages(settings, written)
        write_run_json(self._folder.path, written)
        self._ledger.record_fact("finished", written["finished"])
        self._ledger.commit()
        return self._summary()

    def _print_night_pages(self, settings: ReportSettings, written: dict[str, Any]) -> None:
        pool = WorkerPool(1)
        try:
            arguments = (self._folder.path, self._facts, settings, written)
            pool.submit(print_night_pages, *arguments, timeout=PAGES_TIMEOUT).result()
        except (TimeoutError, WorkerDiedError) as error:
            raise OSError(
                errno.ENOMEM, "The process that makes worklist and audit ended too early"
            ) from error
        finally:
            pool.close()

    @property
    def is_finished(self) -> bool:
        """Whether everything is scored and reported, and the account of it written."""
        return self._ledger.fact("finished") is not None and (self._folder.path / layout.RUN_JSON).exists()

    def validate(self, labels: Labels) -> None:
        """Hold the scores of a finished run against a labels table (contract 3.5).

        Raises:
            LabelsError: no label matches a scored image, or one matches two. The run stays as it is.
        """
        model = Model(self._bundle.card, self._bundle.sha256)
        settings = self._request.reports
        hidden = self._request.deidentify is not None
        if hidden:
            labels = pseudonymous_labels(labels, self._ledger, self._names)
        validated = validate_night(self._folder.path, self._ledger, labels, model, settings, hidden=hidden)
        if validated is None:
            _log.info("Validation: no image was scored, so there is nothing to validate.")
            return
        for alarm in validated.alarms:
            _log.warning("Validation, ALARM: %s", alarm)
        flow, macro = validated.account.cohort.flow, validated.metrics.macro_auroc
        _log.info(
            "Validation: %d of %d scored images have labels, macro AUROC %s.",
            flow.matched,
            flow.rows_scored,
            "undefined" if macro is None else f"{macro:.3f}",
        )

    def _summary(self) -> Summary:
        counts = Counts.of(self._ledger, self._left_out)
        if counts.exit_code == 1:
            inputs = ", ".join(map(self._names.input, self._request.inputs))
            return Summary(1, f"No readable DICOM, PNG or JPEG in {inputs}: nothing was scored.")
        where = self._folder.path / "index.html"
        return Summary(counts.exit_code, f"{counts.sentence()} See {where}")

    def _stopped(self) -> Summary:
        write_run_json(self._folder.path, self._account("running"))
        left = self._ledger.file_states()["pending"]
        self._note("stopped", images_left=left)
        message = f"Stopped with {left} images to go. Start the same command again to go on."
        return Summary(self._stop.exit_code, message)

    def _settings(self) -> dict[str, Any]:
        """What a resumed run must not change, as recorded in the ledger and in run.json."""
        request, card = self._request, self._bundle.card
        reports = request.reports
        return {
            "inputs": sorted(self._names.input(str(Path(name).absolute())) for name in request.inputs),
            "bundle": f"{card.name} {card.version} sha256 {self._bundle.sha256}",
            "group_by": request.group_by,
            "report_formats": [name for name in ("html", "pdf") if getattr(reports, name)],
            "report_findings": reports.findings,
            "acute": list(reports.acute),
            **({"fast_decode": True} if request.fast_decode else {}),
            **({} if self._film_judge is None else self._film_judge.settings()),
            **({"prevalence": request.prevalence} if request.prevalence else {}),
            **self._names.settings(),
        }

    def _account(self, state: RunState) -> dict[str, Any]:
        """The content of run.json."""
        counts = Counts.of(self._ledger, self._left_out)
        about = account(self._folder, state, self._bundle.card, self._bundle.sha256, counts, self._seconds)
        unchecked = {"film_check": NONE} if self._film_judge is None else {}
        return {**about, **unchecked, "engine": self._engine.account()}

    def _note(self, event: str, **facts: Any) -> str:
        """A line in audit.jsonl, and its digest."""
        about = {"version": __version__, "run_id": self._folder.run_id, **self._settings(), **facts}
        return append_event(self._folder.path, event, about)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] = time.perf_counter() - begun
