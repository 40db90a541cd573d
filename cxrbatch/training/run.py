"""`cxrbatch train`: from a folder and its labels to a bundle that can be judged.

Read `_Training.run` first: it is the order of events, and the same whether the run is new or resumed. What
is done is found again under its content (decoded films) or in the backup (epochs); the rest is done again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cxrbatch.bundles.architectures import WHOLE_MODEL
from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.bundles.network import in_mixed_precision
from cxrbatch.evaluation.labels import read_labels
from cxrbatch.ledger.changes import file_digest
from cxrbatch.pipeline.input_spec import Fit, InputSpec, Scaling
from cxrbatch.progress import Progress
from cxrbatch.request import Summary
from cxrbatch.stopping import StopNow, StopRequested, stop_on_signals
from cxrbatch.training import selection
from cxrbatch.training.card import Origin, Parts
from cxrbatch.training.cohort import read_cohort
from cxrbatch.training.curves import draw_curves, loss_sentence
from cxrbatch.training.devices import choose_strategy, global_batch, precision_policy
from cxrbatch.training.film_store import FilmStore
from cxrbatch.training.fitting import Fitted, fit
from cxrbatch.training.folder import CACHE, TrainFolder, now, open_folder
from cxrbatch.training.loss import blend_targets, finding_weights
from cxrbatch.training.network import StartedNetwork, knows, start_network
from cxrbatch.training.notices import notices, require_both_classes
from cxrbatch.training.outcome import Outcome, Trained, make_outcome
from cxrbatch.training.record import data_record, result_record, run_record, settings_record
from cxrbatch.training.records import NO_SIDE, Cohort, Side, TrainingError
from cxrbatch.training.request import TrainRequest
from cxrbatch.training.settings import make_plan
from cxrbatch.training.stream import evaluation_batches, steps_in_epoch, training_stream

DEFAULT_SPEC = InputSpec(height=320, width=320, channels=3, scaling=Scaling.IMAGENET, fit=Fit.PAD)
"""For a training from random weights: what the default bundle takes."""
CURVES = "curves.png"
DECODING_PRELOAD = ["cxrbatch.pipeline.decoding"]

_log = logging.getLogger("cxrbatch")


def train(request: TrainRequest) -> Summary:
    """Make, or resume, a training. Everything it learns lies in the folder; messages go to the log.

    Raises:
        TrainingError, TableError, BundleError: what is asked cannot be done; each message says what to do.
        RunJsonError: the folder's run.json is damaged.
        FolderHeldError: another run works in the folder.
        NoSpaceError, OSError: the folder cannot be written: start the same command again once it can.
    """
    with stop_on_signals() as stop:
        bundle = None if request.init is None else open_bundle(request.init)
        with open_folder(request.out.absolute(), fresh=request.fresh) as folder:
            return _Training(request, bundle, folder, stop).run()


class _Training:
    """The run itself. One instance, one `run`."""

    def __init__(
        self, request: TrainRequest, init: Bundle | None, folder: TrainFolder, stop: StopRequested
    ) -> None:
        self._request, self._init, self._folder, self._stop = request, init, folder, stop
        self._workers = request.workers or len(os.sched_getaffinity(0))
        self._spec = _spec(init, request.settings.size)
        self._seconds: dict[str, float] = {}
        self._labels_sha256 = _digest_of(request.labels, "--labels")
        self._plan = make_plan(request.mode, request.settings, head_is_known=_head_is_known(init, request))
        soft = request.soft_targets
        self._settings = settings_record(
            request,
            self._plan,
            self._spec,
            init,
            self._labels_sha256,
            None if soft is None else _digest_of(soft, "--soft-targets"),
        )

    def run(self) -> Summary:
        """The order of events."""
        self._folder.settle("settings", self._settings)
        if self._folder.is_finished:
            return Summary(0, f"This training is finished: see {self._folder.path}. Nothing was done.")
        multiprocessing.set_forkserver_preload(DECODING_PRELOAD)
        try:
            with self._timed("cohort"):
                cohort, split_is_given = self._read_cohort()
            with self._timed("films"):
                store, cohort, parts = self._prepare_films(cohort)
            with self._timed("training"):
                started, fitted, identity = self._fit(store, cohort, parts)
            if fitted.interrupted:
                return self._interrupted(fitted.epochs)
            with self._timed("judging"):
                origin = self._origin(identity, split_is_given)
                outcome = self._judge(store, cohort, parts, started, fitted, origin)
        except StopNow:
            return self._interrupted(None)
        return self._finish(fitted, outcome)

    # -- films

    def _read_cohort(self) -> tuple[Cohort, bool]:
        """Films, labels and sides; and whether the sides are a column's."""
        request, settings = self._request, self._request.settings
        own = [path for path in (request.out, request.cache) if path is not None]
        cohort = read_cohort(
            request.images, request.labels, request.findings, request.soft_targets, self._workers, own
        )
        is_given = not (cohort.sides == NO_SIDE).any()
        cohort = selection.with_sides(
            cohort, settings.validation_fraction, settings.test_fraction, settings.seed
        )
        for side in (Side.VALIDATION, Side.TEST):
            if not len(cohort.rows(side)):
                raise TrainingError(
                    f"The split leaves no film for {side.name.lower()}: a bundle cannot be judged without. "
                    "Give some patients that side, or a larger share in [train]."
                )
        require_both_classes(cohort)
        data = data_record(cohort)
        self._folder.settle("data", data)
        if self._folder.is_new:
            begun = run_record("running", now(), self._settings, data)
        else:
            begun = {**self._folder.record, "state": "running"}
        self._folder.write(begun)
        return cohort, is_given

    def _prepare_films(self, cohort: Cohort) -> tuple[FilmStore, Cohort, Parts]:
        """Decode what training needs, and leave out what does not decode."""
        chosen = self._choose(cohort)
        wanted = [cohort.films[row] for row in sorted((*chosen.train, *chosen.validation))]
        store = FilmStore(self._request.cache or self._folder.path / CACHE, self._spec)
        with Progress("Decoding", len(wanted), "film") as progress:

            def settled(count: int) -> None:
                progress.step(count)
                self._stop.check()

            failed = store.prepare(wanted, self._workers, progress=settled)
        cohort_left = selection.without_undecodable(cohort, failed)
        for line in notices(cohort_left):
            _log.info("%s", line)
        return store, cohort_left, _same_parts(cohort, cohort_left, chosen)

    def _choose(self, cohort: Cohort) -> Parts:
        """All films of each side, or as many as the steps need, drawn by the seed."""
        plan, batch = self._plan, self._request.settings.batch_size
        trained = None if plan.steps_per_epoch is None else plan.steps_per_epoch * plan.epochs * batch
        judged = None if plan.validation_steps is None else plan.validation_steps * batch
        tested = judged if plan.mode == "subset" else None
        return Parts(
            self._draw(cohort, Side.TRAIN, trained),
            self._draw(cohort, Side.VALIDATION, judged),
            self._draw(cohort, Side.TEST, tested),
        )

    def _draw(self, cohort: Cohort, side: Side, most: int | None) -> np.ndarray:
        rows = cohort.rows(side)
        if most is None or len(rows) <= most:
            return rows
        random = np.random.default_rng((self._request.settings.seed, int(side)))
        return np.sort(random.choice(rows, most, replace=False))

    # -- learning

    def _fit(self, store: FilmStore, cohort: Cohort, parts: Parts) -> tuple[StartedNetwork, Fitted, str]:
        plan, settings = self._plan, self._request.settings
        strategy = choose_strategy()
        batch = global_batch(settings.batch_size, strategy)
        settings = settings.model_copy(update={"batch_size": batch})
        with strategy.scope():
            policy = precision_policy(settings.mixed_precision)
            started = start_network(
                self._init, self._spec, cohort.findings, settings.dropout, settings.seed, policy
            )
        self._tell_findings(started)
        films = [cohort.films[row] for row in parts.train]
        judged = [cohort.films[row] for row in parts.validation]
        soft = None if cohort.soft is None else cohort.soft[parts.train]
        labels = cohort.labels[parts.train]
        targets = blend_targets(labels, soft, settings.soft_weight)
        steps = steps_in_epoch(len(films), batch, plan.steps_per_epoch)
        identity = _identity(self._settings, cohort, parts, store)
        _log.info("Training on %d films, %d steps of %d films an epoch.", len(films), steps, batch)
        fitted = fit(
            started,
            lambda first_epoch: training_stream(
                store,
                films,
                targets,
                self._spec,
                settings.augmentation,
                batch,
                plan.steps_per_epoch,
                settings.seed,
                first_epoch,
            ),
            steps,
            evaluation_batches(store, judged, cohort.labels[parts.validation], self._spec, batch),
            cohort.labels[parts.validation],
            finding_weights(labels) if settings.weighted_loss else None,
            plan,
            settings,
            self._folder.path,
            identity,
            self._stop,
        )
        if fitted.history.rows:
            draw_curves(fitted.history, self._folder.path / CURVES)
        return started, fitted, identity

    def _tell_findings(self, started: StartedNetwork) -> None:
        if self._init is None:
            return
        name = self._init.card.name
        _log.info("Findings of %s that are kept: %s.", name, ", ".join(started.kept) or "none")
        if started.new:
            _log.info("New findings, which start from its mean: %s.", ", ".join(started.new))
        if started.dropped:
            _log.info("Dropped, as they are not trained here: %s.", ", ".join(started.dropped))
        if self._plan.start_share:
            share = self._plan.start_share
            _log.info("Judged and kept: %.2g of the start, %.2g of what is learned.", share, 1.0 - share)

    # -- what comes out

    def _origin(self, identity: str, split_is_given: bool) -> Origin:
        return Origin(
            init=self._init,
            plan=self._plan,
            seed=self._request.settings.seed,
            started=self._folder.record["started"],
            labels_sha256=self._labels_sha256,
            identity=identity,
            split_is_given=split_is_given,
            epoch_is_fixed=self._request.settings.keep == "last",
        )

    def _judge(
        self,
        store: FilmStore,
        cohort: Cohort,
        parts: Parts,
        started: StartedNetwork,
        fitted: Fitted,
        origin: Origin,
    ) -> Outcome:
        trained = Trained(
            cohort=cohort,
            parts=parts,
            spec=self._spec,
            started=started,
            weights=_weights_file(started, fitted.best_weights),
            seen=frozenset(store.digest(cohort.films[row]) for row in (*parts.train, *parts.validation)),
            origin=origin,
            settings=self._request.settings,
        )
        with Progress("Judging", len(parts.validation) + len(parts.test), "film") as progress:

            def step() -> None:
                progress.step()
                self._stop.check()

            outcome = make_outcome(trained, self._folder.path, self._workers, self._request.reports, step)
        for line in outcome.notices:
            _log.info("%s", line)
        self._folder.require_held()
        counted = {"findings": {"kept": started.kept, "dropped": started.dropped, "new": started.new}}
        self._result = counted | result_record(cohort, parts, fitted, outcome)
        return outcome

    def _finish(self, fitted: Fitted, outcome: Outcome) -> Summary:
        """run.json last: one that says finished has everything beside it."""
        os.sync()
        record = self._folder.record
        self._folder.write(
            {**record, "state": "finished", "finished": now(), **self._result, "seconds": self._all_seconds()}
        )
        for alarm in outcome.validated.alarms:
            _log.warning("Validation, ALARM: %s", alarm)
        macro = outcome.validated.metrics.macro_auroc
        on_test = "undefined" if macro is None else f"{macro:.3f}"
        path = self._folder.path
        return Summary(
            0,
            f"{loss_sentence(fitted.history)} Macro AUROC on held-out test patients: {on_test}. "
            f"Bundle: {outcome.bundle.folder}; report: {path / 'validation' / 'validation.html'}",
        )

    def _interrupted(self, epochs: int | None) -> Summary:
        if not self._folder.is_new:
            seconds = self._all_seconds()
            self._folder.write({**self._folder.record, "state": "interrupted", "seconds": seconds})
        done = "" if epochs is None else f" after {epochs} of {self._plan.epochs} epochs"
        return Summary(self._stop.exit_code, f"Stopped{done}. Start the same command again to go on.")

    def _all_seconds(self) -> dict[str, float]:
        """Wall time by stage, over all starts that ended by themselves."""
        before = self._folder.record.get("seconds", {})
        names = [*before, *(name for name in self._seconds if name not in before)]
        return {n: round(before.get(n, 0.0) + self._seconds.get(n, 0.0), 3) for n in names}

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] = time.perf_counter() - begun


def _spec(init: Bundle | None, size: int | None) -> InputSpec:
    spec = DEFAULT_SPEC if init is None else init.card.input
    return spec if size is None else spec.model_copy(update={"height": size, "width": size})


def _head_is_known(init: Bundle | None, request: TrainRequest) -> bool:
    """Has the start a row of its head for every finding that is asked for, or that the labels have?"""
    return init is not None and knows(init, request.findings or read_labels(request.labels).findings)


def _digest_of(path: Path, option: str) -> str:
    try:
        return file_digest(str(path))
    except OSError as error:
        raise TrainingError(f"{option} {path} cannot be read: {error.strerror}.") from error


def _same_parts(before: Cohort, after: Cohort, parts: Parts) -> Parts:
    """The rows of `after`, which has fewer films, that are `parts` of `before`."""
    place = {film.path: row for row, film in enumerate(after.films)}

    def rows(old: Sequence[int] | np.ndarray) -> np.ndarray:
        paths = (before.films[row].path for row in old)
        return np.array([place[path] for path in paths if path in place], np.intp)

    left = Parts(rows(parts.train), rows(parts.validation), rows(parts.test))
    for name, old, new in (
        ("train on", parts.train, left.train),
        ("validate with", parts.validation, left.validation),
    ):
        if not len(new):
            raise TrainingError(
                f"None of the {len(old)} films to {name} can be decoded: try `cxrbatch doctor`."
            )
    return left


def _identity(settings: dict, cohort: Cohort, parts: Parts, store: FilmStore) -> str:
    """SHA-256, hexadecimal, of all that decides which weights come out: settings, films, targets."""
    films = {
        name: [store.digest(cohort.films[row]) for row in rows]
        for name, rows in (("train", parts.train), ("validation", parts.validation))
    }
    digest = hashlib.sha256(json.dumps([settings, films], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(cohort.labels).tobytes())
    if cohort.soft is not None:
        digest.update(np.ascontiguousarray(cohort.soft).tobytes())
    return digest.hexdigest()


def _weights_file(started: StartedNetwork, best: Path) -> Path:
    """`best` as a bundle takes it: a network without a named architecture is kept whole, in float32."""
    if started.architecture != WHOLE_MODEL:
        return best
    started.classifier.load_weights(best)
    whole = best.with_name("best.keras")
    in_mixed_precision(started.classifier, "float32").save(whole)
    return whole
