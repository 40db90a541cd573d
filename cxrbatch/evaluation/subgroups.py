"""Does the model do as well for everyone: figures within groups of patients, and gaps against the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxrbatch.evaluation.auroc import Floats
from cxrbatch.evaluation.delong import delong
from cxrbatch.evaluation.gaps import MEASURES, MINIMUM_CLASS, GroupFigures, Part, bootstrap_figures, gap
from cxrbatch.evaluation.groupings import Grouping, groupings
from cxrbatch.evaluation.intervals import logit_interval

Subgroups = dict[str, dict[str, Any]]

MINIMUM_IMAGES = 30
"""A smaller group shows no figure."""

CAUTION = (
    "Groups differ in prevalence, severity and how films are taken, so a gap is not by itself the model's "
    "doing; and of many intervals at 95%, one in twenty leaves zero by chance where there is no difference."
)


def subgroups(
    y_true: Floats,
    y_score: Floats,
    findings: Sequence[str],
    patients: np.ndarray,
    attributes: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    thresholds: Sequence[float | None] | None = None,
    judged: NDArray[np.bool_] | None = None,
    rounds: int = 2000,
    seed: int = 0,
) -> Subgroups:
    """{attribute: {group: {n_images, n_patients, macro_auroc, macro_labels, labels: {finding: ...}}}}.

    Attributes are those of `columns`, see `groupings`. Images whose value is unknown are in no group. A group
    of fewer than 30 images, and a finding with fewer than 10 images of either class in a group, has
    `"auroc": null` and a `"reason"`. `gaps` are the group minus all other images with a known value, with
    intervals of the patient-clustered bootstrap; `flags` names those that leave zero. TPR and FPR are at
    `thresholds` (k, None where there is none) and of the `judged` images (n,) (default: all).

    Raises SubgroupColumnError for a column that the tables do not have.
    """
    truth, score = np.asarray(y_true, dtype=np.float64), np.asarray(y_score, dtype=np.float64)
    names, patient = np.unique(patients, return_inverse=True)
    cuts = thresholds if thresholds is not None else [None] * len(findings)
    used = np.ones(len(truth), dtype=bool) if judged is None else judged
    cohort = _Cohort(truth, score, tuple(findings), patient.ravel(), len(names), tuple(cuts), used)
    return {
        grouping.attribute: _by_group(cohort, grouping, rounds, seed)
        for grouping in groupings(attributes, columns)
    }


def subgroups_frame(found: Subgroups) -> pd.DataFrame:
    """Tidy: one row an attribute, group, finding and measure, with its gap and whether that is flagged."""
    rows = [
        {"attribute": attribute, "group": group, "finding": finding, **row}
        for attribute, groups in found.items()
        for group, content in groups.items()
        for finding, label in [*content["labels"].items(), ("macro", content)]
        for row in _measure_rows(label, "macro_auroc" if finding == "macro" else "auroc")
    ]
    columns = [
        "attribute",
        "group",
        "finding",
        "measure",
        "value",
        "low",
        "high",
        "gap",
        "gap_low",
        "gap_high",
    ]
    columns += ["flagged", "n_images", "n_patients", "n_pos", "n_neg", "note"]
    return pd.DataFrame(rows, columns=columns)


def _measure_rows(label: dict[str, Any], auroc_key: str) -> Iterator[dict[str, Any]]:
    counts = {name: label.get(name) for name in ("n_images", "n_patients", "n_pos", "n_neg")}
    for measure in MEASURES:
        if measure != "auroc" and measure not in label:
            continue
        low, high = (label.get("auroc_ci95_delong") or (None, None)) if measure == "auroc" else (None, None)
        found = label.get("gaps", {}).get(measure) or {}
        gap_low, gap_high = found.get("ci95") or (None, None)
        yield {
            "measure": measure,
            "value": label[auroc_key] if measure == "auroc" else label[measure],
            "low": low,
            "high": high,
            "gap": found.get("difference"),
            "gap_low": gap_low,
            "gap_high": gap_high,
            "flagged": measure in label.get("flags", ()),
            "note": label.get("reason", "") or found.get("reason", ""),
            **counts,
        }


@dataclass(frozen=True)
class _Cohort:
    truth: Floats
    score: Floats
    findings: tuple[str, ...]
    patient: NDArray[np.intp]
    patients: int
    thresholds: tuple[float | None, ...]
    judged: NDArray[np.bool_]

    def part(self, images: NDArray[np.bool_], finding: int) -> Part:
        return Part(
            self.truth[images, finding],
            self.score[images, finding],
            self.patient[images],
            self.thresholds[finding],
            self.judged[images],
        )


class _Parts:
    """The parts to bootstrap, each once: of two groups, one is the other's rest."""

    def __init__(self, cohort: _Cohort) -> None:
        self._cohort = cohort
        self._places: dict[tuple[bytes, int], int] = {}
        self.parts: list[Part] = []

    def add(self, images: NDArray[np.bool_], finding: int) -> int | None:
        """Its place in `parts`, or None when either class is too small."""
        key = (np.packbits(images).tobytes(), finding)
        if key not in self._places:
            part = self._cohort.part(images, finding)
            if min(np.sum(part.truth == 1), np.sum(part.truth == 0)) < MINIMUM_CLASS:
                return None
            self._places[key] = len(self.parts)
            self.parts.append(part)
        return self._places[key]


def _by_group(cohort: _Cohort, grouping: Grouping, rounds: int, seed: int) -> dict[str, Any]:
    parts = _Parts(cohort)
    known = grouping.values != ""
    places: dict[str, list[tuple[int | None, int | None]]] = {}
    for group in grouping.groups:
        inside = grouping.values == group
        places[group] = [
            (parts.add(inside, j), parts.add(known & ~inside, j))
            if inside.sum() >= MINIMUM_IMAGES
            else (None, None)
            for j in range(len(cohort.findings))
        ]
    values = bootstrap_figures(parts.parts, cohort.patients, rounds, seed)
    figures = [part.figures() for part in parts.parts]
    return {
        group: _group(cohort, grouping.values == group, places[group], parts.parts, figures, values)
        for group in grouping.groups
    }


def _group(
    cohort: _Cohort,
    inside: NDArray[np.bool_],
    places: Sequence[tuple[int | None, int | None]],
    parts: Sequence[Part],
    figures: Sequence[GroupFigures],
    values: Floats,
) -> dict[str, Any]:
    count = int(inside.sum())
    result: dict[str, Any] = {"n_images": count, "n_patients": len(np.unique(cohort.patient[inside]))}
    if count < MINIMUM_IMAGES:
        reason = f"fewer than {MINIMUM_IMAGES} images"
        return result | {"macro_auroc": None, "macro_labels": 0, "labels": {}, "reason": reason}
    labels = {}
    for j, name in enumerate(cohort.findings):
        truth = cohort.truth[inside, j]
        counts = {"n_pos": int(np.sum(truth == 1)), "n_neg": int(np.sum(truth == 0))}
        labels[name] = _finding(counts, places[j], parts, figures, values)
    shown = [label["auroc"] for label in labels.values() if label["auroc"] is not None]
    result |= {
        "macro_auroc": float(np.mean(shown)) if shown else None,
        "macro_labels": len(shown),
        "labels": labels,
    }
    if not shown:
        return result | {"reason": f"no finding has {MINIMUM_CLASS} images of either class"}
    return result | _macro_gap(places, figures, values)


def _finding(
    counts: dict[str, int],
    place: tuple[int | None, int | None],
    parts: Sequence[Part],
    figures: Sequence[GroupFigures],
    values: Floats,
) -> dict[str, Any]:
    ours, theirs = place
    result: dict[str, Any] = {"auroc": None, **counts}
    if ours is None:
        return result | {"reason": f"fewer than {MINIMUM_CLASS} images of either class"}
    part, group = parts[ours], figures[ours]
    assert group.auroc is not None
    estimate = delong(part.truth, part.score, part.patient)
    interval = logit_interval(
        group.auroc, float(estimate.covariance[0, 0]), degrees=float(estimate.degrees[0])
    )
    result |= {
        "auroc": group.auroc,
        "auroc_ci95_delong": None if interval is None else list(interval),
        "tpr": group.tpr,
        "fpr": group.fpr,
    }
    if theirs is None:
        return result | {
            "gaps": {},
            "flags": [],
            "gap_reason": f"fewer than {MINIMUM_CLASS} images of either class in the rest",
        }
    gaps = {}
    for measure, name in enumerate(MEASURES):
        found = gap(group, figures[theirs], measure, values[:, ours, measure] - values[:, theirs, measure])
        if found is not None:
            gaps[name] = found
    return result | {
        "gaps": {name: _gap_dict(found.difference, found.ci95, found.reason) for name, found in gaps.items()},
        "flags": [name for name, found in gaps.items() if found.flagged],
    }


def _macro_gap(
    places: Sequence[tuple[int | None, int | None]], figures: Sequence[GroupFigures], values: Floats
) -> dict[str, Any]:
    """Of the mean AUROC over the findings that both the group and the rest have, so that like meets like."""
    pairs = [(ours, theirs) for ours, theirs in places if ours is not None and theirs is not None]
    if not pairs:
        return {"gaps": {}, "flags": []}
    ours, theirs = (list(side) for side in zip(*pairs, strict=True))
    means = [
        GroupFigures(
            float(np.mean([figures[i].auroc for i in side])),
            None,
            None,
            (min(figures[i].patients[0] for i in side), min(figures[i].patients[1] for i in side)),
        )
        for side in (ours, theirs)
    ]
    found = gap(means[0], means[1], 0, (values[:, ours, 0] - values[:, theirs, 0]).mean(axis=1))
    assert found is not None
    return {
        "gaps": {"auroc": _gap_dict(found.difference, found.ci95, found.reason) | {"findings": len(pairs)}},
        "flags": ["auroc"] if found.flagged else [],
    }


def _gap_dict(difference: float, interval: tuple[float, float] | None, reason: str) -> dict[str, Any]:
    result: dict[str, Any] = {"difference": difference, "ci95": None if interval is None else list(interval)}
    return result | {"reason": reason} if reason else result
