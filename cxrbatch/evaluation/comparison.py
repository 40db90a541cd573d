"""Everything that is said of two models on the same images, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cxrbatch.evaluation.auroc import Floats, as_matrix
from cxrbatch.evaluation.holm import holm, simultaneous_level
from cxrbatch.evaluation.intervals import Interval
from cxrbatch.evaluation.mcnemar import PairedCalls, call
from cxrbatch.evaluation.operating_points import youden_threshold
from cxrbatch.evaluation.paired_auroc import FindingDifference, MacroDifference, paired_auroc
from cxrbatch.evaluation.sample_size import SampleSize, sample_size
from cxrbatch.evaluation.verdict import LEVEL, Decision, Verdict, decide

GIVEN = "given"
CHOSEN_HERE = "youden, chosen on the data it is judged on"
RELIABLE_IMAGES = 10
"""Fewer of either class, and the figures of a finding are marked as unreliable, as `validate` does."""
RELIABLE_INTERVAL = 30
RELIABLE_PATIENTS = 50
"""Fewer patients in the smaller class, or in all, and intervals are marked, as `validate` does."""


@dataclass(frozen=True)
class OperatingPointPair:
    """Both models at their thresholds: what they called of the positives, and of the negatives.

    `p_sensitivity_holm` and `p_specificity_holm` are adjusted over the findings.
    """

    threshold_a: float
    threshold_b: float
    chosen_a: str
    chosen_b: str
    positives: PairedCalls
    negatives: PairedCalls
    p_sensitivity_holm: float | None = None
    p_specificity_holm: float | None = None

    @property
    def specificity_difference(self) -> float | None:
        """B - A; a called negative is a mistake, so the sign turns."""
        difference = self.negatives.difference
        return None if difference is None else 0.0 - difference

    @property
    def specificity_ci95(self) -> Interval | None:
        interval = self.negatives.ci95()
        return None if interval is None else (0.0 - interval[1], 0.0 - interval[0])

    @property
    def net_reclassification(self) -> float | None:
        """Net reclassification improvement with two categories: both differences together, -2 to 2.

        Pencina et al., Statistics in Medicine 2008;27:157. It weighs a found positive and a cleared negative
        alike, each within its class: read its two parts (Kerr et al., Epidemiology 2014;25:114).
        """
        sensitivity, specificity = self.positives.difference, self.specificity_difference
        return None if sensitivity is None or specificity is None else sensitivity + specificity


@dataclass(frozen=True)
class FindingComparison:
    """One finding. Intervals are None where undefined, and `warnings` or `auroc.reason` say why."""

    finding: str
    n_pos: int
    n_neg: int
    auroc: FindingDifference
    ci95: Interval | None
    ci95_corrected: Interval | None
    p_holm: float | None
    operating_point: OperatingPointPair | None
    in_endpoint: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Two models on one cohort. `corrected_level` is the level of each corrected interval."""

    n_images: int
    n_patients: int
    margin: float
    rounds: int
    seed: int
    findings: tuple[FindingComparison, ...]
    macro: MacroDifference
    macro_ci95: Interval | None
    corrected_level: float
    decision: Decision
    sample_size: SampleSize | None
    warnings: tuple[str, ...]


def compare(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    findings: Sequence[str],
    patient_ids: ArrayLike | None = None,
    thresholds_a: Mapping[str, float] | None = None,
    thresholds_b: Mapping[str, float] | None = None,
    margin: float = 0.02,
    rounds: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Is B as good as A?

    y_true (n, k): 0, 1, NaN where unknown; scores (n, k): the two models' probabilities for the same
    images; findings: k names; patient_ids (n,): clusters (default: an image, a patient); thresholds: finding
    -> threshold fixed beforehand (others are chosen by Youden's index on these data, which is said);
    margin of non-inferiority in macro AUROC, above 0 and below 0.5. Raises ValueError for arrays
    that do not fit.
    """
    truth, a = as_matrix(y_true, score_a)
    b = as_matrix(y_true, score_b)[1]
    if len(findings) != truth.shape[1] or len(set(findings)) != len(findings):
        raise ValueError(f"`findings` must be {truth.shape[1]} different names. Received: {list(findings)}")
    patients = np.arange(len(truth)) if patient_ids is None else np.asarray(patient_ids)
    if patients.shape != (len(truth),):
        raise ValueError(f"`patient_ids` must have shape ({len(truth)},). Received: {patients.shape}")
    differences, macro = paired_auroc(truth, a, b, patients, rounds, seed)
    testable = sum(each.reason is None for each in differences)
    level = simultaneous_level(LEVEL, testable)
    corrected = {
        name: interval
        for name, each in zip(findings, differences, strict=True)
        if (interval := each.interval(level)) is not None
    }
    macro_interval = macro.interval(LEVEL)
    estimate = None if np.isnan(macro.difference) else macro.difference
    decision = decide(estimate, macro_interval, corrected, margin)
    points = _operating_points(truth, a, b, patients, findings, thresholds_a or {}, thresholds_b or {})
    p_holm = holm([_p_value(each) for each in differences])
    rows = tuple(
        FindingComparison(
            finding=name,
            n_pos=int(np.sum(truth[:, j] == 1)),
            n_neg=int(np.sum(truth[:, j] == 0)),
            auroc=differences[j],
            ci95=differences[j].interval(LEVEL),
            ci95_corrected=corrected.get(name),
            p_holm=p_holm[j],
            operating_point=points[j],
            in_endpoint=bool(np.any(macro.findings == j)),
            warnings=_finding_warnings(truth[:, j], a[:, j], b[:, j], differences[j]),
        )
        for j, name in enumerate(findings)
    )
    n_patients = len(np.unique(patients))
    needed = None
    if decision.verdict is Verdict.INCONCLUSIVE and macro_interval is not None and estimate is not None:
        needed = sample_size(estimate, macro.bootstrap_error, n_patients, margin)
    return Comparison(
        n_images=len(truth),
        n_patients=n_patients,
        margin=margin,
        rounds=rounds,
        seed=seed,
        findings=rows,
        macro=macro,
        macro_ci95=macro_interval,
        corrected_level=level,
        decision=decision,
        sample_size=needed,
        warnings=_warnings(rows, macro, n_patients, len(truth), rounds),
    )


def _p_value(difference: FindingDifference) -> float | None:
    if difference.delong is None or np.isnan(difference.delong.p_value):
        return None
    return difference.delong.p_value


def _operating_points(
    truth: Floats,
    a: Floats,
    b: Floats,
    patients: NDArray[np.generic],
    findings: Sequence[str],
    thresholds_a: Mapping[str, float],
    thresholds_b: Mapping[str, float],
) -> list[OperatingPointPair | None]:
    points: list[OperatingPointPair | None] = []
    for j, name in enumerate(findings):
        y = truth[:, j]
        cut_a, chosen_a = _threshold(y, a[:, j], thresholds_a.get(name))
        cut_b, chosen_b = _threshold(y, b[:, j], thresholds_b.get(name))
        if cut_a is None or cut_b is None:
            points.append(None)
            continue
        calls_a, calls_b = call(a[:, j], cut_a), call(b[:, j], cut_b)
        classes = [
            PairedCalls.of(calls_a[members], calls_b[members], patients[members])
            for members in (y == 1, y == 0)
        ]
        points.append(OperatingPointPair(cut_a, cut_b, chosen_a, chosen_b, classes[0], classes[1]))
    sensitivity = holm([None if point is None else point.positives.p_value for point in points])
    specificity = holm([None if point is None else point.negatives.p_value for point in points])
    return [
        None
        if point is None
        else OperatingPointPair(
            point.threshold_a,
            point.threshold_b,
            point.chosen_a,
            point.chosen_b,
            point.positives,
            point.negatives,
            sensitivity[j],
            specificity[j],
        )
        for j, point in enumerate(points)
    ]


def _threshold(y: Floats, score: Floats, given: float | None) -> tuple[float | None, str]:
    if given is not None:
        return (float(given), GIVEN) if np.any(~np.isnan(y)) else (None, GIVEN)
    if not (np.any(y == 1) and np.any(y == 0)):
        return None, CHOSEN_HERE
    return youden_threshold(y, score), CHOSEN_HERE


def _finding_warnings(truth: Floats, a: Floats, b: Floats, difference: FindingDifference) -> tuple[str, ...]:
    known = ~np.isnan(truth)
    found = []
    for name, score in (("A", a), ("B", b)):
        if known.any() and np.ptp(score[known]) == 0:
            found.append(f"alarm: {name} gives every image the same score")
    if difference.reason is not None:
        found.append(f"no interval: {difference.reason}")
    smaller, larger = sorted((int(np.sum(truth == 1)), int(np.sum(truth == 0))))
    fewest = min(difference.patients_pos, difference.patients_neg)
    if 0 < smaller < RELIABLE_IMAGES:
        found.append(f"unreliable: only {smaller} of {smaller + larger} images in the smaller class")
    elif 0 < fewest < RELIABLE_INTERVAL:
        found.append(f"interval may be off: only {fewest} patients in the smaller class")
    if difference.rounds_left_out and smaller:
        found.append(
            f"{difference.rounds_left_out} bootstrap rounds lost one of the classes and were left out"
        )
    return tuple(found)


def _warnings(
    rows: Sequence[FindingComparison], macro: MacroDifference, patients: int, images: int, rounds: int
) -> tuple[str, ...]:
    found = [
        f"{warning[0].upper()}{warning[1:]}: {row.finding}"
        for row in rows
        for warning in row.warnings
        if warning.startswith("alarm")
    ]
    if macro.reason is not None:
        found.append(f"There is no interval for the primary endpoint: {macro.reason}.")
    elif all(row.auroc.difference == 0 and row.auroc.bootstrap_error == 0 for row in rows if row.in_endpoint):
        found.append("Both models rank the images alike in every finding: is B another model than A?")
    outside = [row.finding for row in rows if not row.in_endpoint]
    if outside:
        found.append(f"Not in the primary endpoint, for want of patients in one class: {', '.join(outside)}.")
    unreliable = [row.finding for row in rows if 0 < min(row.n_pos, row.n_neg) < RELIABLE_IMAGES]
    if unreliable:
        found.append(
            f"Fewer than {RELIABLE_IMAGES} images of one class, so figures are unreliable: "
            f"{', '.join(unreliable)}."
        )
    if patients < RELIABLE_PATIENTS:
        found.append(f"Only {patients} patients: intervals may be off below {RELIABLE_PATIENTS}.")
    if macro.rounds_left_out:
        found.append(
            f"{macro.rounds_left_out} of {rounds} bootstrap rounds had a finding without one class: they are "
            "not in the primary endpoint's interval."
        )
    points = [row.operating_point for row in rows if row.operating_point is not None]
    here = [
        model
        for model, chosen in (
            ("A", [point.chosen_a for point in points]),
            ("B", [point.chosen_b for point in points]),
        )
        if CHOSEN_HERE in chosen
    ]
    if here:
        found.append(
            f"Thresholds of {' and '.join(here)} were chosen by Youden's index on these very images, which "
            "flatters sensitivity and specificity. The verdict does not depend on thresholds."
        )
    if images > patients:
        found.append(
            "Patients have several images. AUROC and McNemar's p values allow for that; the intervals of "
            "sensitivity and specificity differences take images as independent, and are somewhat too narrow."
        )
    return tuple(found)
