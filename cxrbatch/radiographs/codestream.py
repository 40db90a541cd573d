"""Looking into a compressed frame before a decoder does: its size, and whether it is all there.

The JPEG decoder fills up a truncated image without a word, and every decoder takes memory by the size in
the codestream, not by the one in the DICOM header. Both are settled here.
"""

from __future__ import annotations

import struct

from pydicom.encaps import get_frame
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from cxrbatch.intake.reasons import Reason
from cxrbatch.radiographs.layout import PixelLayout
from cxrbatch.radiographs.radiograph import RadiographError

_JPEG = frozenset(
    {
        JPEGBaseline8Bit,
        JPEGExtended12Bit,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSNearLossless,
    }
)
_JPEG_2000 = frozenset({JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K})
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}  # SOF0-15, SOF55 (JPEG-LS)
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


def require_codestream(source: bytes, transfer_syntax: UID, layout: PixelLayout) -> None:
    """Check the one frame in encapsulated pixel data.

    Raises `RadiographError` (``decode_failed``) where there is no frame, where its size is not that of the
    header, or where a JPEG or JPEG-LS frame has no end.
    """
    try:
        frame = get_frame(source, 0, number_of_frames=1)
    except Exception:  # pydicom raises several kinds for broken fragments
        raise RadiographError(
            Reason.DECODE_FAILED, "The fragments of the compressed pixel data are broken."
        ) from None
    if transfer_syntax in _JPEG:
        size = _jpeg_size(frame)
        # Inside a scan FF is always stuffed, so that FFD9 after the scan's start is the end (T.81 B.1.1.2).
        if frame.rfind(_END_OF_IMAGE) < frame.rfind(_START_OF_SCAN):
            raise RadiographError(Reason.DECODE_FAILED, "The compressed image is truncated: it has no end.")
    elif transfer_syntax in _JPEG_2000:
        size = _jpeg_2000_size(frame)
    else:
        return
    if size is None:
        raise RadiographError(
            Reason.DECODE_FAILED,
            f"The pixel data are not what the transfer syntax says ({transfer_syntax.name}).",
        )
    if size != (layout.rows, layout.columns):
        raise RadiographError(
            Reason.DECODE_FAILED,
            f"The compressed image has {size[0]} rows x {size[1]} columns, the header says "
            f"{layout.rows} x {layout.columns}.",
        )


def jpeg_frame_marker(frame: bytes) -> int | None:
    """The second byte of the first frame header's marker (0xC0 for baseline ...), or None."""
    at = _frame_header(frame)
    return None if at is None else frame[at + 1]


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) of the first frame header (ITU-T T.81 B.2.2), or None."""
    at = _frame_header(frame)
    if at is None:
        return None
    rows, columns = struct.unpack_from(">HH", frame, at + 5)
    return rows, columns


def _frame_header(frame: bytes) -> int | None:
    """Where the first frame header begins, walking from segment to segment; None if nowhere."""
    at = frame.find(b"\xff\xd8") + 2
    if at < 2:
        return None
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in _START_OF_FRAME:
            return at
        # 0xFF is a fill byte; every other marker before the frame has a length.
        at += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", frame, at + 2)[0]
    return None


def _jpeg_2000_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) of the SIZ marker, which follows SOC at once (ITU-T T.800 A.5.1), or None."""
    at = frame.find(b"\xff\x4f\xff\x51")
    if at < 0 or at + 24 > len(frame):
        return None
    right, bottom, left, top = struct.unpack_from(">4I", frame, at + 8)
    return bottom - top, right - left
