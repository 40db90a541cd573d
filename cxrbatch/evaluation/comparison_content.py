"""A comparison as the content of ``verdict.json``, and in words."""

from __future__ import annotations

import math
from typing import Any

from cxrbatch.evaluation.comparison import Comparison, FindingComparison, OperatingPointPair
from cxrbatch.evaluation.delong import PairedDifference
from cxrbatch.evaluation.intervals import Interval
from cxrbatch.evaluation.mcnemar import PairedCalls
from cxrbatch.evaluation.sample_size import POWER
from cxrbatch.evaluation.verdict import LEVEL, VETO_MARGINS, Verdict, rule

SCHEMA = 1
CORRECTION = (
    "p values: Holm over the findings, separately for AUROC, sensitivity and specificity. Intervals: "
    "Bonferroni over the findings, so that all of them hold at once at 95%."
)


def verdict_words(comparison: Comparison) -> str:
    """The verdict in one sentence, numbers included."""
    decision, margin = comparison.decision, comparison.margin
    macro, interval = comparison.macro, comparison.macro_ci95
    if interval is None:
        return f"Inconclusive: {macro.reason}."
    figures = (
        f"macro AUROC {macro.auroc_b:.4f} against {macro.auroc_a:.4f}, difference {macro.difference:+.4f} "
        f"(95% interval {interval[0]:+.4f} to {interval[1]:+.4f}), margin {margin:g}"
    )
    if decision.vetoed_by:
        names = ", ".join(decision.vetoed_by)
        return (
            f"B is inferior to A by veto: the whole corrected interval of {names} lies below "
            f"-{VETO_MARGINS * margin:g}; the primary endpoint alone says "
            f"{decision.without_veto.value.replace('_', '-')} ({figures})."
        )
    words = {
        Verdict.SUPERIOR: "B is better than A",
        Verdict.NON_INFERIOR: "B is not worse than A by the margin or more",
        Verdict.INFERIOR: "B is inferior to A",
        Verdict.INCONCLUSIVE: "These data do not settle whether B is as good as A",
    }
    return f"{words[decision.verdict]}: {figures}."


def sample_size_words(comparison: Comparison) -> str:
    """What would settle an inconclusive comparison; blank for any other."""
    size = comparison.sample_size
    if size is None:
        return ""
    chance = f"{POWER:.0%}"
    found = (
        f"If the true difference is the one found, {size.as_found:,} patients like these give "
        f"{size.towards.replace('_', '-')} with a chance of {chance}."
        if size.as_found is not None
        else "If the true difference is the one found, the margin itself, no number of patients settles it."
    )
    equal = (
        ""
        if size.if_equal is None
        else f" If the models are equally good, {size.if_equal:,} give non-inferior with that chance."
    )
    return f"{found}{equal} These data have {comparison.n_patients:,}."


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """The statistical part of verdict.json; what is undefined is None, never NaN."""
    macro, size = comparison.macro, comparison.sample_size
    return {
        "schema": SCHEMA,
        "verdict": comparison.decision.verdict.value,
        "passed": comparison.decision.verdict.passed,
        "words": verdict_words(comparison),
        "rule": list(rule(comparison.margin)),
        "margin": comparison.margin,
        "level": LEVEL,
        "primary": {
            "endpoint": "difference B - A in macro AUROC",
            "macro_auroc_a": number(macro.auroc_a),
            "macro_auroc_b": number(macro.auroc_b),
            "macro_labels": len(macro.findings),
            "findings": [row.finding for row in comparison.findings if row.in_endpoint],
            "difference": number(macro.difference),
            "ci95": _listed(comparison.macro_ci95),
            "standard_error": number(macro.bootstrap_error),
            "degrees": number(macro.degrees),
            "delong": _delong(macro.delong),
            "reason": macro.reason,
        },
        "veto": {
            "fired": bool(comparison.decision.vetoed_by),
            "findings": list(comparison.decision.vetoed_by),
            "limit": -VETO_MARGINS * comparison.margin,
            "verdict_without": comparison.decision.without_veto.value,
        },
        "sample_size": None
        if size is None
        else {
            "patients_if_as_found": size.as_found,
            "towards": size.towards,
            "patients_if_equal": size.if_equal,
            "patients_here": comparison.n_patients,
            "power": POWER,
            "words": sample_size_words(comparison),
        },
        "correction": CORRECTION,
        "corrected_level": comparison.corrected_level,
        "findings": {row.finding: _finding(row) for row in comparison.findings},
        "n_images": comparison.n_images,
        "n_patients": comparison.n_patients,
        "bootstrap": {
            "rounds": comparison.rounds,
            "seed": comparison.seed,
            "clusters": comparison.n_patients,
            "rounds_left_out": macro.rounds_left_out,
        },
        "warnings": list(comparison.warnings),
    }


def _finding(row: FindingComparison) -> dict[str, Any]:
    auroc = row.auroc
    result: dict[str, Any] = {
        "n_pos": row.n_pos,
        "n_neg": row.n_neg,
        "patients_pos": auroc.patients_pos,
        "patients_neg": auroc.patients_neg,
        "in_endpoint": row.in_endpoint,
        "auroc": {
            "a": number(auroc.auroc_a),
            "b": number(auroc.auroc_b),
            "difference": number(auroc.difference),
            "ci95": _listed(row.ci95),
            "ci95_corrected": _listed(row.ci95_corrected),
            "delong": _delong(auroc.delong),
            "p_holm": row.p_holm,
            "rounds_left_out": auroc.rounds_left_out,
        },
        "operating_point": None if row.operating_point is None else _point(row.operating_point),
        "warnings": list(row.warnings),
    }
    if auroc.reason is not None:
        result["reason"] = auroc.reason
    return result


def _point(point: OperatingPointPair) -> dict[str, Any]:
    positives, negatives = point.positives, point.negatives
    return {
        "threshold_a": point.threshold_a,
        "threshold_a_chosen": point.chosen_a,
        "threshold_b": point.threshold_b,
        "threshold_b_chosen": point.chosen_b,
        "sensitivity": {
            "a": positives.share_a,
            "b": positives.share_b,
            "difference": positives.difference,
            "ci95": _listed(positives.ci95()),
            "p": positives.p_value,
            "p_holm": point.p_sensitivity_holm,
            "test": positives.test,
        },
        "specificity": {
            "a": complement(negatives.share_a),
            "b": complement(negatives.share_b),
            "difference": point.specificity_difference,
            "ci95": _listed(point.specificity_ci95),
            "p": negatives.p_value,
            "p_holm": point.p_specificity_holm,
            "test": negatives.test,
        },
        "reclassification": {
            "positives": call_counts(positives),
            "negatives": call_counts(negatives),
            "net_reclassification_improvement": point.net_reclassification,
        },
    }


def call_counts(calls: PairedCalls) -> dict[str, int]:
    return {
        "called_by_both": calls.both,
        "called_by_a_only": calls.only_a,
        "called_by_b_only": calls.only_b,
        "called_by_neither": calls.neither,
    }


def _delong(test: PairedDifference | None) -> dict[str, Any] | None:
    if test is None or math.isnan(test.standard_error):
        return None
    return {
        "standard_error": test.standard_error,
        "ci95": [test.low, test.high],
        "p": number(test.p_value),
    }


def complement(share: float | None) -> float | None:
    return None if share is None else 1.0 - share


def _listed(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
