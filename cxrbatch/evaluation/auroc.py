"""Area under the ROC curve from ranks, ties included, for many findings at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def midranks(x: ArrayLike) -> Floats:
    """Ranks from 1; tied values share the mean of their ranks. x (n,) without NaN -> (n,)."""
    values = np.asarray(x, dtype=np.float64)
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    return (last - (size - 1) / 2.0)[group.ravel()]


def as_matrix(y_true: ArrayLike, y_score: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 (n, k), checked: labels 0, 1 or NaN (unknown), finite scores, equal shapes.

    Raises ValueError for anything else. A pair of vectors is a matrix of one column.
    """
    truth = np.asarray(y_true, dtype=np.float64)
    score = np.asarray(y_score, dtype=np.float64)
    if truth.shape != score.shape or truth.ndim not in (1, 2):
        raise ValueError(
            f"`y_true` and `y_score` must have one shape, (n,) or (n, k). "
            f"Received: {truth.shape} and {score.shape}"
        )
    if not np.all(np.isnan(truth) | (truth == 0) | (truth == 1)):
        raise ValueError("`y_true` must hold 0, 1 or NaN for unknown, and nothing else")
    if not np.all(np.isfinite(score)):
        raise ValueError("`y_score` must be finite: it holds NaN or infinity")
    if truth.ndim == 1:
        return truth[:, None], score[:, None]
    return truth, score


def auroc(y_true: ArrayLike, y_score: ArrayLike) -> Floats:
    """AUROC of each finding: P(score of a positive > of a negative) + 0.5 P(equal).

    y_true (n, k) or (n,): 0, 1, NaN where unknown (left out for that finding); y_score the same shape.
    Returns (k,), NaN where one of the classes is missing. Equals `sklearn.metrics.roc_auc_score`.

    The Mann-Whitney statistic: with R the sum of the positives' midranks,
    AUROC = (R - n_pos (n_pos + 1) / 2) / (n_pos n_neg)  (Hanley and McNeil 1982, Bamber 1975).
    """
    truth, score = as_matrix(y_true, y_score)
    areas = np.full(truth.shape[1], np.nan)
    for j in range(truth.shape[1]):
        known = ~np.isnan(truth[:, j])
        positive = truth[known, j] == 1
        n_pos = int(positive.sum())
        n_neg = int(positive.size - n_pos)
        if n_pos and n_neg:
            rank_sum = midranks(score[known, j])[positive].sum()
            areas[j] = (rank_sum - n_pos * (n_pos + 1) / 2.0) / (n_pos * n_neg)
    return areas
