"""``cxrbatch compare``: tables in, a verdict and its report out. Joins `evaluation` and `reporting`."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from cxrbatch import __version__
from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.csv_cells import csv_bytes, frame_bytes
from cxrbatch.evaluation.comparison import Comparison, compare
from cxrbatch.evaluation.comparison_content import to_dict
from cxrbatch.evaluation.comparison_table import to_frame
from cxrbatch.evaluation.delimited import TableError, fold
from cxrbatch.evaluation.labels import read_labels
from cxrbatch.evaluation.leaks import PatientOverlap, patient_overlap
from cxrbatch.evaluation.pairing import PairedCohort, pair
from cxrbatch.evaluation.tables import ProbabilityTable, read_probabilities
from cxrbatch.evaluation.verdict_file import VERDICT_FILE, sealed
from cxrbatch.intake.studies import percent_encode
from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.ledger.tables import bundle_label
from cxrbatch.reporting.comparison_report import write_comparison
from cxrbatch.reporting.content import ReportSettings

_EXAMPLES = 20
_PATIENT = "patient "
"""How a cluster that is a patient starts."""


@dataclass(frozen=True)
class CompareRequest:
    """`scores_a` and `scores_b`: tables of probabilities, or run folders.

    `model_a` and `model_b`: the bundles whose stored thresholds are the operating points.
    """

    scores_a: Path
    scores_b: Path
    labels: Path
    out: Path
    margin: float = 0.02
    rounds: int = 2000
    seed: int = 0
    model_a: str | None = None
    model_b: str | None = None


@dataclass(frozen=True)
class _Model:
    """What is known of a model: its name, version and hash (12 digits from scores.csv, 64 from a bundle)."""

    label: str | None
    bundle: Bundle | None
    in_table: bool
    """The table itself says so; otherwise the command line does."""

    def to_dict(self) -> dict[str, Any]:
        if self.label is None:
            return dict.fromkeys(("label", "name", "version", "sha256", "identified_by"))
        name, _, rest = self.label.partition(" ")
        version, _, digest = rest.rpartition(" ")
        result = {"label": self.label, "name": name, "version": version, "sha256": digest}
        result["identified_by"] = "table" if self.in_table else "command line"
        if self.bundle is not None:
            result["sha256"] = self.bundle.sha256
            result["thresholds_method"] = self.bundle.card.thresholds_method
        return result

    def thresholds(self, findings: tuple[str, ...]) -> dict[str, float]:
        """The bundle's, under the names of `findings`."""
        if self.bundle is None:
            return {}
        stored = {fold(name): value for name, value in self.bundle.card.thresholds.items()}
        return {name: stored[fold(name)] for name in findings if fold(name) in stored}


def run_comparison(request: CompareRequest, settings: ReportSettings) -> dict[str, Any]:
    """Compare, write verdict.json, comparison.csv, left_out.csv, comparison.html and comparison.pdf to
    `request.out`, and return the content of verdict.json.

    Raises:
        TableError: a table cannot be used (which, where and why).
        BundleError: there is no such bundle, or it was changed.
        OSError: `out` cannot be written.
    """
    path_a, path_b = _table_of(request.scores_a), _table_of(request.scores_b)
    table_a, table_b = read_probabilities(path_a), read_probabilities(path_b)
    labels = read_labels(request.labels, (*table_b.findings, *table_a.findings))
    model_a = _model(table_a, request.model_a, "--model-a")
    model_b = _model(table_b, request.model_b, "--model-b")
    cohort = pair(labels, table_a, table_b)
    result = compare(
        cohort.y_true,
        cohort.score_a,
        cohort.score_b,
        cohort.findings,
        cohort.clusters,
        model_a.thresholds(cohort.findings),
        model_b.thresholds(cohort.findings),
        request.margin,
        request.rounds,
        request.seed,
    )
    inputs = {
        name: {"path": percent_encode(str(path.resolve())), "sha256": _digest(path)}
        for name, path in (("scores_a", path_a), ("scores_b", path_b), ("labels", request.labels))
    }
    content = to_dict(result)
    overlaps = {"A": _overlap(cohort, model_a, "--model-a"), "B": _overlap(cohort, model_b, "--model-b")}
    content["warnings"] = [
        *_identity_warnings(inputs, model_a, model_b),
        *_overlap_warnings(overlaps),
        *content["warnings"],
    ]
    content |= {
        "leak_check": {name.lower(): _overlap_counts(found) for name, found in overlaps.items()},
        "models": {"a": model_a.to_dict(), "b": model_b.to_dict()},
        "inputs": inputs,
        "cohort": _flow(cohort),
        "unknown_findings": dict(labels.unknown_findings),
        "code": {"cxrbatch": __version__, "python": platform.python_version(), "numpy": np.__version__},
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    _write(request.out, content, result, cohort, settings)
    return content


def _write(
    out: Path, content: Mapping[str, Any], result: Comparison, cohort: PairedCohort, settings: ReportSettings
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    # The verdict comes last: where it stands, everything else is there too.
    (out / VERDICT_FILE).unlink(missing_ok=True)
    write_atomic(out / "comparison.csv", frame_bytes(to_frame(result)))
    write_atomic(out / "left_out.csv", _left_out_table(cohort))
    text = sealed(content)
    write_comparison(out, json.loads(text), settings)
    write_atomic(out / VERDICT_FILE, text.encode("utf-8"))


def _table_of(path: Path) -> Path:
    return path / "scores.csv" if path.is_dir() else path


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _model(table: ProbabilityTable, name: str | None, option: str) -> _Model:
    label = _label(table)
    if name is None:
        return _Model(label, None, in_table=label is not None)
    bundle = open_bundle(name)
    own = bundle_label(bundle.card, bundle.sha256)
    if label is not None and label != own:
        problem = (
            f"holds scores of {label!r}, but {option} is {own!r}; its thresholds are those of another model"
        )
        raise TableError(table.path, problem, column="bundle")
    return _Model(own, bundle, in_table=label is not None)


def _label(table: ProbabilityTable) -> str | None:
    """The model that scores.csv says its rows are from; None when it does not say."""
    column = next((name for name in table.table.columns if fold(str(name)) == "bundle"), None)
    if column is None:
        return None
    labels = sorted({str(value) for value in table.table[column]})
    if len(labels) > 1:
        problem = (
            f"holds scores of {len(labels)} models, {labels[0]!r} and {labels[1]!r}; compare one at a time"
        )
        raise TableError(table.path, problem, column=str(column))
    return labels[0] or None


def _identity_warnings(inputs: Mapping[str, Mapping[str, str]], a: _Model, b: _Model) -> list[str]:
    if inputs["scores_a"]["sha256"] == inputs["scores_b"]["sha256"]:
        return ["Alarm: both tables of scores are the same file, byte for byte."]
    if a.label is not None and a.label == b.label:
        return [f"Alarm: both tables say that they are from the same model, {a.label}."]
    return []


def _overlap(cohort: PairedCohort, model: _Model, option: str) -> PatientOverlap:
    """Patients of the cohort among those that the model was trained on."""
    if model.bundle is None:
        return PatientOverlap(False, f"its bundle is not known here (give {option})")
    training = model.bundle.card.training_data
    if training is None:
        return PatientOverlap(False, "its card tells nothing of its training data")
    names = [name.removeprefix(_PATIENT) for name in cohort.clusters if name.startswith(_PATIENT)]
    return patient_overlap(names, training.patient_id_salt, training.patient_id_hashes, training.patients)


def _overlap_warnings(overlaps: Mapping[str, PatientOverlap]) -> list[str]:
    """Alarms first; then which model could not be looked into, and why."""
    alarms = [
        f"Alarm: {name} was trained on patients of this cohort: {len(found.patients)} of "
        f"{found.cohort_patients} patients ({len(found.same)} by the same id, {len(found.respelled)} by "
        f"another spelling of it), which flatters {name}. Compare the models on other patients."
        for name, found in overlaps.items()
        if found.patients
    ]
    unchecked = [
        f"Overlap of these patients with the training data of {name} could not be checked: {found.why_not}."
        for name, found in overlaps.items()
        if not found.checked
    ]
    return alarms + unchecked


def _overlap_counts(found: PatientOverlap) -> dict[str, Any]:
    """Counts only: whose patients they are has no place in a verdict that is passed on."""
    if not found.checked:
        return {"checked": False, "reason": found.why_not}
    return {
        "checked": True,
        "training_patients": found.training_patients,
        "cohort_patients": found.cohort_patients,
        "patients_in_training_data": len(found.same),
        "patients_in_training_data_by_another_spelling": len(found.respelled),
    }


def _flow(cohort: PairedCohort) -> dict[str, Any]:
    left = cohort.left_out
    groups = {
        "only_in_a": left.only_a,
        "only_in_b": left.only_b,
        "without_labels_in_a": left.unlabelled_a,
        "without_labels_in_b": left.unlabelled_b,
        "labelled_not_scored": left.unscored_labels,
    }
    return {
        "rows_a": cohort.rows_a,
        "rows_b": cohort.rows_b,
        "rows_labels": cohort.rows_labels,
        "paired": len(cohort.ids),
        "left_out": {
            name: {"count": len(ids), "examples": [percent_encode(each) for each in ids[:_EXAMPLES]]}
            for name, ids in groups.items()
        },
        "findings_left_out": dict(left.findings),
    }


def _left_out_table(cohort: PairedCohort) -> bytes:
    """Every image that is left out: its id, the table it stands in, and why."""
    left = cohort.left_out
    groups = (
        (left.only_a, "A", "not scored by B"),
        (left.only_b, "B", "not scored by A"),
        (left.unlabelled_a, "A", "no label"),
        (left.unlabelled_b, "B", "no label"),
        (left.unscored_labels, "labels", "scored by neither"),
    )
    rows = [(each, table, reason) for ids, table, reason in groups for each in ids]
    return csv_bytes(("id", "table", "reason"), rows)
