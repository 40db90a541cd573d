"""Settling how the pixel data are encoded, for files that do not say or that say something else.

A file without file meta information names no transfer syntax; some archives decompress or compress images
and forget to change it. Whether pixel data are encapsulated shows in their undefined length (PS3.5 A.4),
and a codestream begins with a mark of its own.
"""

from __future__ import annotations

import struct

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLSLossless,
    RLELossless,
)

from cxrbatch.radiographs.codestream import jpeg_frame_marker

_BY_FRAME_MARKER = {
    0xC0: JPEGBaseline8Bit,
    0xC1: JPEGExtended12Bit,
    0xC3: JPEGLossless,
    0xF7: JPEGLSLossless,
}


def settle_transfer_syntax(ds: Dataset) -> tuple[str, ...]:
    """Fill in or correct `ds.file_meta.TransferSyntaxUID`; a note where that meant looking at the data.

    To be called when the pixel data are known to be there and not empty. Never raises for what they hold.
    """
    if getattr(ds, "file_meta", None) is None:
        ds.file_meta = FileMetaDataset()
    declared = ds.file_meta.get("TransferSyntaxUID") or None
    native = _native_syntax(ds)
    encapsulated = bool(ds["PixelData"].is_undefined_length)
    if declared is None and not encapsulated:
        ds.file_meta.TransferSyntaxUID = native
        return ()
    if declared is not None and _is_encapsulated(declared) in (encapsulated, None):
        return ()
    found = _codestream_syntax(ds["PixelData"].value) if encapsulated else native
    if found is None:
        ds.file_meta.TransferSyntaxUID = declared or native
        return ()
    ds.file_meta.TransferSyntaxUID = found
    what = "is missing" if declared is None else "contradicts the pixel data"
    return (f"The transfer syntax {what}; {found.name} was recognised.",)


def _is_encapsulated(uid: UID) -> bool | None:
    """None for a UID that pydicom does not know."""
    try:
        return bool(uid.is_encapsulated)
    except ValueError:
        return None


def _native_syntax(ds: Dataset) -> UID:
    """The encoding of the data set, as pydicom found it to be."""
    implicit, little = ds.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _codestream_syntax(source: bytes) -> UID | None:
    try:
        frame = get_frame(source, 0, number_of_frames=1)
    except Exception:  # pydicom raises several kinds for broken fragments
        return None
    if frame.startswith(b"\xff\x4f\xff\x51"):
        return JPEG2000
    if frame.startswith(b"\xff\xd8"):
        return _BY_FRAME_MARKER.get(jpeg_frame_marker(frame) or 0)
    # An RLE header: 1 to 15 segments, of which the first follows the header of 64 bytes (PS3.5 G.5).
    if len(frame) > 64 and struct.unpack_from("<II", frame)[1] == 64 and 1 <= frame[0] <= 15:
        return RLELossless
    return None
