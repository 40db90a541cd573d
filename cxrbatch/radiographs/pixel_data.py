"""Decoding the pixel data itself, with pydicom and its pylibjpeg plugins; no grey transform yet."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import Decoder

from cxrbatch.intake.reasons import Reason
from cxrbatch.radiographs.codestream import require_codestream
from cxrbatch.radiographs.layout import PixelLayout
from cxrbatch.radiographs.radiograph import RadiographError

_PYDICOM_PREFIX = "Unable to decode as exceptions were raised by all available plugins: "


def require_pixel_data(ds: Dataset) -> None:
    """Raise `RadiographError` where there are no integer pixels to decode."""
    if "PixelData" not in ds:
        if "FloatPixelData" in ds or "DoubleFloatPixelData" in ds:
            raise RadiographError(
                Reason.DECODE_FAILED, "The pixels are floating point numbers, which no radiograph has."
            )
        raise RadiographError(Reason.PIXEL_DATA_MISSING, "The file has a header but no pixel data.")
    value = ds["PixelData"].value
    if not isinstance(value, bytes) or not value:
        raise RadiographError(Reason.PIXEL_DATA_MISSING, "The pixel data element is empty.")


def decode_samples(ds: Dataset, layout: PixelLayout) -> NDArray[np.integer]:
    """The decoded samples in the machine's byte order.

    Shape (rows, columns) of `layout.bits_allocated` bits for one sample a pixel, with whatever lies above
    the stored bits still in place; (rows, columns, 3) RGB for three.

    Raises `RadiographError`: ``unsupported_transfer_syntax``, ``decode_failed``.
    """
    source = ds["PixelData"].value
    decoder = _decoder(ds)
    if decoder.is_encapsulated:
        require_codestream(source, ds.file_meta.TransferSyntaxUID, layout)
    else:
        _require_length(source, layout)
    options = {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": 1,
        "samples_per_pixel": layout.samples,
        "planar_configuration": layout.planar,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.signed),
        "photometric_interpretation": layout.photometric,
        "pixel_keyword": "PixelData",
        "pixel_vr": ds["PixelData"].VR,
        "allow_excess_frames": False,
        # Masking belongs to the grey table (stored_values.py): a pass over the image less.
        "correct_unused_bits": False,
    }
    if not decoder.is_encapsulated:
        options["view_only"] = True
    try:
        samples, _ = decoder.as_array(source, decoding_plugin=_plugin(decoder), **options)
    except MemoryError:
        raise
    except BaseException as error:
        # The RLE decoder is in Rust, whose panics are no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        # A decoder is told only pixels and numbers of group 0028: its words hold no patient data.
        raise RadiographError(
            Reason.DECODE_FAILED, f"The pixel data cannot be decoded: {_one_line(error)}"
        ) from None
    return samples.astype(samples.dtype.newbyteorder("="), copy=False)


def _decoder(ds: Dataset) -> Decoder:
    uid = ds.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(uid)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        name = uid.name if uid.name != uid else "unknown"
        raise RadiographError(
            Reason.UNSUPPORTED_TRANSFER_SYNTAX,
            f"No decoder here reads transfer syntax {re.sub('[^0-9.]', '?', uid)[:64]} ({name}).",
        )
    return decoder


def _plugin(decoder: Decoder) -> str:
    """One named decoder, so that a lossy image gives the same pixels whatever else is installed."""
    return "pylibjpeg" if decoder.is_encapsulated and "pylibjpeg" in decoder.available_plugins else ""


def _require_length(source: bytes, layout: PixelLayout) -> None:
    """Uncompressed data must be all there (PS3.5 8.1.1); pydicom would say so without the count."""
    bits = layout.rows * layout.columns * layout.samples * layout.bits_allocated
    if layout.photometric == "YBR_FULL_422":
        bits = bits * 2 // 3  # two of three samples are stored, PS3.3 C.7.6.3.1.2
    needed = math.ceil(bits / 8)
    if len(source) < needed:
        raise RadiographError(
            Reason.DECODE_FAILED,
            f"The pixel data are truncated: {needed - len(source):,} of {needed:,} bytes are missing.",
        )


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()).replace(_PYDICOM_PREFIX, "") or type(error).__name__
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:240]
