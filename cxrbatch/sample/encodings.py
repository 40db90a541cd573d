"""How the same film is stored in different places: bits, polarity, look-up tables, transfer syntax."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from cxrbatch.sample.grid import Plane


class Tone(StrEnum):
    """How a reader gets from stored values to the display values of the film."""

    PLAIN = "plain"
    """Stored values fill their range."""
    WINDOW = "window"
    """Stored values leave room on both sides; Window Center and Width cut it away."""
    RESCALE = "rescale"
    """A window as well, but in units after Rescale Slope and Intercept."""
    VOI_LUT = "voi_lut"
    """Stored values are dark; a VOI LUT Sequence brightens them."""
    PADDING = "padding"
    """Two edges, as under a collimator, hold the Pixel Padding Value."""
    RAW = "raw"
    """Linear in the detector's signal, for processing: not to be looked at."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """One combination. `bare` writes the data set alone, without preamble and file meta information."""

    transfer_syntax: UID
    bits: int
    tone: Tone
    modality: str = "DX"
    inverted: bool = False
    """MONOCHROME1: the lowest value is shown white."""
    bare: bool = False
    suffix: str = ".dcm"
    silent: bool = False
    """View and body part are left blank, as often in CR."""


ENCODINGS: tuple[Encoding, ...] = (
    Encoding(ExplicitVRLittleEndian, 12, Tone.WINDOW),
    Encoding(JPEG2000Lossless, 15, Tone.PLAIN, "CR", inverted=True, suffix=""),
    Encoding(ImplicitVRLittleEndian, 14, Tone.RESCALE, bare=True),
    Encoding(RLELossless, 10, Tone.VOI_LUT, "CR"),
    Encoding(DeflatedExplicitVRLittleEndian, 12, Tone.WINDOW, inverted=True, suffix=".img"),
    Encoding(ExplicitVRBigEndian, 16, Tone.PADDING, "CR"),
    Encoding(JPEG2000Lossless, 16, Tone.RESCALE, silent=True, suffix=""),
    Encoding(RLELossless, 12, Tone.PLAIN, "CR"),
)
"""Dealt out to the frontal films in turn: eight studies hold every one of them."""

COMPACT = Encoding(JPEG2000Lossless, 12, Tone.WINDOW)
LIMB = Encoding(JPEG2000Lossless, 10, Tone.PLAIN, "CR")
PROCESSING = Encoding(JPEG2000Lossless, 14, Tone.RAW)
PLAIN = Encoding(ExplicitVRLittleEndian, 12, Tone.WINDOW)

PADDING_VALUE, PADDED_FROM = 0, 64
SLOPE, INTERCEPT = 0.5, -1024.0


def padded_edges(rows: int, cols: int) -> tuple[int, int]:
    """Rows at the top and columns at the right that are padding: nothing is written there."""
    return max(2, rows // 40), max(2, cols // 40)


def store(film: Plane, encoding: Encoding, dataset: Dataset) -> NDArray[np.uint16]:
    """Stored values (rows, cols) of a film of display values 0..1; adds to `dataset` what explains them.

    Applying modality LUT and VOI LUT or window, and inverting a MONOCHROME1 picture, gives the film
    back within the precision of the stored bits (PS3.3 C.11.1 and C.11.2, PS3.4 N.2).
    """
    shown = 1 - film if encoding.inverted else film
    top = (1 << encoding.bits) - 1
    low, high = 0.0, float(top)
    if encoding.tone in (Tone.WINDOW, Tone.RESCALE):
        low, high = round(0.12 * top), round(0.90 * top)
        slope, intercept = (SLOPE, INTERCEPT) if encoding.tone is Tone.RESCALE else (1.0, 0.0)
        # LINEAR_EXACT would spare the half and the one; LINEAR is what everybody writes (C.11.2.1.2.1).
        width = (high - low) * slope + 1
        dataset.WindowCenter = round((low + high) / 2 * slope + intercept + 0.5, 4)
        dataset.WindowWidth = round(width, 4)
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = slope, intercept, "US"
    elif encoding.tone is Tone.VOI_LUT:
        shown = shown**1.6
        dataset.VOILUTSequence = [_brightening_lut(top, 1 / 1.6)]
    elif encoding.tone is Tone.PADDING:
        low = PADDED_FROM
    elif encoding.tone is Tone.RAW:
        shown = np.exp(-2.2 * film)
    stored = np.rint(low + shown * (high - low)).astype(np.uint16)
    if encoding.tone is Tone.PADDING:
        rows, cols = padded_edges(*film.shape)
        stored[:rows], stored[:, -cols:] = PADDING_VALUE, PADDING_VALUE
        dataset.add_new("PixelPaddingValue", "US", PADDING_VALUE)
    return stored


def _brightening_lut(top: int, gamma: float) -> Dataset:
    """A table of 16-bit values that undoes the darkening of the stored ones (C.11.2.1.1)."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [top + 1, 0, 16])
    values = np.rint(65535 * (np.arange(top + 1) / top) ** gamma).astype(int)
    item.add_new("LUTData", "US", values.tolist())
    item.LUTExplanation = "PHANTOM brightening"
    return item
