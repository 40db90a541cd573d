"""Does the model do as well for everyone: AUROC within groups of patients."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxrbatch.evaluation.auroc import Floats, auroc
from cxrbatch.evaluation.delimited import fold
from cxrbatch.evaluation.delong import delong
from cxrbatch.evaluation.intervals import logit_interval

Subgroups = dict[str, dict[str, Any]]

MINIMUM_IMAGES = 30
MINIMUM_CLASS = 10
"""Below these no figure is shown: it would say more about chance than about the group."""

_COLUMNS = {
    "sex": ("sex", "gender", "patient sex", "patient gender"),
    "age": ("age", "patient age", "age years"),
    "view": ("view", "view position"),
    "manufacturer": ("manufacturer",),
    "site": ("site", "institution", "hospital"),
}
_BANDS = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 121))
_UNKNOWN = frozenset({"", "unknown", "nan", "none", "na", "n/a"})


def subgroups(
    y_true: Floats,
    y_score: Floats,
    findings: Sequence[str],
    patients: np.ndarray,
    attributes: pd.DataFrame,
) -> Subgroups:
    """{attribute: {group: {n_images, n_patients, macro_auroc, macro_labels, labels: {finding: ...}}}}.

    Attributes are sex, age (in bands), view, manufacturer and site, where there is such a column. Images
    whose value is unknown are in no group. A group of fewer than 30 images, and a finding with
    fewer than 10 images of either class in a group, has `"auroc": null` and a `"reason"`.
    """
    result: Subgroups = {}
    for attribute, values in _groupings(attributes):
        groups = sorted(set(values) - {""})
        if groups:
            result[attribute] = {
                group: _group(y_true, y_score, findings, patients, values == group) for group in groups
            }
    return result


def age_band(text: str) -> str:
    """`63`, `063Y` or `63.5` -> `60-79`; blank for what is no age of 0 to 120 years (NIH has some of 400)."""
    found = re.fullmatch(r"\s*(\d{1,3}(?:\.\d+)?)\s*([YMWD]?)\s*", text, re.IGNORECASE)
    if found is None:
        return ""
    years = float(found[1]) if found[2].upper() in ("", "Y") else 0.0
    for low, high in _BANDS:
        if low <= years < high:
            return f"{low:02d}-{high - 1}" if high < 121 else f"{low}+"
    return ""


def _groupings(attributes: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.object_]]]:
    by_name = {fold(str(column)): column for column in attributes.columns}
    for attribute, names in _COLUMNS.items():
        column = next((by_name[fold(name)] for name in names if fold(name) in by_name), None)
        if column is None:
            continue
        texts = ["" if pd.isna(value) else str(value).strip() for value in attributes[column]]
        if attribute == "age":
            values = [age_band(text) for text in texts]
        else:
            values = ["" if text.casefold() in _UNKNOWN else text for text in texts]
        yield attribute, np.array(values, dtype=object)


def _group(
    y_true: Floats,
    y_score: Floats,
    findings: Sequence[str],
    patients: np.ndarray,
    inside: NDArray[np.bool_],
) -> dict[str, Any]:
    truth, score, members = y_true[inside], y_score[inside], patients[inside]
    count = int(inside.sum())
    result: dict[str, Any] = {"n_images": count, "n_patients": len(np.unique(members))}
    if count < MINIMUM_IMAGES:
        reason = f"fewer than {MINIMUM_IMAGES} images"
        return result | {"macro_auroc": None, "macro_labels": 0, "labels": {}, "reason": reason}
    labels = {name: _finding(truth[:, j], score[:, j], members) for j, name in enumerate(findings)}
    shown = [label["auroc"] for label in labels.values() if label["auroc"] is not None]
    result |= {
        "macro_auroc": float(np.mean(shown)) if shown else None,
        "macro_labels": len(shown),
        "labels": labels,
    }
    return result if shown else result | {"reason": f"no finding has {MINIMUM_CLASS} images of either class"}


def _finding(truth: Floats, score: Floats, patients: np.ndarray) -> dict[str, Any]:
    n_pos, n_neg = int(np.sum(truth == 1)), int(np.sum(truth == 0))
    result: dict[str, Any] = {"auroc": None, "n_pos": n_pos, "n_neg": n_neg}
    if min(n_pos, n_neg) < MINIMUM_CLASS:
        return result | {"reason": f"fewer than {MINIMUM_CLASS} images of either class"}
    area = float(auroc(truth, score)[0])
    estimate = delong(truth, score, patients)
    variance, degrees = float(estimate.covariance[0, 0]), float(estimate.degrees[0])
    interval = logit_interval(area, variance, degrees=degrees)
    return result | {"auroc": area, "auroc_ci95_delong": None if interval is None else list(interval)}
