"""What a validation found, and its forms: ``metrics.json`` (contract 3.5) and tidy tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cxrbatch.evaluation.calibration import ECE_BINS, LogisticCalibration
from cxrbatch.evaluation.intervals import Interval
from cxrbatch.evaluation.operating_points import OperatingPoint
from cxrbatch.evaluation.subgroups import Subgroups

RELIABLE_POSITIVES = 10
"""Fewer of either class, and the figures of a finding are marked as unreliable."""

_RATES = ("sensitivity", "specificity", "ppv", "npv")


@dataclass(frozen=True)
class JudgedPoint:
    """An operating point and where its threshold is from, in words; `same_data` is the case to warn of."""

    point: OperatingPoint
    chosen: str
    same_data: bool

    def to_dict(self, stated_prevalence: float | None) -> dict[str, Any]:
        point = self.point
        result: dict[str, Any] = {
            "threshold": point.threshold,
            "threshold_chosen": self.chosen,
            "chosen_on_the_data_judged_on": self.same_data,
            "n_pos": point.tp + point.fn,
            "n_neg": point.tn + point.fp,
        }
        for name in _RATES:
            rate = getattr(point, name)
            result[name] = rate.value
            result[f"{name}_ci95"] = listed(rate.ci95)
        if stated_prevalence is not None:
            ppv, npv = point.predictive_values(stated_prevalence)
            ppv_interval, npv_interval = point.predictive_intervals(stated_prevalence)
            result |= {
                "stated_prevalence": stated_prevalence,
                "ppv_at_stated_prevalence": ppv,
                "ppv_at_stated_prevalence_ci95": listed(ppv_interval),
                "npv_at_stated_prevalence": npv,
                "npv_at_stated_prevalence_ci95": listed(npv_interval),
            }
        return result | {"f1": point.f1, "tp": point.tp, "fp": point.fp, "tn": point.tn, "fn": point.fn}


@dataclass(frozen=True)
class FindingMetrics:
    """Figures of one finding; None is always explained by `reason` or by one of `warnings`."""

    finding: str
    n_pos: int
    n_neg: int
    prevalence: float | None
    auroc: float | None
    auroc_ci95: Interval | None
    auroc_ci95_delong: Interval | None
    auprc: float | None
    brier: float | None
    ece: float | None
    calibration: LogisticCalibration
    main_point: JudgedPoint | None
    other_points: Mapping[str, JudgedPoint]
    stated_prevalence: float | None
    bootstrap_rounds_left_out: int
    reason: str | None
    warnings: tuple[str, ...]

    @property
    def operating_point(self) -> OperatingPoint | None:
        return None if self.main_point is None else self.main_point.point

    @property
    def unreliable(self) -> bool:
        """Too few of either class for any figure to be relied on."""
        return min(self.n_pos, self.n_neg) < RELIABLE_POSITIVES

    def to_dict(self) -> dict[str, Any]:
        result: dict[str, Any] = {
            "auroc": self.auroc,
            "auroc_ci95": listed(self.auroc_ci95),
            "auroc_ci95_delong": listed(self.auroc_ci95_delong),
            "auprc": self.auprc,
            "n_pos": self.n_pos,
            "n_neg": self.n_neg,
            "prevalence": self.prevalence,
            "operating_point": None
            if self.main_point is None
            else self.main_point.to_dict(self.stated_prevalence),
            "other_operating_points": {
                rule: point.to_dict(self.stated_prevalence) for rule, point in self.other_points.items()
            },
            "brier": self.brier,
            "ece": self.ece,
            "ece_binning": f"{ECE_BINS} bins of equal width",
            "calibration_slope": self.calibration.slope,
            "calibration_intercept": self.calibration.intercept,
            "calibration_in_the_large": self.calibration.in_the_large,
            "bootstrap_rounds_left_out": self.bootstrap_rounds_left_out,
            "unreliable": self.unreliable,
            "warnings": list(self.warnings),
        }
        if self.reason is not None:
            result["reason"] = self.reason
        return result


@dataclass(frozen=True)
class Metrics:
    """Figures of a cohort: per finding, their macro average, and subgroups."""

    n_images: int
    n_patients: int
    findings: tuple[FindingMetrics, ...]
    macro_auroc: float | None
    macro_auroc_ci95: Interval | None
    rounds: int
    seed: int
    subgroups: Subgroups
    warnings: tuple[str, ...]

    @property
    def macro_labels(self) -> int:
        """How many findings have an AUROC and so are in the macro average."""
        return sum(finding.auroc is not None for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The object of contract 3.5; what is undefined is None, never NaN."""
        return {
            "schema": 1,
            "n_images": self.n_images,
            "n_patients": self.n_patients,
            "macro_auroc": self.macro_auroc,
            "macro_auroc_ci95": listed(self.macro_auroc_ci95),
            "macro_labels": self.macro_labels,
            "labels": {finding.finding: finding.to_dict() for finding in self.findings},
            "subgroups": self.subgroups,
            "bootstrap": {"rounds": self.rounds, "seed": self.seed, "clusters": self.n_patients},
            "warnings": list(self.warnings),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_frame(self) -> pd.DataFrame:
        """Tidy: one row a figure, with columns finding, metric, value, low, high, note."""
        rows = [row for finding in self.findings for row in _tidy(finding)]
        low, high = self.macro_auroc_ci95 or (None, None)
        rows.append(("macro", "auroc", self.macro_auroc, low, high, f"mean of {self.macro_labels} findings"))
        return pd.DataFrame(rows, columns=["finding", "metric", "value", "low", "high", "note"])

    def operating_points_frame(self) -> pd.DataFrame:
        """One row a finding and rule, the rule of `operating_point` being `main`."""
        rows = []
        for finding in self.findings:
            named = {"main": finding.main_point, **finding.other_points}
            for rule, point in named.items():
                if point is None:
                    continue
                row: dict[str, Any] = {"finding": finding.finding, "rule": rule}
                for name, value in point.to_dict(finding.stated_prevalence).items():
                    if name.endswith("_ci95"):
                        row[f"{name[:-5]}_low"], row[f"{name[:-5]}_high"] = value or (None, None)
                    else:
                        row[name] = value
                rows.append(row)
        return pd.DataFrame(rows)


def listed(pair: Interval | None) -> list[float] | None:
    """An interval as JSON has it."""
    return None if pair is None else list(pair)


_Row = tuple[str, str, float | None, float | None, float | None, str]


def _tidy(finding: FindingMetrics) -> Iterator[_Row]:
    name, note = finding.finding, "; ".join(filter(None, (finding.reason, *finding.warnings)))
    yield (name, "auroc", finding.auroc, *(finding.auroc_ci95 or (None, None)), note)
    yield (name, "auroc_delong", finding.auroc, *(finding.auroc_ci95_delong or (None, None)), note)
    plain = {
        "auprc": finding.auprc,
        "n_pos": finding.n_pos,
        "n_neg": finding.n_neg,
        "prevalence": finding.prevalence,
        "brier": finding.brier,
        "ece": finding.ece,
        "calibration_slope": finding.calibration.slope,
        "calibration_intercept": finding.calibration.intercept,
        "calibration_in_the_large": finding.calibration.in_the_large,
    }
    for metric, value in plain.items():
        yield (name, metric, value, None, None, "")
    if finding.main_point is None:
        return
    point, chosen = finding.main_point.point, f"threshold {finding.main_point.chosen}"
    yield (name, "threshold", point.threshold, None, None, chosen)
    for metric in _RATES:
        rate = getattr(point, metric)
        yield (name, metric, rate.value, *(rate.ci95 or (None, None)), chosen)
    if finding.stated_prevalence is not None:
        values = point.predictive_values(finding.stated_prevalence)
        intervals = point.predictive_intervals(finding.stated_prevalence)
        for metric, value, interval in zip(("ppv", "npv"), values, intervals, strict=True):
            at = f"{metric}_at_stated_prevalence"
            yield (name, at, value, *(interval or (None, None)), chosen)
    yield (name, "f1", point.f1, None, None, chosen)
