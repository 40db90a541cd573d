"""Palette colour to grey (PS3.3 C.7.9): the palette's luminance, once for every word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut

from cxrbatch.intake.reasons import Reason
from cxrbatch.radiographs.luminance import luminance
from cxrbatch.radiographs.radiograph import RadiographError
from cxrbatch.radiographs.stored_values import StoredPixels

_CHANNELS = ("Red", "Green", "Blue")


def palette_table(ds: Dataset, stored: StoredPixels) -> NDArray[np.uint16]:
    """The grey of every word, uint16 of `stored.values`' shape. Raises `RadiographError` (``decode_failed``):
    without its palette an index means nothing."""
    try:
        if not ds.file_meta.TransferSyntaxUID.is_little_endian:
            _swap_words(ds)
        colours = apply_color_lut(stored.values.astype(np.int32), ds)[..., :3]
    except Exception as error:  # pydicom raises many kinds for a broken palette
        raise RadiographError(
            Reason.DECODE_FAILED, f"The colour palette is unusable ({type(error).__name__})."
        ) from None
    return luminance(colours, 8 * colours.dtype.itemsize)


def _swap_words(ds: Dataset) -> None:
    """Bring 16-bit palettes of a big endian file into the byte order that pydicom takes them to have."""
    for channel in _CHANNELS:
        keyword = f"{channel}PaletteColorLookupTableData"
        if keyword in ds and ds[keyword].VR == "OW":
            ds[keyword].value = np.frombuffer(ds[keyword].value, dtype="u2").byteswap().tobytes()
