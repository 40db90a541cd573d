"""A validation from two tables to a folder: the only place where evaluation and its report are joined.

`validate` and `cxrbatch score --labels` both come here, so that they say the same of the same tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.bundles.card import Card
from cxrbatch.csv_cells import frame_bytes
from cxrbatch.deidentification.settings import anonymous_pages, is_deidentified
from cxrbatch.evaluation.account import CohortAccount, alarms, notices, overlap_dict
from cxrbatch.evaluation.cohort import Cohort, join
from cxrbatch.evaluation.delimited import fold
from cxrbatch.evaluation.labels import Labels, read_labels
from cxrbatch.evaluation.leaks import PatientOverlap, patient_overlap
from cxrbatch.evaluation.metric_records import Metrics
from cxrbatch.evaluation.metrics import evaluate
from cxrbatch.evaluation.operating_points import roc_curve
from cxrbatch.evaluation.subgroups import subgroups_frame
from cxrbatch.evaluation.tables import read_probabilities
from cxrbatch.evaluation.thresholds import split_patients
from cxrbatch.ledger import layout
from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.run_json import read_run_json
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.reporting.validation_report import write_validation_report
from cxrbatch.validation.content import report_content
from cxrbatch.validation.inputs import Inputs, Model, Options

ROC_ROWS = 500
"""Longest curve of a finding in roc.csv."""


class ValidationError(ValueError):
    """What is asked cannot be done (wrong usage, exit code 2); the message says why."""


@dataclass(frozen=True)
class Validated:
    """What was found: the figures, who was counted, and the sentences of page one."""

    metrics: Metrics
    account: CohortAccount
    alarms: tuple[str, ...]
    notices: tuple[str, ...]


def validate(
    scores: Path,
    labels: Path,
    out: Path,
    options: Options | None = None,
    model: str | None = None,
    settings: ReportSettings | None = None,
) -> Validated:
    """Hold a table of probabilities, or the scores of a finished run folder, against labels; write `out`.

    Args:
        model: name or folder of the bundle that gave the scores: its thresholds are judged and its training
            patients looked for. A run folder names its own.

    Raises:
        TableError: a table cannot be used, or they have nothing in common.
        ValidationError: an option does not fit, or the run is unfinished or empty.
        BundleError, RunJsonError, LedgerError: the model or the run cannot be read.
        OSError: `out` cannot be written.
    """
    if scores.is_dir():
        if model is not None:
            raise ValidationError(f"{scores} is a run folder, which names its own model: leave out --model.")
        return _validate_run(scores, labels, out, options, settings)
    bundle = open_bundle(model) if model is not None else None
    known = bundle.card.findings if bundle else read_probabilities(scores).findings
    inputs = Inputs(scores, read_labels(labels, known), Model(bundle.card, bundle.sha256) if bundle else None)
    return _validate(inputs, None, out, options, settings)


def validate_night(
    run: Path,
    ledger: Ledger,
    labels: Labels,
    model: Model,
    settings: ReportSettings,
    *,
    hidden: bool = False,
) -> Validated | None:
    """The ``validation/`` of a run whose tables are written; None when nothing was scored.

    With `hidden` (a de-identified run) the report names neither files nor patients.

    Raises:
        LabelsError: no label matches a scored image, or one matches two.
    """
    if not ledger.file_states()["scored"]:
        return None
    inputs = Inputs(run / layout.SCORES, labels, model, run, hidden)
    return _validate(inputs, ledger, run / layout.VALIDATION, None, settings)


def _validate_run(
    run: Path, labels: Path, out: Path, options: Options | None, settings: ReportSettings | None
) -> Validated:
    written = read_run_json(run)
    if written["state"] != "finished":
        raise ValidationError(f"{run} is not finished: start its `cxrbatch score` command again first.")
    ledger = Ledger(run / layout.LEDGER)
    try:
        if not ledger.file_states()["scored"]:
            raise ValidationError(f"{run} holds no scored image: there is nothing to validate.")
        card = Card.model_validate(ledger.fact("card"))
        model = Model(card, written["bundle"]["sha256"])
        hidden = is_deidentified(ledger)
        inputs = Inputs(run / layout.SCORES, read_labels(labels, card.findings), model, run, hidden)
        pages = settings or ReportSettings()
        return _validate(inputs, ledger, out, options, anonymous_pages(pages) if hidden else pages)
    finally:
        ledger.close()


def _validate(
    inputs: Inputs,
    ledger: Ledger | None,
    out: Path,
    options: Options | None,
    settings: ReportSettings | None,
) -> Validated:
    """The order of events."""
    options = options or Options()
    cohort = join(inputs.labels, read_probabilities(inputs.scores))
    tuning = _tuning_part(cohort, options)
    metrics = _evaluate(cohort, inputs.model, options, tuning)
    account = CohortAccount(cohort, tuning, inputs.not_scored(), inputs.labels.unknown_findings)
    overlap = overlap_dict(account, _overlap(account, inputs.model))
    if inputs.hidden and "examples" in overlap:
        overlap["examples"] = []
    alarmed = [*alarms(metrics, overlap), *_model_alarms(cohort, inputs.model)]
    noted = notices(metrics, overlap, account)
    found = metrics.to_dict() | {
        "alarms": alarmed,
        "notices": noted,
        "cohort": account.to_dict(),
        "leak_check": overlap,
        "provenance": inputs.provenance(options),
    }
    out.mkdir(parents=True, exist_ok=True)
    _write_tables(out, cohort, metrics, found)
    content = report_content(inputs, options, metrics, account, found, ledger)
    run = None if inputs.run is None or inputs.model is None else (inputs.run, inputs.model.card)
    write_validation_report(out, content, settings or ReportSettings(), run)
    return Validated(metrics, account, tuple(alarmed), tuple(noted))


def _tuning_part(cohort: Cohort, options: Options) -> NDArray[np.bool_] | None:
    if options.tune_fraction is None:
        return None
    with _as_usage("--tune-fraction"):
        return split_patients(cohort.clusters, options.tune_fraction, options.seed)


def _evaluate(
    cohort: Cohort, model: Model | None, options: Options, tuning: NDArray[np.bool_] | None
) -> Metrics:
    stored = {} if model is None else {fold(name): cut for name, cut in model.card.thresholds.items()}
    with _as_usage("--subgroups"):
        return evaluate(
            cohort.y_true,
            cohort.y_score,
            cohort.findings,
            cohort.clusters,
            {name: stored[fold(name)] for name in cohort.findings if fold(name) in stored},
            options.rounds,
            options.seed,
            attributes=cohort.attributes,
            subgroup_columns=options.subgroups,
            stated_prevalence=options.prevalence,
            targets=options.targets,
            tuning=tuning,
        )


@contextmanager
def _as_usage(option: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValidationError(f"{option}: {error}") from error


def _overlap(account: CohortAccount, model: Model | None) -> PatientOverlap:
    if model is None:
        return PatientOverlap(False, "the model is not known here (give --model)")
    training = model.card.training_data
    if training is None:
        return PatientOverlap(False, "the model's card tells nothing of its training data")
    return patient_overlap(
        account.patient_ids(), training.patient_id_salt, training.patient_id_hashes, training.patients
    )


def _model_alarms(cohort: Cohort, model: Model | None) -> list[str]:
    """scores.csv says which bundle a row is from: thresholds of another one do not belong to it."""
    if model is None or "bundle" not in cohort.attributes:
        return []
    others = sorted({str(name) for name in cohort.attributes["bundle"] if name and name != model.label})
    if not others:
        return []
    return [f"The scores are from {', '.join(others)}, but the model given is {model.label}."]


def _write_tables(out: Path, cohort: Cohort, metrics: Metrics, found: Mapping[str, Any]) -> None:
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(out / "metrics.json", text.encode("utf-8", "backslashreplace"))
    tables = {
        "metrics.csv": metrics.to_frame(),
        "operating_points.csv": metrics.operating_points_frame(),
        "subgroups.csv": subgroups_frame(metrics.subgroups),
        "roc.csv": _roc_table(cohort),
    }
    for name, frame in tables.items():
        write_atomic(out / name, frame_bytes(frame))


def _roc_table(cohort: Cohort) -> pd.DataFrame:
    """Tidy: finding, threshold, sensitivity, specificity; long curves evenly thinned."""
    parts = [pd.DataFrame(columns=["finding", "threshold", "sensitivity", "specificity"])]
    for j, name in enumerate(cohort.findings):
        known = cohort.y_true[:, j][~np.isnan(cohort.y_true[:, j])]
        if not known.size or known.min() == known.max():
            continue
        curve = roc_curve(cohort.y_true[:, j], cohort.y_score[:, j])
        rows = np.unique(np.linspace(0, len(curve.thresholds) - 1, ROC_ROWS).round().astype(int))
        parts.append(
            pd.DataFrame(
                {
                    "finding": name,
                    "threshold": curve.thresholds[rows],
                    "sensitivity": curve.sensitivity[rows],
                    "specificity": curve.specificity[rows],
                }
            )
        )
    return pd.concat(parts[1:] or parts, ignore_index=True)
