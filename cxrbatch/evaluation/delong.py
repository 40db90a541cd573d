"""DeLong's variance and covariance of AUROCs in O(n log n), intervals, and the paired test.

Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837 (structural components);
Sun and Xu, IEEE Signal Processing Letters 2014;21:1389 (components from midranks);
Obuchowski, Biometrics 1997;53:567 (several images of one patient).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cxrbatch.evaluation.auroc import Floats, midranks
from cxrbatch.evaluation.intervals import normal_quantile


@dataclass(frozen=True)
class DelongEstimate:
    """AUROCs (m,) of m models on the same images, their covariance (m, m), and degrees of freedom (m,).

    The degrees are Satterthwaite's, for a variance that is the sum of one estimated from the patients with
    positives and one from those with negatives: the smaller class decides unless its part is small. Of each
    class count the patients that bear on its variance (`bearing`), fewer than there are.
    The covariance is NaN where it is undefined: fewer than two positives or negatives (or, clustered,
    fewer than two patients with either).
    """

    auroc: Floats
    covariance: Floats
    degrees: Floats


@dataclass(frozen=True)
class PairedDifference:
    """AUROC of B minus AUROC of A, its 95% interval, and the two-sided p value; NaN where undefined."""

    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float


def delong(y_true: ArrayLike, y_score: ArrayLike, clusters: ArrayLike | None = None) -> DelongEstimate:
    """AUROC and covariance of one or several models on the same images.

    y_true (n,): 0, 1, NaN (left out); y_score (n,) or (n, m), one column a model; clusters (n,): patients.
    Without clusters, DeLong 1988. With them, Obuchowski 1997, which is the same number when every patient
    has one image. Raises ValueError when a class is missing.
    """
    truth = np.asarray(y_true, dtype=np.float64)
    scores = np.asarray(y_score, dtype=np.float64).reshape(truth.size, -1)
    known = ~np.isnan(truth)
    positive = truth[known] == 1
    scores = scores[known]
    if positive.all() or not positive.any():
        raise ValueError("AUROC is undefined: `y_true` holds one class only")
    v10, v01 = structural_components(positive, scores)
    auroc = v10.mean(axis=0)
    if clusters is None:
        parts = _covariance(v10) / len(v10), _covariance(v01) / len(v01)
        covariance = parts[0] + parts[1]
        groups = np.arange(len(v10)), np.arange(len(v01))
    else:
        patient = np.unique(np.asarray(clusters)[known], return_inverse=True)[1].ravel()
        groups = patient[positive], patient[~positive]
        parts, cross = _clustered_covariance(v10 - auroc, v01 - auroc, *groups)
        covariance = parts[0] + parts[1] + cross
    independent = bearing(v10, auroc, groups[0]), bearing(v01, auroc, groups[1])
    return DelongEstimate(auroc, covariance, satterthwaite(parts, independent))


def paired_difference(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> PairedDifference:
    """DeLong's test of two models on the same images: z = (B - A) / se, two-sided.

    All (n,). Two models that rank alike have a standard error of 0: the difference is 0 and p is 1.
    """
    estimate = delong(y_true, np.column_stack([np.asarray(score_a), np.asarray(score_b)]), clusters)
    contrast = np.array([-1.0, 1.0])
    difference = float(estimate.auroc @ contrast)
    variance = float(contrast @ estimate.covariance @ contrast)
    error = math.sqrt(variance) if variance >= 0 else (0.0 if variance > -1e-15 else math.nan)
    half = normal_quantile(level) * error
    if error > 0:
        p_value = math.erfc(abs(difference) / error / math.sqrt(2.0))
    else:
        p_value = 1.0 if error == 0 and difference == 0 else math.nan
    return PairedDifference(difference, error, difference - half, difference + half, p_value)


def structural_components(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """V10 (n_pos, m): share of negatives each positive beats; V01 (n_neg, m): of positives that beat it.

    positive (n,), scores (n, m) without NaN; both classes must be there.
    """
    n_pos = int(positive.sum())
    n_neg = positive.size - n_pos
    v10 = np.empty((n_pos, scores.shape[1]))
    v01 = np.empty((n_neg, scores.shape[1]))
    for model in range(scores.shape[1]):
        ranks = midranks(scores[:, model])
        v10[:, model] = (ranks[positive] - midranks(scores[positive, model])) / n_neg
        v01[:, model] = 1.0 - (ranks[~positive] - midranks(scores[~positive, model])) / n_pos
    return v10, v01


def _covariance(components: Floats) -> Floats:
    if len(components) < 2:
        return np.full((components.shape[1],) * 2, np.nan)
    return np.cov(components, rowvar=False).reshape(components.shape[1], -1)


def _clustered_covariance(
    d10: Floats, d01: Floats, patient_pos: NDArray[np.intp], patient_neg: NDArray[np.intp]
) -> tuple[tuple[Floats, Floats], Floats]:
    """Obuchowski 1997, eq. 3-6, from components centred on the AUROC and summed within each patient.

    The parts from positives and from negatives, and the part from patients who have both.
    """
    n_pos, n_neg = len(d10), len(d01)
    patients = 1 + int(max(patient_pos.max(), patient_neg.max()))
    with_pos, with_neg = len(np.unique(patient_pos)), len(np.unique(patient_neg))
    present = len(np.union1d(patient_pos, patient_neg))
    if with_pos < 2 or with_neg < 2:
        undefined = np.full((d10.shape[1],) * 2, np.nan)
        return (undefined, undefined), undefined
    sum10 = np.zeros((patients, d10.shape[1]))
    sum01 = np.zeros((patients, d01.shape[1]))
    np.add.at(sum10, patient_pos, d10)
    np.add.at(sum01, patient_neg, d01)
    from_positives = sum10.T @ sum10 * with_pos / ((with_pos - 1) * n_pos**2)
    from_negatives = sum01.T @ sum01 * with_neg / ((with_neg - 1) * n_neg**2)
    s11 = sum10.T @ sum01 * present / (present - 1)
    return (from_positives, from_negatives), (s11 + s11.T) / (n_pos * n_neg)


def bearing(components: Floats, auroc: Floats, patient: NDArray[np.intp]) -> Floats:
    """How many independent patients the variance of one class's components rests on, (m,).

    components (n, m) of images, auroc (m,), patient (n,). What keeps an AUROC from 1 is the sum of the losses
    1 - component (from 0, of the components), and the nearer it is to 1, the fewer patients carry that sum:
    Kish's effective number (sum loss)^2 / sum loss^2, over patients, says how few (Survey Sampling, 1965).
    Intervals from the number of patients are too short then, from Kish's too long with few patients in both
    classes; this is the harmonic mean of the two numbers, chosen by simulation (docs/validation.md).
    """
    loss = np.where(auroc >= 0.5, 1.0 - components, components)
    names, place = np.unique(patient, return_inverse=True)
    sums = np.zeros((len(names), components.shape[1]))
    np.add.at(sums, place.ravel(), loss)
    squares = np.sum(sums**2, axis=0)
    count = np.full(len(auroc), float(len(names)))
    kish = np.divide(sums.sum(axis=0) ** 2, squares, out=count.copy(), where=squares > 0)
    return np.asarray(2.0 / (1.0 / count + 1.0 / kish))


def satterthwaite(parts: tuple[Floats, Floats], independent: tuple[Floats, Floats]) -> Floats:
    """(V1 + V0)^2 / (V1^2 / (n1 - 1) + V0^2 / (n0 - 1)), (m,); the smaller n less one if both are 0.

    parts: covariances (m, m) from positives and from negatives; independent: the n of each, (m,). At least 1.
    """
    v1, v0 = np.diag(parts[0]), np.diag(parts[1])
    n1, n0 = (np.maximum(count - 1.0, 1.0) for count in independent)
    below = v1**2 / n1 + v0**2 / n0
    return np.divide((v1 + v0) ** 2, below, out=np.minimum(n1, n0), where=below > 0)
