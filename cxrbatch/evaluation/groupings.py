"""Which subgroup an image belongs to, from a column of the labels or scores table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxrbatch.evaluation.delimited import fold

DEFAULT_COLUMNS = ("sex", "age", "view", "manufacturer", "site")
MOST_GROUPS = 12
"""A column with more values than this shows its largest groups only; the others are counted."""

_NAMES = {
    "sex": ("sex", "gender", "patient sex", "patient gender"),
    "age": ("age", "patient age", "age years"),
    "view": ("view", "view position"),
    "manufacturer": ("manufacturer",),
    "site": ("site", "institution", "hospital"),
}
_BANDS = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 121))
_UNKNOWN = frozenset({"", "unknown", "nan", "none", "na", "n/a"})


@dataclass(frozen=True)
class Grouping:
    """One attribute: the group of each image (n,), "" where unknown, and the groups shown, sorted."""

    attribute: str
    values: NDArray[np.object_]
    groups: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    """Groups beyond `MOST_GROUPS`, the smallest."""


class SubgroupColumnError(ValueError):
    """A column asked for that the tables do not have (wrong usage)."""


def groupings(attributes: pd.DataFrame, columns: Sequence[str] | None = None) -> list[Grouping]:
    """The groupings by `columns`, or by sex, age, view, manufacturer and site where there is such a column.

    `age` and its other names come in bands; `sex` stands for `Patient Sex` and so on; any other name is that
    of a column, whatever its case, spaces and underscores. A column of numbers with more than 12 values is
    cut into quarters of equal size. Raises SubgroupColumnError for a column that is not there.
    """
    by_name = {fold(str(column)): str(column) for column in attributes.columns}
    found = []
    for wanted in DEFAULT_COLUMNS if columns is None else columns:
        names = _NAMES.get(fold(wanted), (wanted,))
        present = [by_name[fold(name)] for name in names if fold(name) in by_name]
        if not present and columns is not None:
            has = ", ".join(map(str, attributes.columns)) or "none"
            raise SubgroupColumnError(
                f"there is no column {wanted!r} to make subgroups of; the tables have: {has}"
            )
        # A night's `view` may be unknown throughout where the labels' `View Position` is not.
        made = (_grouping(_attribute(column, wanted), attributes[column]) for column in present)
        grouping = next((one for one in made if one.groups), None)
        if grouping is not None:
            found.append(grouping)
    return found


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


def _attribute(column: str, wanted: str) -> str:
    """`sex` for `Patient Sex`; a column without a name of ours keeps the one it was asked for by."""
    return next((name for name, known in _NAMES.items() if fold(column) in map(fold, known)), wanted)


def _grouping(attribute: str, column: pd.Series) -> Grouping:
    texts = ["" if pd.isna(value) else str(value).strip() for value in column]
    if attribute == "age":
        values = [age_band(text) for text in texts]
    else:
        values = ["" if text.casefold() in _UNKNOWN else text for text in texts]
        if len(set(values) - {""}) > MOST_GROUPS:
            values = _quarters(values) or values
    array = np.array(values, dtype=object)
    counts = pd.Series(array[array != ""], dtype=object).value_counts()
    largest = sorted(counts.index, key=lambda group: (-counts[group], group))
    return Grouping(
        attribute, array, tuple(sorted(largest[:MOST_GROUPS])), tuple(sorted(largest[MOST_GROUPS:]))
    )


def _quarters(values: Sequence[str]) -> list[str] | None:
    """Quarters of a column of numbers, named by their limits; None when a value is no finite number."""
    try:
        numbers = np.array([float(value) if value else np.nan for value in values])
    except ValueError:
        return None
    if np.any(np.isinf(numbers)) or np.any(np.isnan(numbers) != np.array([not value for value in values])):
        return None
    edges = np.unique(np.nanquantile(numbers, [0.0, 0.25, 0.5, 0.75, 1.0]))
    if len(edges) < 3:
        return None
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    last = len(edges) - 2
    names = [
        f"{i + 1}: {low:g} to {'' if i == last else '<'}{high:g}"
        for i, (low, high) in enumerate(pairwise(edges))
    ]
    return [names[i] if value else "" for i, value in zip(place, values, strict=True)]
