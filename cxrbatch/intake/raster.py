"""The size of a PNG or JPEG, read from its own header: nothing is decoded."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from cxrbatch.intake.dicom_stream import HeaderError
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind

_SOF_DECODABLE = frozenset({0xC0, 0xC1, 0xC2})
_SOF_OTHER = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_HEADER_BYTES = 4 << 20
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


def read_size(file: BinaryIO, kind: FileKind) -> tuple[int, int]:
    """Rows and columns of a PNG or JPEG.

    Raises:
        HeaderError: the file does not say its size, or is a JPEG of a process that is not read.
        OSError: the file cannot be read.
    """
    return _png_size(file) if kind is FileKind.PNG else _jpeg_size(file)


def _png_size(file: BinaryIO) -> tuple[int, int]:
    """From the IHDR chunk, which comes first (PNG specification, 11.2.2)."""
    file.seek(8)
    chunk = file.read(16)
    if len(chunk) < 16 or chunk[4:8] != b"IHDR":
        raise HeaderError(Reason.UNREADABLE, "The PNG does not begin with its size (IHDR): get it again.")
    columns, rows = struct.unpack(">II", chunk[8:])
    return rows, columns


def _jpeg_size(file: BinaryIO) -> tuple[int, int]:
    """From the start-of-frame segment (ITU-T T.81, B.2.2)."""
    file.seek(2)
    file = io.BytesIO(file.read(_HEADER_BYTES))
    while True:
        marker = _next_marker(file)
        if marker is None or marker in (0xD9, 0xDA):  # the end of the image, or its scan
            raise HeaderError(Reason.UNREADABLE, "The JPEG ends before it says its size: get it again.")
        if marker in _WITHOUT_LENGTH:
            continue
        if marker in _SOF_OTHER:
            raise HeaderError(
                Reason.UNREADABLE,
                "This is a lossless or arithmetic-coded JPEG: convert it to a baseline JPEG or a PNG.",
            )
        length = file.read(2)
        if marker in _SOF_DECODABLE:
            frame = file.read(5)
            if len(frame) == 5:
                rows, columns = struct.unpack(">xHH", frame)
                return rows, columns
        if len(length) == 2:
            file.seek(max(struct.unpack(">H", length)[0] - 2, 0), 1)


def _next_marker(file: BinaryIO) -> int | None:
    byte = file.read(1)
    while byte and byte != b"\xff":
        byte = file.read(1)
    while byte == b"\xff":
        byte = file.read(1)
    return byte[0] if byte else None
