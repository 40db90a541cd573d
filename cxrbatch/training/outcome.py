"""From trained weights to what a hospital can judge: a bundle, the scores of the held-out test films, and
their validation report."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.bundles.saving import rewrite_card, save_bundle
from cxrbatch.evaluation.cohort import join
from cxrbatch.evaluation.labels import read_labels
from cxrbatch.evaluation.metric_records import Metrics
from cxrbatch.evaluation.metrics import evaluate
from cxrbatch.evaluation.tables import read_probabilities
from cxrbatch.film_check.fit import FitError, take_over
from cxrbatch.ledger import layout
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.training import card
from cxrbatch.training.calibration import fit_platt, method_sentence
from cxrbatch.training.card import Origin, Parts
from cxrbatch.training.network import StartedNetwork
from cxrbatch.training.records import Cohort
from cxrbatch.training.scored import ScoredFilms, score_films, write_score_tables
from cxrbatch.training.settings import TrainSettings
from cxrbatch.training.thresholds import EDGE, choose_thresholds
from cxrbatch.validation.inputs import Options
from cxrbatch.validation.run import Validated, validate

BUNDLE = "bundle"
TEST = "test"
DRAFT = ".bundle-draft"

_log = logging.getLogger("cxrbatch")


@dataclass(frozen=True)
class Trained:
    """What the outcome is made of. `weights` is a file that fits the started network's architecture; `seen`
    are the SHA-256 of films trained or validated on."""

    cohort: Cohort
    parts: Parts
    spec: InputSpec
    started: StartedNetwork
    weights: Path
    seen: frozenset[str]
    origin: Origin
    settings: TrainSettings


@dataclass(frozen=True)
class Outcome:
    """The bundle, and its validation on the test patients."""

    bundle: Bundle
    validated: Validated
    notices: tuple[str, ...]


def make_outcome(
    trained: Trained,
    out: Path,
    workers: int,
    reports: ReportSettings,
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """``bundle/``, ``test/`` and ``validation/`` below `out`. Done again after a kill, it is the same again.

    The weights are scored with under a provisional card, since thresholds, calibration and figures come from
    scores; then the card is completed, which changes no probability, and the bundle takes its place. What
    stands in ``test/`` and ``validation/`` names the completed bundle.

    Raises:
        TrainingError: no film of a side could be scored.
        BundleError: the weights do not fit, are not finite, or give no probabilities.
        OSError: `out` cannot be written.
    """
    draft = _draft(trained, out)
    scored = score_films(draft, trained.cohort, trained.parts.validation, workers, progress)
    chosen, notices = _chosen_fields(trained, scored)
    tested = score_films(draft, trained.cohort, trained.parts.test, workers, progress)
    test = tested.without(trained.seen)
    if copies := len(tested.rows) - len(test.rows):
        notices.append(f"{copies} test films are copies of films trained on, and are left out.")
    # Under this card first: figures on the card are of the test films.
    write_score_tables(out / TEST, trained.cohort, test, draft)
    metrics = _figures(out / TEST / layout.SCORES, trained)
    completed = rewrite_card(draft.folder, {**chosen, **_judged_fields(trained, metrics)})
    completed, about_check = _with_film_check(completed, trained.origin.init)
    notices += about_check
    bundle = _into_place(completed, out / BUNDLE)
    write_score_tables(out / TEST, trained.cohort, test, bundle)
    validated = validate(
        out / TEST / layout.SCORES,
        trained.cohort.labels_path,
        out / layout.VALIDATION,
        _options(trained),
        str(bundle.folder),
        reports,
    )
    for what, films in (("validation", scored), ("test", test)):
        if films.failed:
            notices.append(f"{len(films.failed)} of the {what} films could not be scored and are left out.")
    return Outcome(bundle, validated, tuple(notices))


def _draft(trained: Trained, out: Path) -> Bundle:
    fields = card.provisional_fields(
        trained.origin, trained.started, trained.spec.model_dump(mode="json"), trained.cohort.findings
    )
    return save_bundle(out / DRAFT, trained.weights, fields, replace=True)


def _with_film_check(completed: Bundle, init: Bundle | None) -> tuple[Bundle, list[str]]:
    """The start's film check, where training left alone what it looks at; else a line that says so."""
    if init is None or init.card.film_check is None:
        return completed, []
    try:
        return take_over(completed, init), []
    except FitError as error:
        return completed, [f"The new bundle has no film check (cxrbatch model fit-intake). {error}"]


def _chosen_fields(trained: Trained, scored: ScoredFilms) -> tuple[dict[str, Any], list[str]]:
    """What validation films decide, and what of it a person should hear."""
    findings, settings = trained.cohort.findings, trained.settings
    labels = trained.cohort.labels[scored.rows]
    thresholds = choose_thresholds(labels, scored.probabilities, findings, settings.threshold_sensitivity)
    curves = fit_platt(labels, scored.probabilities, findings, _frequencies(trained))
    fields: dict[str, Any] = {
        "thresholds": thresholds.stored(settings.thresholds),
        "thresholds_method": thresholds.method(settings.thresholds),
        "other_thresholds": thresholds.others(settings.thresholds),
        "calibration": {name: curve.model_dump() for name, curve in curves.items()},
        "calibration_method": method_sentence(len(labels)),
        "calibration_prevalence": {
            name: min(max(float(np.mean([curves[name](float(p)) for p in column])), EDGE), 1.0 - EDGE)
            for name, column in zip(findings, scored.probabilities.T, strict=True)
        },
    }
    if scored.highest is not None:
        fields["map_scale"] = card.map_scale(scored.highest, findings)
    return fields, [thresholds.fallback_sentence] if thresholds.fallback else []


def _frequencies(trained: Trained) -> np.ndarray:
    """(k,) of the findings in training, half a film added to both classes: never 0 or 1."""
    labels = trained.cohort.labels[trained.parts.train]
    positive, known = np.nansum(labels, axis=0), np.sum(~np.isnan(labels), axis=0)
    return np.asarray((positive + 0.5) / (known + 1.0), np.float64)


def _options(trained: Trained) -> Options:
    return Options(seed=trained.origin.seed)


def _figures(scores: Path, trained: Trained) -> Metrics:
    """As `validate` will compute them from the same tables: areas need no thresholds and no subgroups."""
    labels = read_labels(trained.cohort.labels_path, trained.cohort.findings)
    cohort = join(labels, read_probabilities(scores))
    options = _options(trained)
    return evaluate(
        cohort.y_true,
        cohort.y_score,
        cohort.findings,
        cohort.clusters,
        rounds=options.rounds,
        seed=options.seed,
        subgroup_columns=(),
    )


def _judged_fields(trained: Trained, metrics: Metrics) -> dict[str, Any]:
    origin = trained.origin
    tested = (trained.cohort.patient_ids[row] for row in trained.parts.test)
    known = card.training_data(origin, trained.cohort, trained.parts, trained.started)
    return {
        "validation": card.validation_figures(metrics, card.seen_by_start(origin.init, tested)),
        "training_data": known.model_dump(mode="json"),
        "limits": card.limits_sentence(metrics, origin.plan, origin.init),
    }


def _into_place(draft: Bundle, folder: Path) -> Bundle:
    """Only a complete bundle is ever seen under its name."""
    # What the draft was exported to for the CPU carries the draft's hash: nobody would find it again.
    shutil.rmtree(draft.folder / ".openvino", ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.sync()
    draft.folder.rename(folder)
    return open_bundle(folder)
