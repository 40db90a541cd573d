"""Differences in AUROC of two models on the same images: each finding's, and their mean's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from cxrbatch.evaluation.auroc import Floats, as_matrix, auroc, midranks
from cxrbatch.evaluation.bootstrap import bootstrap_auroc, variance
from cxrbatch.evaluation.delong import PairedDifference, paired_difference, structural_components
from cxrbatch.evaluation.intervals import Interval, normal_quantile

NO_CLASS = "one class only"
FEW_PATIENTS = "fewer than two patients with, or without, the finding: its spread cannot be estimated"
NO_SPREAD = (
    "the models rank the images differently, but every pair of a positive and a negative alike (as when both "
    "separate the classes completely): the data say nothing of the spread"
)


@dataclass(frozen=True)
class FindingDifference:
    """One finding. AUROCs are NaN without both classes; `reason` says why there is no interval.

    `delong` is the paired test with Obuchowski's variance for clustered data. `bootstrap_error` is the
    standard error over the rounds, with Satterthwaite's degrees of freedom for the difference.
    """

    auroc_a: float
    auroc_b: float
    difference: float
    delong: PairedDifference | None
    bootstrap_error: float
    degrees: float
    patients_pos: int
    patients_neg: int
    rounds_left_out: int
    reason: str | None

    def interval(self, level: float) -> Interval | None:
        """From the patient-clustered bootstrap's standard error; None as `reason` says."""
        if self.reason is not None:
            return None
        return t_interval(self.difference, self.bootstrap_error, self.degrees, level)


@dataclass(frozen=True)
class MacroDifference:
    """The mean over `findings` (their columns). None and NaN with a `reason` where nothing can be said."""

    findings: NDArray[np.intp]
    auroc_a: float
    auroc_b: float
    difference: float
    delong: PairedDifference | None
    bootstrap_error: float
    degrees: float
    rounds_left_out: int
    reason: str | None

    def interval(self, level: float) -> Interval | None:
        if self.reason is not None:
            return None
        return t_interval(self.difference, self.bootstrap_error, self.degrees, level)


def t_interval(difference: float, error: float, degrees: float, level: float) -> Interval:
    """difference ± t error sqrt((degrees + 1) / degrees), within [-1, 1].

    `error` is a bootstrap's standard error, which is too small by the square root (Hesterberg, The American
    Statistician 2015;69:371).
    """
    if error == 0:
        return difference, difference
    quantile = float(stdtrit(degrees, 0.5 + level / 2.0))
    half = quantile * error * math.sqrt((degrees + 1.0) / degrees)
    return max(-1.0, difference - half), min(1.0, difference + half)


def paired_auroc(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    clusters: ArrayLike,
    rounds: int = 2000,
    seed: int = 0,
) -> tuple[tuple[FindingDifference, ...], MacroDifference]:
    """Differences B - A for each finding, and of the mean over the findings that have an interval or agree.

    y_true (n, k): 0, 1, NaN where unknown; scores (n, k), finite; clusters (n,): patients. Both models are
    bootstrapped on the same draws of patients, so that the difference of their AUROCs in a round is paired.

    In the macro difference are the findings with at least two patients in each class: with fewer the spread
    of their AUROC cannot be estimated, nor that of a mean with them in it.
    """
    truth, a = as_matrix(y_true, score_a)
    b = as_matrix(y_true, score_b)[1]
    patient = np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    k = truth.shape[1]
    areas = np.column_stack([auroc(truth, a), auroc(truth, b)])
    drawn = bootstrap_auroc(np.hstack([truth, truth]), np.hstack([a, b]), patient, rounds, seed).values
    steps = drawn[:, k:] - drawn[:, :k]
    parts = [_components(truth[:, j], a[:, j], b[:, j], patient) for j in range(k)]
    findings = tuple(
        _finding(truth[:, j], a[:, j], b[:, j], patient, areas[j], steps[:, j], parts[j]) for j in range(k)
    )
    return findings, _macro(findings, areas, steps, parts)


@dataclass(frozen=True)
class _Components:
    """Each patient's part in the deviation of one finding's difference, (patients,), by class.

    The sum of squares of `pos + neg` is the difference's variance, the parts from the classes are `v_pos` and
    `v_neg` (DeLong; Obuchowski when clustered, but that each class's factor I / (I - 1) also weighs the
    product of the two in patients who have both).
    """

    pos: Floats
    neg: Floats
    patients_pos: int
    patients_neg: int
    same_ranking: bool

    @property
    def v_pos(self) -> float:
        return float(np.sum(self.pos**2))

    @property
    def v_neg(self) -> float:
        return float(np.sum(self.neg**2))


def _components(truth: Floats, a: Floats, b: Floats, patient: NDArray[np.intp]) -> _Components | None:
    known = ~np.isnan(truth)
    positive = truth[known] == 1
    if positive.all() or not positive.any():
        return None
    patients = int(patient.max()) + 1
    scores = np.column_stack([a[known], b[known]])
    sums, counts = [], []
    v10, v01 = structural_components(positive, scores)
    for values, members in ((v10, patient[known][positive]), (v01, patient[known][~positive])):
        step = values[:, 1] - values[:, 0]
        weights = (step - step.mean()) / len(step)
        total = np.bincount(members, weights=weights, minlength=patients).astype(np.float64)
        count = len(np.unique(members))
        sums.append(total * math.sqrt(count / (count - 1.0)) if count > 1 else total)
        counts.append(count)
    alike = bool(np.array_equal(midranks(a[known]), midranks(b[known])))
    return _Components(sums[0], sums[1], counts[0], counts[1], alike)


def _finding(
    truth: Floats,
    a: Floats,
    b: Floats,
    patient: NDArray[np.intp],
    areas: Floats,
    steps: Floats,
    parts: _Components | None,
) -> FindingDifference:
    known = ~np.isnan(truth)
    counts = [len(np.unique(patient[known & (truth == label)])) for label in (1, 0)]
    lost = int(np.isnan(steps).sum())
    if parts is None:
        nothing = math.nan
        return FindingDifference(
            nothing, nothing, nothing, None, nothing, nothing, counts[0], counts[1], lost, NO_CLASS
        )
    error = math.sqrt(variance(steps))
    reason = None
    if min(counts) < 2:
        reason = FEW_PATIENTS
    elif not parts.same_ranking and (error == 0 or parts.v_pos + parts.v_neg == 0):
        reason = NO_SPREAD
    elif math.isnan(error):
        reason = "fewer than two bootstrap rounds had both classes"
    test = None if reason else paired_difference(truth, a, b, patient)
    return FindingDifference(
        auroc_a=float(areas[0]),
        auroc_b=float(areas[1]),
        difference=float(areas[1] - areas[0]),
        delong=test,
        bootstrap_error=error,
        degrees=satterthwaite([(parts.v_pos, counts[0]), (parts.v_neg, counts[1])]),
        patients_pos=counts[0],
        patients_neg=counts[1],
        rounds_left_out=lost,
        reason=reason,
    )


def _macro(
    findings: tuple[FindingDifference, ...],
    areas: Floats,
    steps: Floats,
    parts: list[_Components | None],
) -> MacroDifference:
    used = [
        (j, part)
        for j, part in enumerate(parts)
        if part is not None and min(part.patients_pos, part.patients_neg) > 1
    ]
    columns = np.array([j for j, _ in used], dtype=np.intp)
    nothing = math.nan
    if not used:
        none = "no finding has two patients with it and two without"
        return MacroDifference(columns, nothing, nothing, nothing, None, nothing, nothing, 0, none)
    rounds = steps[:, columns].mean(axis=1)
    error = math.sqrt(variance(rounds))
    deviation = np.mean([part.pos + part.neg for _, part in used], axis=0)
    linear = math.sqrt(float(np.sum(deviation**2)))
    alike = all(part.same_ranking for _, part in used)
    reason = None
    if not alike and (error == 0 or linear == 0):
        reason = NO_SPREAD
    elif math.isnan(error):
        reason = "fewer than two bootstrap rounds had both classes of every finding"
    mean_a, mean_b = (float(x) for x in areas[columns].mean(axis=0))
    difference = float(np.mean(areas[columns, 1] - areas[columns, 0]))
    strata = [(part.v_pos, part.patients_pos) for _, part in used]
    strata += [(part.v_neg, part.patients_neg) for _, part in used]
    patients = len(used[0][1].pos)
    return MacroDifference(
        findings=columns,
        auroc_a=mean_a,
        auroc_b=mean_b,
        difference=difference,
        delong=None if reason else _z_test(difference, linear),
        bootstrap_error=error,
        degrees=min(satterthwaite(strata), max(patients - 1.0, 1.0)),
        rounds_left_out=int(np.isnan(rounds).sum()),
        reason=reason,
    )


def satterthwaite(parts: list[tuple[float, int]]) -> float:
    """(sum V)^2 / sum(V^2 / (n - 1)), V each from n patients; the smallest n - 1 if all are 0."""
    total = sum(value for value, _ in parts)
    below = sum(value**2 / max(count - 1, 1) for value, count in parts)
    if below <= 0:
        return float(max(min(count for _, count in parts) - 1, 1))
    return total**2 / below


def _z_test(difference: float, error: float, level: float = 0.95) -> PairedDifference:
    half = normal_quantile(level) * error
    if error > 0:
        p_value = math.erfc(abs(difference) / error / math.sqrt(2.0))
    else:
        p_value = 1.0 if difference == 0 else math.nan
    return PairedDifference(difference, error, difference - half, difference + half, p_value)
