"""The content of ``TRAIN/run.json``: what was asked, on which data, and what came of it."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from importlib.metadata import version
from typing import Any

import numpy as np

from cxrbatch import __version__
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.intake.studies import percent_encode
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.training.card import Parts
from cxrbatch.training.fitting import Fitted
from cxrbatch.training.outcome import Outcome
from cxrbatch.training.records import Cohort, Side
from cxrbatch.training.request import TrainRequest
from cxrbatch.training.settings import Plan

_PACKAGES = ("tensorflow", "keras", "numpy", "openvino", "pydicom", "pillow", "scikit-learn", "scipy")


def settings_record(
    request: TrainRequest,
    plan: Plan,
    spec: InputSpec,
    init: Bundle | None,
    labels_sha256: str,
    soft_sha256: str | None,
) -> dict[str, Any]:
    """All that a resumed run must not change."""
    # Steps, epochs and size are in plan and input as they are, asked for or not.
    asked = request.settings.model_dump(mode="json", exclude={*Plan.model_fields, "size"})
    if request.soft_targets is None:
        asked.pop("soft_weight")
    return {
        "images": percent_encode(str(request.images.absolute())),
        "labels": percent_encode(str(request.labels.absolute())),
        "labels_sha256": labels_sha256,
        "soft_targets_sha256": soft_sha256,
        "init": None
        if init is None
        else {"name": init.card.name, "version": init.card.version, "sha256": init.sha256},
        "findings": None if request.findings is None else list(request.findings),
        "input": spec.model_dump(mode="json"),
        "plan": plan.model_dump(mode="json"),
        **asked,
    }


def data_record(cohort: Cohort) -> dict[str, Any]:
    """Counts of films and patients, and a digest of who is where with which labels."""
    digest = hashlib.sha256()
    for film, patient, side in zip(cohort.films, cohort.patients, cohort.sides, strict=True):
        digest.update(f"{percent_encode(film.path)}\0{patient}\0{side}\n".encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(cohort.labels).tobytes())
    return {
        "films": len(cohort.films),
        "patients": len(set(cohort.patients)),
        "films_by_side": {side.name.lower(): len(cohort.rows(side)) for side in Side},
        "findings": list(cohort.findings),
        "films_and_labels_sha256": digest.hexdigest(),
    }


def run_record(state: str, started: str, settings: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """At the beginning of a run."""
    return {
        "state": state,
        "version": __version__,
        "started": started,
        "finished": None,
        "settings": settings,
        "data": data,
        "host": platform.node(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }


def result_record(cohort: Cohort, parts: Parts, fitted: Fitted, outcome: Outcome) -> dict[str, Any]:
    """What is added when all is done."""
    account, metrics = cohort.account, outcome.validated.metrics
    history = fitted.history
    return {
        "account": {
            "rows_in_labels": account.rows_in_labels,
            "images_found": account.images_found,
            "labels_without_image": len(account.labels_without_image),
            "images_without_labels": len(account.images_without_labels),
            "not_used": account.not_used,
            "undecodable": [{"path": path, "detail": detail} for path, detail in account.undecodable],
        },
        "used": {
            "train": _side(cohort, parts.train),
            "validation": _side(cohort, parts.validation),
            "test": _side(cohort, parts.test),
        },
        "history": {
            "epochs": fitted.epochs,
            "best_epoch": fitted.best_epoch,
            "best_validation_macro_auroc": fitted.best_macro_auroc,
            "stopped_early": fitted.stopped_early,
            "first": _row(history.columns, history.rows[0]),
            "last": _row(history.columns, history.rows[-1]),
        },
        "bundle": {
            "name": outcome.bundle.card.name,
            "version": outcome.bundle.card.version,
            "sha256": outcome.bundle.sha256,
        },
        "test": {
            "images": metrics.n_images,
            "patients": metrics.n_patients,
            "macro_auroc": metrics.macro_auroc,
            "macro_auroc_ci95": metrics.macro_auroc_ci95,
            "macro_labels": metrics.macro_labels,
            "alarms": list(outcome.validated.alarms),
        },
        "notices": list(outcome.notices),
    }


def _side(cohort: Cohort, rows: np.ndarray) -> dict[str, Any]:
    labels = cohort.labels[rows]
    return {
        "films": len(rows),
        "patients": len({cohort.patients[row] for row in rows}),
        "positive": dict(zip(cohort.findings, np.nansum(labels == 1, axis=0).tolist(), strict=True)),
        "negative": dict(zip(cohort.findings, np.nansum(labels == 0, axis=0).tolist(), strict=True)),
        "views": dict(sorted(Counter(cohort.views[row] for row in rows).items())),
    }


def _row(columns: tuple[str, ...], row: tuple[float, ...]) -> dict[str, float | None]:
    """JSON has no NaN: a figure that is undefined is null."""
    return {name: None if value != value else value for name, value in zip(columns, row, strict=True)}
