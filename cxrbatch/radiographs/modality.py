"""The modality transform: stored values to the manufacturer-independent values (PS3.3 C.11.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxrbatch.radiographs.header_values import first_item, read_decimal
from cxrbatch.radiographs.lut import LutError, read_lut


@dataclass(frozen=True, slots=True)
class ModalityValues:
    """`values` is the modality value of every word. `low` and `high` are the ends of the range that they
    could have. `usable` is False where the header's transform was broken and stored values stand in."""

    values: NDArray[np.float64]
    low: float
    high: float
    bits: int
    usable: bool = True
    notes: tuple[str, ...] = ()


def modality_values(
    values: NDArray[np.int64], bits_stored: int, signed: bool, ds: Dataset, little_endian: bool
) -> ModalityValues:
    """Apply the Modality LUT, or else rescale slope and intercept, to stored values of `bits_stored` bits.

    ``modality value = slope * stored value + intercept`` (C.11.1.1.2). A broken transform leaves stored
    values as they are, unusable for a window that is meant for modality values, and a note says so.
    """
    stored = values.astype(np.float64)
    low = -float(1 << (bits_stored - 1)) if signed else 0.0
    high = low + (1 << bits_stored) - 1
    plain = ModalityValues(stored, low, high, bits_stored)
    item = first_item(ds, "ModalityLUTSequence")
    if item is not None:
        try:
            lut = read_lut(item, low, high, little_endian)
        except LutError as error:
            return _broken(plain, f"The modality LUT is unusable ({error})")
        return ModalityValues(lut.look_up(stored), 0.0, float((1 << lut.bits) - 1), lut.bits)
    return _rescaled(plain, ds)


def _rescaled(plain: ModalityValues, ds: Dataset) -> ModalityValues:
    slope, intercept = read_decimal(ds, "RescaleSlope"), read_decimal(ds, "RescaleIntercept")
    if not slope.present and not intercept.present:
        return plain
    by = 1.0 if not slope.present else slope.value
    plus = 0.0 if not intercept.present else intercept.value
    if by is None or by == 0 or abs(by) > 1e9 or abs(by) < 1e-9:
        return _broken(plain, "RescaleSlope is empty, zero or no sensible number")
    if plus is None or abs(plus) > 1e12:
        return _broken(plain, "RescaleIntercept is empty or no sensible number")
    if slope.present != intercept.present and (by, plus) != (1.0, 0.0):
        return _broken(plain, "RescaleSlope and RescaleIntercept are not both given")
    ends = sorted((plain.low * by + plus, plain.high * by + plus))
    return ModalityValues(plain.values * by + plus, ends[0], ends[1], plain.bits)


def _broken(plain: ModalityValues, why: str) -> ModalityValues:
    note = f"{why}; stored values were shown over their full range."
    return ModalityValues(plain.values, plain.low, plain.high, plain.bits, False, (note,))
