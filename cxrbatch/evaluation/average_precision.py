"""Area under the precision-recall curve as average precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cxrbatch.evaluation.auroc import Floats, as_matrix


def average_precision(y_true: ArrayLike, y_score: ArrayLike) -> Floats:
    """AP = sum over thresholds of (R_i - R_(i-1)) P_i, for each finding.

    y_true (n, k) or (n,): 0, 1, NaN (left out); y_score the same shape. Returns (k,), NaN without a positive.
    Tied scores enter together. Equals `sklearn.metrics.average_precision_score`; a useless score has the
    prevalence as its value, so report it beside that (Davis and Goadrich, ICML 2006, on why the curve is not
    interpolated linearly).
    """
    truth, score = as_matrix(y_true, y_score)
    result = np.full(truth.shape[1], np.nan)
    for j in range(truth.shape[1]):
        known = ~np.isnan(truth[:, j])
        positive = truth[known, j]
        if not positive.any():
            continue
        order = np.argsort(-score[known, j], kind="stable")
        ranked = score[known, j][order]
        last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
        true_positives = np.cumsum(positive[order])[last_of_tie]
        precision = true_positives / (last_of_tie + 1)
        recall_steps = np.diff(true_positives, prepend=0.0) / true_positives[-1]
        result[j] = float(np.sum(recall_steps * precision))
    return result
