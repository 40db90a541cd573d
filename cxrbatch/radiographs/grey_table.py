"""One table from words to grey: modality transform, VOI, inversion and padding, in the standard's order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxrbatch.radiographs.header_values import first_item, read_text
from cxrbatch.radiographs.layout import PixelLayout
from cxrbatch.radiographs.lut import Lut, LutError, read_lut
from cxrbatch.radiographs.modality import ModalityValues, modality_values
from cxrbatch.radiographs.occurrence import Occurrence
from cxrbatch.radiographs.padding import padding_words
from cxrbatch.radiographs.stored_values import StoredPixels
from cxrbatch.radiographs.window import WindowError, read_window

WHITE = 65535
LEAST_SPREAD = 2 / 256
"""A picture whose middle 99% of pixels span fewer than two of 256 greys counts as a single grey value."""


@dataclass(frozen=True, slots=True)
class GreyTable:
    """The grey of every word: uint16, 0 black .. 65535 white.

    `from_extremes`: it depends on the least and the greatest value of this very image, so on
    single pixels.
    """

    grey: NDArray[np.uint16]
    notes: tuple[str, ...]
    from_extremes: bool


def grey_table(ds: Dataset, stored: StoredPixels, layout: PixelLayout) -> GreyTable:
    """The grey of every word of an image.

    The order of PS3.4 N.2: modality LUT, VOI LUT, presentation. Grey is ``floor(65535 * y + 0.5)`` of the
    windowed value y in 0 .. 1, then ``65535 - grey`` where inverted; so an inverted image is the exact
    complement of its twin. Padding becomes 0 last of all: it is background, whatever the inversion.
    """
    padding, notes = padding_words(ds, stored, layout)
    shown = stored.occurrence.without(padding) if padding.any() else stored.occurrence
    little_endian = ds.file_meta.TransferSyntaxUID.is_little_endian
    modality = modality_values(stored.values, layout.bits_stored, layout.signed, ds, little_endian)
    notes += modality.notes
    full = full_range(modality, shown)
    unit = full
    if modality.usable:
        chosen, voi_notes = _voi(ds, modality, little_endian)
        notes += voi_notes
        if chosen is not None:
            if not shown.spreads(chosen, LEAST_SPREAD) and shown.spreads(full, LEAST_SPREAD):
                notes += (
                    "The VOI transform would leave a single grey value; the full range was shown instead.",
                )
            else:
                unit = chosen
    table = np.floor(unit * WHITE + 0.5).astype(np.uint16)
    inverted, inversion_notes = _inverted(ds, layout)
    if inverted:
        table = np.uint16(WHITE) - table
    table[padding] = 0
    return GreyTable(table, notes + inversion_notes, unit is full and modality.bits > 8)


def full_range(modality: ModalityValues, shown: Occurrence) -> NDArray[np.float64]:
    """Modality values onto 0 .. 1 without a window: 8 bits and fewer over all that their bits can hold,
    as any 8-bit picture; more bits from the least to the greatest value of the image, padding left out."""
    if modality.bits <= 8:
        low, high = modality.low, modality.high
    else:
        low, high = shown.extremes(modality.values)
    if high <= low:
        return np.zeros_like(modality.values)
    return np.clip((modality.values - low) / (high - low), 0.0, 1.0)


def _voi(
    ds: Dataset, modality: ModalityValues, little_endian: bool
) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """The VOI LUT, or else the first window, onto 0 .. 1 (C.11.2); None for the full range."""
    notes: tuple[str, ...] = ()
    item = first_item(ds, "VOILUTSequence")
    if item is not None:
        try:
            lut = read_lut(item, modality.low, modality.high, little_endian)
            bits, notes = _effective_bits(lut)
            return lut.look_up(modality.values) / ((1 << bits) - 1), notes
        except LutError as error:
            notes = (f"The VOI LUT is unusable ({error}); it was left out.",)
    try:
        window = read_window(ds)
    except WindowError as error:
        return None, (*notes, f"The window is unusable ({error}); the full range was shown instead.")
    return (None if window is None else window.apply(modality.values)), notes


def _effective_bits(lut: Lut) -> tuple[int, tuple[str, ...]]:
    """The bits that a VOI LUT's output spans. Some devices declare 16 for a table of 12: the picture would
    be nearly black."""
    used = max(1, int(lut.entries.max()).bit_length())
    if used >= lut.bits:
        return lut.bits, ()
    return used, (f"The VOI LUT declares {lut.bits} bits but uses {used}; it was scaled by those.",)


def _inverted(ds: Dataset, layout: PixelLayout) -> tuple[bool, tuple[str, ...]]:
    """Whether low values are white. MONOCHROME1 and PresentationLUTShape INVERSE are two ways to say the
    same thing (PS3.3 C.8.11.3.1.2: the one goes with the other), so both together invert once."""
    shape = read_text(ds, "PresentationLUTShape")
    if layout.photometric == "MONOCHROME1":
        if shape == "IDENTITY":
            return True, (
                "PresentationLUTShape IDENTITY contradicts MONOCHROME1; low values were shown white.",
            )
        return True, ()
    if shape == "INVERSE":
        return True, ("PresentationLUTShape INVERSE contradicts MONOCHROME2; low values were shown white.",)
    return False, ()
