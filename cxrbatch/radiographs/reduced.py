"""JPEG 2000 decoded at a half, a quarter ... of its resolution, where that is enough (``--fast-decode``).

The wavelet transform holds every picture at half of its size as well (ITU-T T.800, annex F), so a decoder
may stop there, at a quarter of the work. Only where nothing can differ but fine detail: everything else is
decoded in full.
"""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import JPEG2000, JPEG2000Lossless

from cxrbatch.radiographs.codestream import require_codestream
from cxrbatch.radiographs.layout import PixelLayout
from cxrbatch.radiographs.raster import whole_files_only

_CODESTREAM, _END = b"\xff\x4f\xff\x51", b"\xff\xd9"
_MOST_HALVINGS = 5
"""What nearly every encoder writes; a codestream with fewer levels is decoded in full."""


def reduced_samples(ds: Dataset, layout: PixelLayout, least: tuple[int, int]) -> NDArray[np.integer] | None:
    """The samples at the smallest resolution of at least `least` (rows, columns), or None: decode in full.

    As `decode_samples` gives them: stored values in `layout.bits_allocated` bits, (rows, columns).
    None where half the size would be too small, for other transfer syntaxes than JPEG 2000, for colour, where
    codestream and header disagree on bits or sign, where padding is declared (its value would blend with the
    picture at its edge), and where the codestream has no end or does not decode: full decoding then says why.

    Raises `RadiographError` as `require_codestream`.
    """
    halvings = _halvings(layout, least)
    if not halvings or not _is_plain(ds, layout):
        return None
    source = ds["PixelData"].value
    require_codestream(source, ds.file_meta.TransferSyntaxUID, layout)
    frame = get_frame(source, 0, number_of_frames=1)
    if not frame.startswith(_CODESTREAM) or not frame.rstrip(b"\0").endswith(_END):
        return None
    if not _says_what_the_header_says(frame, layout):
        return None
    return _decode(frame, layout, halvings)


def _halvings(layout: PixelLayout, least: tuple[int, int]) -> int:
    """How often the size can be halved, rounding up as T.800 B.5 does, without falling below `least`."""
    fitting = [
        count
        for count in range(_MOST_HALVINGS + 1)
        if all(have >= wanted for have, wanted in zip(_size(layout, count), least, strict=True))
    ]
    return max(fitting, default=0)


def _size(layout: PixelLayout, halvings: int) -> tuple[int, int]:
    return -(-layout.rows >> halvings), -(-layout.columns >> halvings)


def _is_plain(ds: Dataset, layout: PixelLayout) -> bool:
    return (
        ds.file_meta.TransferSyntaxUID in (JPEG2000Lossless, JPEG2000)
        and layout.photometric in ("MONOCHROME1", "MONOCHROME2")
        and layout.bits_allocated in (8, 16)
        and 8 <= layout.bits_stored <= 16
        and "PixelPaddingValue" not in ds
    )


def _says_what_the_header_says(frame: bytes, layout: PixelLayout) -> bool:
    """One component of the header's bits and sign: Csiz, and Ssiz, whose first bit is the sign (A.5.1)."""
    components, depth = struct.unpack_from(">HB", frame, 40)
    return components == 1 and (depth & 0x7F) + 1 == layout.bits_stored and (depth >> 7 == 1) == layout.signed


def _decode(frame: bytes, layout: PixelLayout, halvings: int) -> NDArray[np.integer] | None:
    """Pillow gives unsigned 8 or 16 bits, the stored bits topmost: shifted down here, and signed again."""
    try:
        with whole_files_only(), Image.open(BytesIO(frame), formats=["JPEG2000"]) as picture:
            picture.reduce = halvings  # type: ignore[method-assign, assignment]
            picture.load()
            if picture.mode not in ("L", "I;16"):
                return None
            words = np.asarray(picture)
    except (OSError, SyntaxError, ValueError):
        return None
    shift = 8 * words.dtype.itemsize - layout.bits_stored
    if (
        words.shape != _size(layout, halvings)
        or shift < 0
        or (words & words.dtype.type((1 << shift) - 1)).any()
    ):
        return None
    values = (words >> shift).astype(np.int32)
    if layout.signed:
        values -= 1 << (layout.bits_stored - 1)
    return values.astype(f"{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}")
