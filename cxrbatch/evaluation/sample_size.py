"""How many patients would settle an inconclusive comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cxrbatch.evaluation.intervals import normal_quantile

POWER = 0.8


@dataclass(frozen=True)
class SampleSize:
    """Patients needed in all, with patients like these, for a verdict with a chance of `POWER`.

    `as_found` takes the difference found as the true one, and leads to the verdict `towards`; `if_equal`
    takes the models as equal, for a verdict of non-inferior. None where no number of patients would do.
    """

    as_found: int | None
    towards: str
    if_equal: int | None


def sample_size(difference: float, error: float, patients: int, margin: float) -> SampleSize:
    """n such that distance >= (z_0.975 + z_0.8) error sqrt(patients / n), with the usual normal formula.

    error: standard error of the difference with `patients` patients; it falls with the root of their number
    (Chow, Shao and Wang, Sample Size Calculations in Clinical Research, 2008, chapter 3). The distance is
    what the interval must clear: from -margin above it (non-inferior), from 0 below it (inferior).
    """
    if difference > -margin:
        distance, towards = difference + margin, "non_inferior"
    else:
        distance, towards = (-difference if difference < -margin else 0.0), "inferior"
    return SampleSize(_patients(distance, error, patients), towards, _patients(margin, error, patients))


def _patients(distance: float, error: float, patients: int) -> int | None:
    if distance <= 0 or not math.isfinite(error):
        return None
    needed = patients * ((normal_quantile(0.95) + normal_quantile(2 * POWER - 1)) * error / distance) ** 2
    return math.ceil(needed)
