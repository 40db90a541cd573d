"""Reading single header values from files that do not keep the rules."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Decimal:
    """A number of the header: `value` is None where the element is absent, empty or no finite number."""

    present: bool
    value: float | None


def read_decimal(ds: Dataset, keyword: str) -> Decimal:
    """The first value of a DS, IS or US element. Never raises."""
    if keyword not in ds:
        return Decimal(False, None)
    try:
        raw = ds[keyword].value
        first = raw if isinstance(raw, str | bytes | int | float) or raw is None else next(iter(raw), None)
        value = float(first)  # type: ignore[arg-type]  # text and None raise below
    except Exception:  # pydicom raises many kinds for malformed values; all mean the same here
        return Decimal(True, None)
    return Decimal(True, value if math.isfinite(value) else None)


def read_integer(ds: Dataset, keyword: str) -> int | None:
    """The first value of an integer element, or None where absent, empty or no whole number. Never raises."""
    value = read_decimal(ds, keyword).value
    return int(value) if value is not None and value == int(value) else None


def read_text(ds: Dataset, keyword: str) -> str:
    """The first value of a code string in capitals without padding, or '' where it cannot be read."""
    if keyword not in ds:
        return ""
    try:
        raw = ds[keyword].value
        first = raw if isinstance(raw, str) else next(iter(raw or ()), "")
    except Exception:  # as above: whatever cannot be read counts as blank
        return ""
    return str(first).strip(" \0").upper()


def first_item(ds: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence; None where it is absent, empty or no sequence at all."""
    if keyword not in ds:
        return None
    try:
        items = list(ds[keyword].value or ())
    except Exception:  # a sequence that cannot be parsed
        return None
    return items[0] if items and isinstance(items[0], Dataset) else None
