"""The three window functions of PS3.3 C.11.2.1.2 and C.11.2.1.3, onto 0 .. 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxrbatch.radiographs.header_values import read_decimal, read_text

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


class WindowError(ValueError):
    """A window that cannot be used; the text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window that makes sense: `function` is one of `FUNCTIONS`, `width` positive (LINEAR: at least 1)."""

    center: float
    width: float
    function: str = "LINEAR"

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`values` mapped to 0 .. 1."""
        c, w = self.center, self.width
        if self.function == "SIGMOID":  # C.11.2.1.3.1
            exponent = np.clip(-4.0 * (values - c) / w, -700.0, 700.0)
            return 1.0 / (1.0 + np.exp(exponent))
        if self.function == "LINEAR":  # C.11.2.1.2.1: c - 0.5 and w - 1 stand for c and w
            c, w = c - 0.5, w - 1.0
        if w == 0:  # a LINEAR window of width 1 is a threshold
            return (values > c).astype(np.float64)
        return np.clip((values - c) / w + 0.5, 0.0, 1.0)


def read_window(ds: Dataset) -> Window | None:
    """The first window of the header, or None where there is none. Raises `WindowError`."""
    center, width = read_decimal(ds, "WindowCenter"), read_decimal(ds, "WindowWidth")
    if not center.present and not width.present:
        return None
    if center.value is None or width.value is None:
        raise WindowError("WindowCenter or WindowWidth is missing, empty or no number")
    function = read_text(ds, "VOILUTFunction") or "LINEAR"
    if function not in FUNCTIONS:
        raise WindowError("VOILUTFunction is none that the standard knows")
    least = 1.0 if function == "LINEAR" else 1e-6
    if width.value < least or max(abs(width.value), abs(center.value)) > 1e12:
        raise WindowError(
            f"WindowWidth {width.value:g} with WindowCenter {center.value:g} makes no {function} window"
        )
    return Window(center.value, width.value, function)
