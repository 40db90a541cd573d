"""Reading a DICOM header up to the pixel data, with every value guarded: a header never raises.

Values are decoded here from their bytes instead of by pydicom's converters, which raise on bytes that
do not fit their VR; hospitals' files hold many of those.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydicom.charset import convert_encodings, decode_bytes, default_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import TEXT_VR_DELIMS

from cxrbatch.intake.reasons import Reason

MAX_INFLATED_BYTES = 1 << 30
"""A deflated file that grows beyond this is taken for a bomb."""
MAX_VALUE_BYTES = 4096
"""No header value that intake reads is longer; a longer one counts as blank."""
MAX_ELEMENTS = 100_000
_KEPT_INFLATED_BYTES = 32 << 20

_IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_EXPLICIT_BIG = "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_GE_PRIVATE_IMPLICIT = "1.2.840.113619.5.2"
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
class Code:
    """One item of a code sequence (PS3.3, 8.8)."""

    value: str
    scheme: str
    meaning: str


class DicomElements:
    """The chosen elements of one header. Missing, unreadable and over-long values are all blank."""

    def __init__(self, dataset: Dataset, transfer_syntax: str = "", has_pixel_data: bool = False) -> None:
        self._dataset = dataset
        self._raw = {int(element.tag): element for element in dataset.values()}  # as read: not converted
        self._encodings = _encodings(self._raw.get(0x00080005), dataset)
        self.transfer_syntax = transfer_syntax
        self.has_pixel_data = has_pixel_data

    def __contains__(self, keyword: str) -> bool:
        return _tag(keyword) in self._raw

    def text(self, keyword: str) -> str:
        """The value as text; of several values the first that is not blank."""
        return next((value for value in self.texts(keyword) if value), "")

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values as text."""
        value = self._bytes(keyword)
        return tuple(_clean(part) for part in self._decoded(value).split("\\")) if value else ()

    def person_name(self, keyword: str) -> str:
        """A person's name as in DICOM, with ``^`` between its parts and ``=`` between its spellings."""
        # Decoded as a whole: in ISO 2022 a byte of a character may look like '='.
        name = self._decoded(self._bytes(keyword)).split("\\")[0]
        return "=".join(_clean(group) for group in name.split("=")).rstrip("=")

    def uid(self, keyword: str) -> str:
        """A UID, or whatever text stands in its place."""
        return _clean(self._bytes(keyword).decode("latin-1").rstrip("\0 "))

    def number(self, keyword: str) -> int | None:
        """A whole number, whether stored in binary or as text; None if there is none."""
        element = self._raw.get(_tag(keyword))
        value = self._bytes(keyword)
        if element is None or not value:
            return None
        if isinstance(element.value, int):
            return int(element.value)
        order = "<" if getattr(element, "is_little_endian", True) else ">"
        if getattr(element, "VR", None) not in _TEXT_NUMBERS.get(keyword, _NUMBER_TEXT_VRS):
            if len(value) in (2, 4):
                return int(struct.unpack(order + ("H" if len(value) == 2 else "I"), value)[0])
            if len(value) > 4 and len(value) % 2 == 0:
                return int(struct.unpack(order + "H", value[:2])[0])
        try:
            return int(float(value.split(b"\\")[0].strip(b"\0 ")))
        except (ValueError, OverflowError):
            return None

    def codes(self, keyword: str) -> tuple[Code, ...]:
        """The items of a code sequence."""
        return tuple(
            Code(
                item.text("CodeValue") or item.text("LongCodeValue") or item.text("URNCodeValue"),
                item.text("CodingSchemeDesignator"),
                item.text("CodeMeaning"),
            )
            for item in self.items(keyword)
        )

    def items(self, keyword: str) -> Iterator[DicomElements]:
        """The items of a sequence."""
        tag = _tag(keyword)
        element = self._raw.get(tag)
        if element is None or element.value is None:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sequence = list(self._dataset[tag].value or ())
        except Exception:  # a broken sequence may raise anything; it counts as blank like any other value
            return
        yield from (DicomElements(item) for item in sequence if isinstance(item, Dataset))

    def _bytes(self, keyword: str) -> bytes:
        element = self._raw.get(_tag(keyword))
        value: Any = None if element is None else element.value
        if isinstance(value, bytes):
            return value if len(value) <= MAX_VALUE_BYTES else b""
        return b"" if value is None else str(value).encode("utf-8", "replace")

    def _decoded(self, value: bytes) -> str:
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii")
        if self._encodings == [default_encoding]:
            # No character set, or none that is known: UTF-8 explains itself, Latin-1 takes anything.
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                return value.decode("latin-1")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return decode_bytes(value, self._encodings, TEXT_VR_DELIMS)
        except (LookupError, ValueError):
            return value.decode("latin-1")


_NUMBER_TEXT_VRS = frozenset({"IS", "DS", "LO", "SH", "CS", "ST", "LT", "UT"})
_TEXT_NUMBERS = {"NumberOfFrames": _NUMBER_TEXT_VRS | {None, "UN"}}
"""Elements whose VR in the dictionary is IS, so that they are text where the file does not say."""


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


def _clean(text: str) -> str:
    """Printable text for tables and reports: no control characters, no half surrogates, no padding."""
    kept = (c if c.isprintable() or c in _KEPT else " " if c.isspace() else "" for c in text)
    return "".join(kept).strip()


_KEPT = "\u3000\u200c\u200d"  # the ideographic space, and the joiners that some scripts spell with


def _encodings(element: Any, dataset: Dataset) -> list[str]:
    """Python's names for SpecificCharacterSet (0008,0005); the default where that is broken."""
    if element is None:
        inherited = getattr(dataset, "parent_encoding", None)
        names = [inherited] if isinstance(inherited, str) else inherited
        return list(names) if names else [default_encoding]
    value = element.value
    if isinstance(value, bytes):
        value = value.decode("latin-1").strip("\0 ").split("\\")
    values = [value] if isinstance(value, str) else [str(part).strip() for part in value or ()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return convert_encodings(values) or [default_encoding]
    except (LookupError, ValueError, TypeError):
        return [default_encoding]


def read_elements(file: BinaryIO, keywords: tuple[str, ...]) -> DicomElements:
    """The elements `keywords` of a DICOM file, with or without preamble, read up to its pixel data.

    The file must have been told for DICOM by its content: anything else gives junk.

    Raises:
        HeaderError: a deflated file is broken or too large, or the elements have no end.
        OSError: the file cannot be read.
    """
    file.seek(128)
    file.seek(132 if file.read(4) == b"DICM" else 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pydicom would warn of, the notes and reasons say
        meta = DicomElements(_read_file_meta(file))
        syntax = meta.uid("TransferSyntaxUID")
        if not syntax:
            syntax = _guess_syntax(file)
        stream = _inflated(file) if syntax == _DEFLATED else file
        stop = _StopAtPixelData()
        dataset = read_dataset(
            stream,
            is_implicit_VR=syntax in (_IMPLICIT_LITTLE, _GE_PRIVATE_IMPLICIT),
            is_little_endian=syntax != _EXPLICIT_BIG,
            stop_when=stop,
            defer_size=MAX_VALUE_BYTES,
            specific_tags=[BaseTag(_tag(keyword)) for keyword in keywords],
        )
        if "SOPClassUID" in keywords and _tag("SOPClassUID") not in dataset:
            dataset.SOPClassUID = meta.uid("MediaStorageSOPClassUID")
    return DicomElements(dataset, syntax, stop.found)


class _StopAtPixelData:
    """Tells pydicom to stop at the pixel data, and remembers whether it came to any."""

    def __init__(self) -> None:
        self.found = False
        self._count = 0

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise HeaderError(
                Reason.UNREADABLE,
                f"The header has more than {MAX_ELEMENTS} elements: the file is damaged; get it again.",
            )
        self.found = int(tag) in _PIXEL_DATA_TAGS and length > 0
        return int(tag) >= 0x7FE00008


def _read_file_meta(file: BinaryIO) -> Dataset:
    def after_group_2(tag: BaseTag, vr: str | None, length: int) -> bool:
        return int(tag) >> 16 != 0x0002

    return read_dataset(
        file, is_implicit_VR=False, is_little_endian=True, stop_when=after_group_2, defer_size=MAX_VALUE_BYTES
    )


def _guess_syntax(file: BinaryIO) -> str:
    """The encoding of a file that does not name it, from the look of its first element."""
    start = file.tell()
    first = file.read(6)
    file.seek(start)
    if len(first) < 6 or not (first[4:6].isalpha() and first[4:6].isupper()):
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
    return io.BytesIO(bytes(kept))
