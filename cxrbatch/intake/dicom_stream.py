"""A DICOM file's elements up to its pixel data, as they are stored, from files in any state.

What was read before a header breaks is kept: often it is enough to say that nobody needs the rest.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag

from cxrbatch.intake.dicom_elements import MAX_VALUE_BYTES, DicomElements, tag_of
from cxrbatch.intake.reasons import Reason

MAX_INFLATED_BYTES = 1 << 30
"""A deflated file that grows beyond this is taken for a bomb."""
MAX_READS = 100_000
"""How often a header may be read from before it is taken for damaged. A film's header takes some hundred
reads, and sequences with millions of items would take minutes and gigabytes."""
_KEPT_INFLATED_BYTES = 32 << 20

_IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_EXPLICIT_BIG = "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_GE_PRIVATE_IMPLICIT = "1.2.840.113619.5.2"
_CHARACTER_SET = 0x00080005
_PIXEL_DATA_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


class HeaderError(Exception):
    """A header that cannot be read at all: its reason code, and one sentence for ``rejected.csv``."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """What was read of a file: the file meta group (0002), the data set, and how the reading ended."""

    meta: DicomElements
    elements: DicomElements
    transfer_syntax: str
    """As the file names it, or as its first element looks."""
    has_pixel_data: bool
    is_broken: bool
    """Reading stopped short of the pixel data because the elements make no sense from there."""


def read_dicom(file: BinaryIO, keywords: Collection[str]) -> DicomHeader:
    """The elements `keywords` of a DICOM file, with or without preamble, read up to its pixel data.

    The file must have been told for DICOM by its content: anything else gives junk.

    Raises:
        HeaderError: a deflated file is broken or too large.
        OSError: the file cannot be read.
    """
    file = cast(BinaryIO, _Bounded(file))
    file.seek(128)
    file.seek(132 if file.read(4) == b"DICM" else 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pydicom would warn of, notes and reasons say
        after_meta = _Stop(lambda tag: tag >> 16 != 0x0002)
        meta = DicomElements(_read(file, _EXPLICIT_LITTLE, after_meta))
        syntax = meta.uid("TransferSyntaxUID") or _guess_syntax(file)
        stop = _Stop(lambda tag: tag >= min(_PIXEL_DATA_TAGS))
        stream = _inflated(file) if syntax == _DEFLATED else file
        elements = DicomElements(_read(stream, syntax, stop, [BaseTag(tag_of(name)) for name in keywords]))
    has_pixel_data = stop.tag in _PIXEL_DATA_TAGS and stop.length > 0
    return DicomHeader(meta, elements, syntax, has_pixel_data, stop.is_broken)


class _Bounded:
    """A file that can be read from `MAX_READS` times."""

    def __init__(self, file: BinaryIO) -> None:
        self._read = file.read
        self._left = MAX_READS
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise EOFError(f"more than {MAX_READS} reads")
        return self._read(size)


class _Stop:
    """Tells pydicom where to stop, and remembers how far it came."""

    def __init__(self, is_end: Callable[[int], bool]) -> None:
        self._is_end = is_end
        self.tag, self.length = 0, 0
        self.is_broken = False

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        self.tag, self.length = int(tag), length
        return self._is_end(self.tag)


def _read(file: BinaryIO, syntax: str, stop: _Stop, tags: list[BaseTag | int] | None = None) -> Dataset:
    """The elements from here to where `stop` says, or to where they break; `file` is left there."""
    found: dict[BaseTag, Any] = {}
    is_implicit = _is_implicit(file, default=syntax in (_IMPLICIT_LITTLE, _GE_PRIVATE_IMPLICIT))
    more = True
    while more:
        more = False
        elements = data_element_generator(
            file,
            is_implicit,
            syntax != _EXPLICIT_BIG,
            stop_when=stop,
            defer_size=MAX_VALUE_BYTES,
            specific_tags=tags,
        )
        try:
            for element in elements:
                found[element.tag] = element
        except Exception as error:  # what pydicom raises on junk is not documented, and is many things
            if isinstance(error, OSError) and error.errno is not None:
                raise
            # pydicom also raises on some character sets, right behind their element: go on from there.
            more = stop.tag == _CHARACTER_SET and isinstance(error, LookupError | ValueError)
            stop.is_broken = not more
    return Dataset(found)


def _is_implicit(file: BinaryIO, default: bool) -> bool:
    """Whether the next element has no VR, whatever the file says of itself: many files are mislabelled."""
    start = file.tell()
    first = file.read(6)
    file.seek(start)
    return default if len(first) < 6 else not _is_vr(first[4:6])


def _is_vr(letters: bytes) -> bool:
    return letters.isalpha() and letters.isupper()


def _guess_syntax(file: BinaryIO) -> str:
    """The encoding of a file that does not name it, from the look of its first element."""
    start = file.tell()
    first = file.read(6)
    file.seek(start)
    if len(first) < 6 or not _is_vr(first[4:6]):
        return _IMPLICIT_LITTLE
    little, big = struct.unpack("<H", first[:2])[0], struct.unpack(">H", first[:2])[0]
    return _EXPLICIT_BIG if big < little else _EXPLICIT_LITTLE


def _inflated(file: BinaryIO) -> BinaryIO:
    """The start of a deflated data set (PS3.5, A.5), once the whole is known to have a sane size.

    Raises:
        HeaderError: it is broken from the start, or grows beyond `MAX_INFLATED_BYTES`.
    """
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    kept, total = bytearray(), 0
    try:
        while not inflate.eof and (chunk := inflate.unconsumed_tail or file.read(1 << 16)):
            part = inflate.decompress(chunk, 1 << 22)
            total += len(part)
            if total > MAX_INFLATED_BYTES:
                raise HeaderError(
                    Reason.TOO_LARGE,
                    f"The deflated data set grows beyond {MAX_INFLATED_BYTES >> 20} MiB:"
                    " store it uncompressed.",
                )
            if len(kept) < _KEPT_INFLATED_BYTES:
                kept += part
    except zlib.error as error:
        if not kept:
            raise HeaderError(
                Reason.UNREADABLE, f"The deflated data set is damaged ({error}): get the file again."
            ) from error
    return cast(BinaryIO, _Bounded(io.BytesIO(bytes(kept))))
