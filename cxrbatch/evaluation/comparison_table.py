"""A comparison as a tidy table: one row a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from cxrbatch.evaluation.comparison import Comparison, FindingComparison
from cxrbatch.evaluation.comparison_content import call_counts, complement, number
from cxrbatch.evaluation.delong import PairedDifference
from cxrbatch.evaluation.intervals import Interval


def to_frame(comparison: Comparison) -> pd.DataFrame:
    """Tidy: one row a figure, with columns finding, metric, value, low, high, p_value, p_holm."""
    rows: list[tuple[Any, ...]] = []
    macro = comparison.macro
    test = macro.delong
    rows += [
        ("macro", "auroc_a", number(macro.auroc_a), None, None, None, None),
        ("macro", "auroc_b", number(macro.auroc_b), None, None, None, None),
        ("macro", "auroc_difference", number(macro.difference), *_ends(comparison.macro_ci95), None, None),
        ("macro", "auroc_difference_delong", *_delong_row(test), None),
    ]
    for row in comparison.findings:
        rows += _tidy(row)
    return pd.DataFrame(
        rows, columns=["finding", "metric", "value", "low", "high", "p_value", "p_holm"]
    ).astype({"value": float})


def _tidy(row: FindingComparison) -> list[tuple[Any, ...]]:
    name, auroc, nothing = row.finding, row.auroc, (None, None, None, None)
    rows: list[tuple[Any, ...]] = [
        (name, "n_pos", row.n_pos, *nothing),
        (name, "n_neg", row.n_neg, *nothing),
        (name, "auroc_a", number(auroc.auroc_a), *nothing),
        (name, "auroc_b", number(auroc.auroc_b), *nothing),
        (name, "auroc_difference", number(auroc.difference), *_ends(row.ci95), None, None),
        (
            name,
            "auroc_difference_corrected",
            number(auroc.difference),
            *_ends(row.ci95_corrected),
            None,
            None,
        ),
        (name, "auroc_difference_delong", *_delong_row(auroc.delong), row.p_holm),
    ]
    point = row.operating_point
    if point is not None:
        pos, neg, specificity = point.positives, point.negatives, point.specificity_difference
        p_sensitivity = pos.p_value, point.p_sensitivity_holm
        p_specificity = neg.p_value, point.p_specificity_holm
        rows += [
            (name, "threshold_a", point.threshold_a, *nothing),
            (name, "threshold_b", point.threshold_b, *nothing),
            (name, "sensitivity_a", pos.share_a, *nothing),
            (name, "sensitivity_b", pos.share_b, *nothing),
            (name, "sensitivity_difference", pos.difference, *_ends(pos.ci95()), *p_sensitivity),
            (name, "specificity_a", complement(neg.share_a), *nothing),
            (name, "specificity_b", complement(neg.share_b), *nothing),
            (name, "specificity_difference", specificity, *_ends(point.specificity_ci95), *p_specificity),
            (name, "net_reclassification_improvement", point.net_reclassification, *nothing),
        ]
        for kind, calls in (("positives", pos), ("negatives", neg)):
            rows += [(name, f"{kind}_{key}", count, *nothing) for key, count in call_counts(calls).items()]
    return rows


def _delong_row(test: PairedDifference | None) -> Sequence[float | None]:
    if test is None or math.isnan(test.standard_error):
        return None, None, None, None
    return test.difference, test.low, test.high, number(test.p_value)


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else interval
