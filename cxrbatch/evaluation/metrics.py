"""The figures of a validation, and their form in ``metrics.json`` (contract 3.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxrbatch.evaluation.auroc import Floats, as_matrix, auroc
from cxrbatch.evaluation.average_precision import average_precision
from cxrbatch.evaluation.bootstrap import bootstrap_auroc, logit_bootstrap_interval
from cxrbatch.evaluation.bootstrap import variance as variance_of
from cxrbatch.evaluation.calibration import (
    ECE_BINS,
    LogisticCalibration,
    brier_score,
    expected_calibration_error,
    logistic_calibration,
)
from cxrbatch.evaluation.delong import delong
from cxrbatch.evaluation.intervals import Interval, logit_interval
from cxrbatch.evaluation.operating_points import (
    OperatingPoint,
    operating_point,
    threshold_for_sensitivity,
    threshold_for_specificity,
    youden_threshold,
)
from cxrbatch.evaluation.subgroups import Subgroups, subgroups

RELIABLE_POSITIVES = 10
"""Fewer of either class, and the figures of a finding are marked as unreliable."""

RELIABLE_INTERVAL = 30
RELIABLE_CLUSTERS = 50
"""From so many patients, in the smaller class and in all, both intervals cover 93 to 97% in
simulation (tests/evaluation/test_coverage.py)."""

GIVEN = "given"
SAME_DATA = "youden, chosen on the data it is judged on"
TARGET = 0.9
IDENTICAL = "alarm: every image has the same score"


@dataclass(frozen=True)
class FindingMetrics:
    """Figures of one finding; None is always explained by `reason` or by one of `warnings`."""

    finding: str
    n_pos: int
    n_neg: int
    prevalence: float | None
    auroc: float | None
    auroc_ci95: Interval | None
    auroc_ci95_delong: Interval | None
    auprc: float | None
    brier: float | None
    ece: float | None
    calibration: LogisticCalibration
    operating_point: OperatingPoint | None
    threshold_chosen: str | None
    other_points: Mapping[str, OperatingPoint]
    stated_prevalence: float | None
    bootstrap_rounds_left_out: int
    reason: str | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        result: dict[str, Any] = {
            "auroc": self.auroc,
            "auroc_ci95": _listed(self.auroc_ci95),
            "auroc_ci95_delong": _listed(self.auroc_ci95_delong),
            "auprc": self.auprc,
            "n_pos": self.n_pos,
            "n_neg": self.n_neg,
            "prevalence": self.prevalence,
            "operating_point": self._point(self.operating_point, self.threshold_chosen),
            "other_operating_points": {
                name: self._point(point, f"{name}, chosen on the data it is judged on")
                for name, point in self.other_points.items()
            },
            "brier": self.brier,
            "ece": self.ece,
            "ece_binning": f"{ECE_BINS} bins of equal width",
            "calibration_slope": self.calibration.slope,
            "calibration_intercept": self.calibration.intercept,
            "calibration_in_the_large": self.calibration.in_the_large,
            "bootstrap_rounds_left_out": self.bootstrap_rounds_left_out,
            "unreliable": min(self.n_pos, self.n_neg) < RELIABLE_POSITIVES,
            "warnings": list(self.warnings),
        }
        if self.reason is not None:
            result["reason"] = self.reason
        return result

    def _point(self, point: OperatingPoint | None, chosen: str | None) -> dict[str, Any] | None:
        if point is None:
            return None
        result: dict[str, Any] = {"threshold": point.threshold, "threshold_chosen": chosen}
        for name in ("sensitivity", "specificity", "ppv", "npv"):
            rate = getattr(point, name)
            result[name] = rate.value
            result[f"{name}_ci95"] = _listed(rate.ci95)
        if self.stated_prevalence is not None:
            ppv, npv = point.predictive_values(self.stated_prevalence)
            result |= {
                "stated_prevalence": self.stated_prevalence,
                "ppv_at_stated_prevalence": ppv,
                "npv_at_stated_prevalence": npv,
            }
        return result | {"f1": point.f1, "tp": point.tp, "fp": point.fp, "tn": point.tn, "fn": point.fn}


@dataclass(frozen=True)
class Metrics:
    """Figures of a cohort: per finding, their macro average, and subgroups."""

    n_images: int
    n_patients: int
    findings: tuple[FindingMetrics, ...]
    macro_auroc: float | None
    macro_auroc_ci95: Interval | None
    rounds: int
    seed: int
    subgroups: Subgroups
    warnings: tuple[str, ...]

    @property
    def macro_labels(self) -> int:
        """How many findings have an AUROC and so are in the macro average."""
        return sum(finding.auroc is not None for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The object of contract 3.5; what is undefined is None, never NaN."""
        return {
            "schema": 1,
            "n_images": self.n_images,
            "n_patients": self.n_patients,
            "macro_auroc": self.macro_auroc,
            "macro_auroc_ci95": _listed(self.macro_auroc_ci95),
            "macro_labels": self.macro_labels,
            "labels": {finding.finding: finding.to_dict() for finding in self.findings},
            "subgroups": self.subgroups,
            "bootstrap": {"rounds": self.rounds, "seed": self.seed, "clusters": self.n_patients},
            "warnings": list(self.warnings),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_frame(self) -> pd.DataFrame:
        """Tidy: one row a figure, with columns finding, metric, value, low, high."""
        rows: list[tuple[str, str, float | None, float | None, float | None]] = []
        for finding in self.findings:
            rows += _tidy(finding)
        low, high = self.macro_auroc_ci95 or (None, None)
        rows.append(("macro", "auroc", self.macro_auroc, low, high))
        return pd.DataFrame(rows, columns=["finding", "metric", "value", "low", "high"])


def evaluate(
    y_true: ArrayLike,
    y_score: ArrayLike,
    findings: Sequence[str],
    patient_ids: ArrayLike | None = None,
    thresholds: Mapping[str, float] | None = None,
    rounds: int = 2000,
    seed: int = 0,
    *,
    attributes: pd.DataFrame | None = None,
    stated_prevalence: float | None = None,
) -> Metrics:
    """Everything that is said of a model on a labelled cohort.

    y_true (n, k): 0, 1, NaN where unknown; y_score (n, k): probabilities in [0, 1]; findings: k names;
    patient_ids (n,): the clusters of the bootstrap and of DeLong's variance (default: an image, a patient);
    thresholds: finding -> threshold fixed beforehand (others are chosen by Youden's index on these data,
    which is said beside the figures); attributes: n rows with columns such as sex, age, view for subgroups.
    Raises ValueError for arrays that do not fit.
    """
    truth, score = as_matrix(y_true, y_score)
    n = len(truth)
    if len(findings) != truth.shape[1] or len(set(findings)) != len(findings):
        raise ValueError(f"`findings` must be {truth.shape[1]} different names. Received: {list(findings)}")
    if np.any((score < 0) | (score > 1)):
        raise ValueError("`y_score` must hold probabilities within [0, 1]")
    patients = np.arange(n) if patient_ids is None else np.asarray(patient_ids)
    if patients.shape != (n,):
        raise ValueError(f"`patient_ids` must have shape ({n},). Received: {patients.shape}")
    areas, precisions = auroc(truth, score), average_precision(truth, score)
    bootstrap = bootstrap_auroc(truth, score, patients, rounds, seed)
    left_out, spread = bootstrap.left_out(), bootstrap.variance()
    rows = tuple(
        _finding(
            name,
            truth[:, j],
            score[:, j],
            patients,
            _number(areas[j]),
            _number(precisions[j]),
            float(spread[j]),
            int(left_out[j]),
            (thresholds or {}).get(name),
            stated_prevalence,
        )
        for j, name in enumerate(findings)
    )
    defined = np.flatnonzero(~np.isnan(areas))
    macro = float(areas[defined].mean()) if defined.size else None
    macro_rounds = bootstrap.macro(defined)
    clusters = len(np.unique(patients))
    lost = int(np.isnan(macro_rounds).sum())
    warnings = []
    if defined.size and lost:
        warnings.append(
            f"{lost} of {rounds} bootstrap rounds had a finding without one class: not in the macro"
        )
    alike = [row.finding for row in rows if IDENTICAL in row.warnings]
    if alike:
        warnings.append(f"{IDENTICAL}: {', '.join(alike)}")
    if any(row.auroc is None for row in rows):
        missing = ", ".join(row.finding for row in rows if row.auroc is None)
        warnings.append(f"not in the macro average, for want of an AUROC: {missing}")
    return Metrics(
        n_images=n,
        n_patients=clusters,
        findings=rows,
        macro_auroc=macro,
        macro_auroc_ci95=None
        if macro is None or clusters < 2
        else logit_bootstrap_interval(macro, variance_of(macro_rounds), clusters - 1.0),
        rounds=rounds,
        seed=seed,
        subgroups={} if attributes is None else subgroups(truth, score, findings, patients, attributes),
        warnings=tuple(warnings),
    )


def _finding(
    name: str,
    truth: Floats,
    score: Floats,
    patients: np.ndarray,
    area: float | None,
    precision: float | None,
    bootstrap_variance: float,
    left_out: int,
    threshold: float | None,
    stated_prevalence: float | None,
) -> FindingMetrics:
    n_pos, n_neg = int(np.sum(truth == 1)), int(np.sum(truth == 0))
    labelled = n_pos + n_neg
    delong_interval = bootstrap_interval = None
    chosen = None if threshold is None else GIVEN
    others: dict[str, OperatingPoint] = {}
    if area is not None:
        estimate = delong(truth, score, patients)
        degrees = float(estimate.degrees[0])
        delong_interval = logit_interval(area, float(estimate.covariance[0, 0]), degrees=degrees)
        bootstrap_interval = logit_bootstrap_interval(area, bootstrap_variance, degrees)
        if threshold is None:
            threshold, chosen = youden_threshold(truth, score), SAME_DATA
        others = {
            rule: operating_point(truth, score, cut)
            for rule, cut in (
                ("youden", youden_threshold(truth, score)),
                (f"sensitivity >= {TARGET}", threshold_for_sensitivity(truth, score, TARGET)),
                (f"specificity >= {TARGET}", threshold_for_specificity(truth, score, TARGET)),
            )
        }
    return FindingMetrics(
        finding=name,
        n_pos=n_pos,
        n_neg=n_neg,
        prevalence=n_pos / labelled if labelled else None,
        auroc=area,
        auroc_ci95=bootstrap_interval,
        auroc_ci95_delong=delong_interval,
        auprc=precision,
        brier=brier_score(truth, score) if labelled else None,
        ece=expected_calibration_error(truth, score) if labelled else None,
        calibration=logistic_calibration(truth, score),
        operating_point=None
        if threshold is None or not labelled
        else operating_point(truth, score, threshold),
        threshold_chosen=chosen,
        other_points=others,
        stated_prevalence=stated_prevalence,
        bootstrap_rounds_left_out=left_out,
        reason=_reason(n_pos, n_neg),
        warnings=_warnings(truth, score, patients, area, left_out),
    )


def _reason(n_pos: int, n_neg: int) -> str | None:
    if n_pos and n_neg:
        return None
    if not n_pos and not n_neg:
        return "no image has a label for this finding"
    return f"one class only: {n_pos} positive and {n_neg} negative images"


def _warnings(
    truth: Floats, score: Floats, patients: np.ndarray, area: float | None, left_out: int
) -> tuple[str, ...]:
    if area is None:
        return ()
    known = ~np.isnan(truth)
    smaller = int(min(np.sum(truth == 1), np.sum(truth == 0)))
    clusters = len(np.unique(patients[known]))
    fewest = min(len(np.unique(patients[truth == label])) for label in (0, 1))
    found: list[str] = []
    if np.ptp(score[known]) == 0:
        found.append(IDENTICAL)
    if smaller < RELIABLE_POSITIVES:
        found.append(f"unreliable: only {smaller} images in the smaller class")
    elif fewest < RELIABLE_INTERVAL:
        found.append(f"intervals may cover too little: only {fewest} patients in the smaller class")
    if clusters < RELIABLE_CLUSTERS:
        found.append(f"intervals may cover too little: only {clusters} patients")
    if area in (0.0, 1.0):
        found.append("no interval: the scores separate the classes completely")
    if left_out:
        found.append(f"{left_out} bootstrap rounds lost one of the classes and were left out")
    return tuple(found)


def _tidy(finding: FindingMetrics) -> list[tuple[str, str, float | None, float | None, float | None]]:
    name = finding.finding
    rows: list[tuple[str, str, float | None, float | None, float | None]] = [
        (name, "auroc", finding.auroc, *(finding.auroc_ci95 or (None, None))),
        (name, "auroc_delong", finding.auroc, *(finding.auroc_ci95_delong or (None, None))),
    ]
    plain = {
        "auprc": finding.auprc,
        "n_pos": finding.n_pos,
        "n_neg": finding.n_neg,
        "prevalence": finding.prevalence,
        "brier": finding.brier,
        "ece": finding.ece,
        "calibration_slope": finding.calibration.slope,
        "calibration_intercept": finding.calibration.intercept,
        "calibration_in_the_large": finding.calibration.in_the_large,
    }
    rows += [(name, metric, value, None, None) for metric, value in plain.items()]
    if (point := finding.operating_point) is not None:
        rows.append((name, "threshold", point.threshold, None, None))
        for metric in ("sensitivity", "specificity", "ppv", "npv"):
            rate = getattr(point, metric)
            rows.append((name, metric, rate.value, *(rate.ci95 or (None, None))))
        rows.append((name, "f1", point.f1, None, None))
    return rows


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _listed(pair: Interval | None) -> list[float] | None:
    return None if pair is None else list(pair)
