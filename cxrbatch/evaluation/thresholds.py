"""Thresholds: given, or chosen by a rule, on the data they are judged on or on other patients."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cxrbatch.evaluation.auroc import Floats
from cxrbatch.evaluation.metric_records import JudgedPoint
from cxrbatch.evaluation.operating_points import (
    operating_point,
    threshold_for_sensitivity,
    threshold_for_specificity,
    youden_threshold,
)

GIVEN = "given"
SAME_DATA = "chosen on the data it is judged on"
OTHER_PATIENTS = "chosen on other patients of this cohort"


@dataclass(frozen=True)
class Targets:
    """What the operating points other than Youden's must reach, each in [0, 1]."""

    sensitivity: float = 0.9
    specificity: float = 0.9


@dataclass(frozen=True)
class Choice:
    """How thresholds are chosen: for which targets, and on which images, (n,), None for all."""

    targets: Targets
    tuning: NDArray[np.bool_] | None = None


def split_patients(patients: ArrayLike, fraction: float, seed: int) -> NDArray[np.bool_]:
    """(n,): which images belong to the tuning part; all images of a patient go to the same part.

    patients (n,): names. A patient's place comes from a hash of seed and name, so it depends neither on the
    order of the rows nor on who else is in the cohort, and exactly round(fraction * patients) are taken.
    Raises ValueError unless `fraction` is within (0, 1) and both parts get a patient.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"`fraction` must be between 0 and 1. Received: {fraction}")
    names, patient = np.unique(np.asarray(patients), return_inverse=True)
    count = round(fraction * len(names))
    if not 0 < count < len(names):
        raise ValueError(
            f"a tuning part of {fraction:g} leaves one part without patients: there are only {len(names)}"
        )
    keys = [hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest() for name in names]
    chosen = np.zeros(len(names), dtype=bool)
    chosen[sorted(range(len(names)), key=keys.__getitem__)[:count]] = True
    return chosen[patient.ravel()]


def choose(truth: Floats, score: Floats, choice: Choice) -> dict[str, float]:
    """Rule -> threshold, chosen on the tuning part, else on everything; empty where a class is missing there.

    truth (n,): 0, 1, NaN (left out); score (n,).
    """
    part = np.ones(len(truth), dtype=bool) if choice.tuning is None else choice.tuning
    y, s = truth[part], score[part]
    if not np.any(y == 1) or not np.any(y == 0):
        return {}
    sensitivity, specificity = choice.targets.sensitivity, choice.targets.specificity
    return {
        "youden": youden_threshold(y, s),
        f"sensitivity >= {sensitivity:g}": threshold_for_sensitivity(y, s, sensitivity),
        f"specificity >= {specificity:g}": threshold_for_specificity(y, s, specificity),
    }


def judge(
    truth: Floats, score: Floats, threshold: float, rule: str | None, choice: Choice
) -> JudgedPoint | None:
    """The operating point at a threshold that `rule` chose (None: given beforehand), on the judged part.

    None where no image of that part has a label.
    """
    part = np.ones(len(truth), dtype=bool) if choice.tuning is None else ~choice.tuning
    if not np.any(~np.isnan(truth[part])):
        return None
    point = operating_point(truth[part], score[part], threshold)
    if rule is None:
        return JudgedPoint(point, GIVEN, same_data=False)
    if choice.tuning is None:
        return JudgedPoint(point, f"{rule}, {SAME_DATA}", same_data=True)
    return JudgedPoint(point, f"{rule}, {OTHER_PATIENTS}", same_data=False)
