"""The card of a trained bundle: who was trained on, how it was judged, and its plain words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.card import Card, TrainingData
from cxrbatch.evaluation.leaks import patient_overlap, training_hashes
from cxrbatch.evaluation.metric_records import Metrics
from cxrbatch.training.network import StartedNetwork
from cxrbatch.training.records import Cohort
from cxrbatch.training.settings import Plan

INTENDED_USE = (
    "For trial at the site whose films it was trained on, after a validation there. Not a medical device; "
    "not for clinical decisions."
)


Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Parts:
    """Rows of the cohort that a training uses, of each side of the split; a trial run uses some of them."""

    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True)
class Origin:
    """Where a training comes from. `started` is ISO 8601; `labels_sha256` and `identity` are hexadecimal, the
    latter of all that decides what comes out."""

    init: Bundle | None
    plan: Plan
    seed: int
    started: str
    labels_sha256: str
    identity: str
    split_is_given: bool
    epoch_is_fixed: bool = False


def provisional_fields(
    origin: Origin, started: StartedNetwork, spec: dict[str, Any], findings: tuple[str, ...]
) -> dict[str, Any]:
    """A card with which the network can be run, before anything was chosen or measured with it."""
    return {
        "name": _name(origin.init, started.architecture),
        "version": f"{origin.started[:10].replace('-', '.')}-{origin.identity[:8]}",
        "architecture": started.architecture,
        "findings": findings,
        "input": spec,
        "thresholds": dict.fromkeys(findings, 0.5),
        "thresholds_method": "None were chosen yet.",
        "intended_use": INTENDED_USE,
        "limits": "Not judged yet.",
        "licence": _licence(origin.init),
    }


def training_data(origin: Origin, cohort: Cohort, parts: Parts, started: StartedNetwork) -> TrainingData:
    """Films, patients, and the hashes of all who were trained or validated on: choosing the best epoch and
    thresholds by a patient is learning from it, too. So were patients of the start's training.
    """
    before = origin.init.card.training_data if origin.init is not None else None
    named = [row for row in (*parts.train, *parts.validation) if cohort.patient_ids[row].strip()]
    # One salt a card: with the start's own its hashes can stand beside ours.
    salt = before.patient_id_salt if before is not None and before.patient_id_hashes else origin.identity[:32]
    old = before.patient_id_hashes if before is not None else ()
    known = 0 if before is None else (before.patients or len(before.patient_id_hashes))
    ids = {cohort.patient_ids[row] for row in named}
    hashes = training_hashes(ids, salt)
    again = patient_overlap(ids, salt, old).patients
    people = {cohort.patients[row] for row in named if cohort.patient_ids[row] not in again}
    how = "as a column of the labels says" if origin.split_is_given else f"by seed {origin.seed}"
    chosen = "thresholds" if origin.epoch_is_fixed else "epoch, thresholds"
    text = (
        f"{len(parts.train)} frontal films of {_patients(cohort, parts.train)} patients trained the weights, "
        f"{len(parts.validation)} films of {_patients(cohort, parts.validation)} other patients chose "
        f"{chosen} and calibration. Patients were parted {how}; labels SHA-256 "
        f"{origin.labels_sha256[:12]}. Mode {origin.plan.mode}. A patient's hash is the SHA-256 of salt and "
        "ID, one after the other, of the ID as written and in its plainest spelling. "
        f"{_start(origin.init, started)}"
    )
    return TrainingData(
        description=text,
        patients=known + len(people),
        patient_id_salt=salt,
        patient_id_hashes=tuple(sorted({*old, *hashes})),
    )


def _patients(cohort: Cohort, rows: Rows) -> int:
    return len({cohort.patients[row] for row in rows})


def seen_by_start(init: Bundle | None, patient_ids: Iterable[str]) -> int:
    """How many of these patients, told by ID, the start was trained on, as far as its card says."""
    known = None if init is None else init.card.training_data
    if known is None:
        return 0
    return len(patient_overlap(patient_ids, known.patient_id_salt, known.patient_id_hashes).patients)


def validation_figures(metrics: Metrics, seen: int) -> dict[str, Any]:
    """The card's `validation`, from what `cxrbatch validate` computes on the held-out test patients.

    `seen` is `seen_by_start` of them.
    """
    warning = (
        f" But {seen} of them are among the training patients of the bundle that it was trained from: these "
        "figures are too good."
    )
    return {
        "method": (
            f"{metrics.n_images} films of {metrics.n_patients} patients held out from this training and from "
            f"every choice; bootstrap over patients, {metrics.rounds} rounds.{warning if seen else ''}"
        ),
        "macro_auroc": metrics.macro_auroc,
        "macro_auroc_ci95": metrics.macro_auroc_ci95,
        "findings": {
            row.finding: {
                "auroc": row.auroc,
                "auroc_ci95": row.auroc_ci95,
                "n_pos": row.n_pos,
                "n_neg": row.n_neg,
            }
            for row in metrics.findings
        },
    }


def limits_sentence(metrics: Metrics, plan: Plan, init: Bundle | None) -> str:
    """The card's `limits`."""
    weak = [row.finding for row in metrics.findings if row.auroc is None or row.unreliable]
    parts = [
        "Judged on films of the hospital whose films it was trained on, never on another's.",
        f"Too few films of one class to judge: {', '.join(weak)}." if weak else "",
        "A trial run of a few steps, which is no model to be used." if plan.mode == "subset" else "",
        f"Of what it started from: {init.card.limits}" if init is not None else "",
    ]
    return " ".join(part for part in parts if part)


def map_scale(highest: NDArray[np.float32], findings: tuple[str, ...]) -> dict[str, float]:
    """Per finding, the 99th percentile over films of their highest heat-map values (n, k), in logits."""
    scale = np.maximum(np.percentile(highest, 99.0, axis=0), 1e-3)
    return {name: round(float(value), 4) for name, value in zip(findings, scale, strict=True)}


def _start(init: Bundle | None, started: StartedNetwork) -> str:
    if init is None:
        return "Start: random weights."
    card: Card = init.card
    before = card.training_data.description if card.training_data is not None else "not told on its card."
    new = f" Not among its findings were {', '.join(started.new)}." if started.new else ""
    return f"Start: {card.name} {card.version}, SHA-256 {init.sha256[:12]}.{new} Its own training: {before}"


def _name(init: Bundle | None, architecture: str) -> str:
    base = architecture if init is None else re.sub(r"-local$", "", init.card.name)
    return f"{base[:58]}-local"


def _licence(init: Bundle | None) -> str:
    if init is None:
        return "The site's own: random weights trained on its own films. Architecture: cxrbatch, Apache-2.0."
    return f"As of {init.card.name} {init.card.version}, from which it was trained: {init.card.licence}"
