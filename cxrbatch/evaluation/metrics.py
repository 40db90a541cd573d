"""Everything that is said of a model on a labelled cohort, from arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cxrbatch.evaluation.auroc import Floats, as_matrix, auroc
from cxrbatch.evaluation.average_precision import average_precision
from cxrbatch.evaluation.bootstrap import bootstrap_auroc, logit_bootstrap_interval
from cxrbatch.evaluation.bootstrap import variance as variance_of
from cxrbatch.evaluation.calibration import brier_score, expected_calibration_error, logistic_calibration
from cxrbatch.evaluation.delong import delong
from cxrbatch.evaluation.intervals import logit_interval
from cxrbatch.evaluation.metric_records import RELIABLE_POSITIVES, FindingMetrics, JudgedPoint, Metrics
from cxrbatch.evaluation.subgroups import subgroups
from cxrbatch.evaluation.thresholds import Choice, Targets, choose, judge

RELIABLE_INTERVAL = 30
RELIABLE_CLUSTERS = 50
"""From so many patients, in the smaller class and in all, both intervals cover 93 to 97% in
simulation (tests/evaluation/test_coverage.py)."""

IDENTICAL = "alarm: every image has the same score"


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
    subgroup_columns: Sequence[str] | None = None,
    stated_prevalence: float | None = None,
    targets: Targets | None = None,
    tuning: NDArray[np.bool_] | None = None,
) -> Metrics:
    """Everything that is said of a model on a labelled cohort.

    y_true (n, k): 0, 1, NaN where unknown; y_score (n, k): probabilities in [0, 1]; findings: k names;
    patient_ids (n,): the clusters of the bootstrap and of DeLong's variance (default: an image, a patient);
    thresholds: finding -> threshold fixed beforehand (others are chosen by Youden's index); attributes: n
    rows with columns such as sex, age, view, of which `subgroup_columns` make the subgroups (default: see
    `subgroups`); targets: what sensitivity and specificity the other operating points must reach.

    tuning (n,): images, of patients of their own, on which thresholds are chosen; operating points are then
    judged on the others only. Without it a threshold that is not given is chosen on the data that it is
    judged on, which is said beside the figures. All that needs no threshold is of all images either way.

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
    choice = Choice(targets or Targets(), tuning)
    rows = tuple(
        _finding(
            _Column(name, truth[:, j], score[:, j], patients),
            _number(areas[j]),
            _number(precisions[j]),
            float(spread[j]),
            int(left_out[j]),
            (thresholds or {}).get(name),
            stated_prevalence,
            choice,
        )
        for j, name in enumerate(findings)
    )
    defined = np.flatnonzero(~np.isnan(areas))
    macro = float(areas[defined].mean()) if defined.size else None
    macro_rounds = bootstrap.macro(defined)
    clusters = len(np.unique(patients))
    cuts = [None if row.operating_point is None else row.operating_point.threshold for row in rows]
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
        subgroups={}
        if attributes is None
        else subgroups(
            truth,
            score,
            findings,
            patients,
            attributes,
            columns=subgroup_columns,
            thresholds=cuts,
            judged=None if tuning is None else ~tuning,
            rounds=rounds,
            seed=seed,
        ),
        warnings=tuple(_cohort_warnings(rows, rounds, int(np.isnan(macro_rounds).sum()))),
    )


@dataclass(frozen=True)
class _Column:
    """One finding: truth (n,), score (n,) and the patients (n,)."""

    name: str
    truth: Floats
    score: Floats
    patients: np.ndarray


def _finding(
    column: _Column,
    area: float | None,
    precision: float | None,
    bootstrap_variance: float,
    left_out: int,
    threshold: float | None,
    stated_prevalence: float | None,
    choice: Choice,
) -> FindingMetrics:
    truth, score = column.truth, column.score
    n_pos, n_neg = int(np.sum(truth == 1)), int(np.sum(truth == 0))
    labelled = n_pos + n_neg
    delong_interval = bootstrap_interval = None
    if area is not None:
        estimate = delong(truth, score, column.patients)
        degrees = float(estimate.degrees[0])
        delong_interval = logit_interval(area, float(estimate.covariance[0, 0]), degrees=degrees)
        bootstrap_interval = logit_bootstrap_interval(area, bootstrap_variance, degrees)
    main, others = _points(truth, score, threshold, choice)
    return FindingMetrics(
        finding=column.name,
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
        main_point=main,
        other_points=others,
        stated_prevalence=stated_prevalence,
        bootstrap_rounds_left_out=left_out,
        reason=_reason(n_pos, n_neg),
        warnings=(*_warnings(column, area, left_out), *_point_warnings(area, main)),
    )


def _points(
    truth: Floats, score: Floats, threshold: float | None, choice: Choice
) -> tuple[JudgedPoint | None, dict[str, JudgedPoint]]:
    """The main operating point (the given threshold, else Youden's) and those that are chosen here."""
    chosen = choose(truth, score, choice)
    others = {
        rule: point
        for rule, cut in chosen.items()
        if (point := judge(truth, score, cut, rule, choice)) is not None
    }
    if threshold is None:
        return others.get("youden"), others
    return judge(truth, score, threshold, None, choice), others


def _reason(n_pos: int, n_neg: int) -> str | None:
    if n_pos and n_neg:
        return None
    if not n_pos and not n_neg:
        return "no image has a label for this finding"
    return f"one class only: {n_pos} positive and {n_neg} negative images"


def _warnings(column: _Column, area: float | None, left_out: int) -> tuple[str, ...]:
    truth, score, patients = column.truth, column.score, column.patients
    known = ~np.isnan(truth)
    found: list[str] = []
    if known.sum() > 1 and np.ptp(score[known]) == 0:
        found.append(IDENTICAL)
    if area is None:
        return tuple(found)
    smaller = int(min(np.sum(truth == 1), np.sum(truth == 0)))
    clusters = len(np.unique(patients[known]))
    fewest = min(len(np.unique(patients[truth == label])) for label in (0, 1))
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


def _point_warnings(area: float | None, main: JudgedPoint | None) -> tuple[str, ...]:
    if area is None:
        return ()
    if main is None:
        return ("no operating point: one of the two parts of the cohort lacks a class",)
    if main.same_data:
        return ("operating point: its threshold was chosen on the data it is judged on, which flatters it",)
    return ()


def _cohort_warnings(rows: Sequence[FindingMetrics], rounds: int, lost: int) -> list[str]:
    warnings = []
    alike = [row.finding for row in rows if IDENTICAL in row.warnings]
    if alike:
        warnings.append(f"{IDENTICAL}: {', '.join(alike)}")
    if any(row.auroc is not None for row in rows) and lost:
        warnings.append(
            f"{lost} of {rounds} bootstrap rounds had a finding without one class: not in the macro"
        )
    if any(row.auroc is None for row in rows):
        missing = ", ".join(row.finding for row in rows if row.auroc is None)
        warnings.append(f"not in the macro average, for want of an AUROC: {missing}")
    return warnings


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
