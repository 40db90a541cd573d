"""Which images the model is most confidently wrong about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cxrbatch.evaluation.auroc import Floats


@dataclass(frozen=True)
class Failure:
    """An image called wrongly: `row` of the arrays, its score and the threshold."""

    row: int
    finding: str
    score: float
    threshold: float
    false_positive: bool


def most_confident_failures(
    y_true: Floats,
    y_score: Floats,
    findings: Sequence[str],
    thresholds: Mapping[str, float],
    each: int = 2,
) -> list[Failure]:
    """Per finding, up to `each` false positives with the highest scores and false negatives with the lowest.

    y_true (n, k): 0, 1, NaN (left out); y_score (n, k). A score at or above the threshold is called; findings
    without a threshold are left out. Ties go by row.
    """
    found: list[Failure] = []
    for j, finding in enumerate(findings):
        if finding not in thresholds:
            continue
        cut, truth, score = thresholds[finding], y_true[:, j], y_score[:, j]
        for false_positive in (True, False):
            wrong = (truth == 0) & (score >= cut) if false_positive else (truth == 1) & (score < cut)
            rows = np.flatnonzero(wrong)
            ranked = rows[np.argsort(-score[rows] if false_positive else score[rows], kind="stable")]
            found += [Failure(int(i), finding, float(score[i]), cut, false_positive) for i in ranked[:each]]
    return found
