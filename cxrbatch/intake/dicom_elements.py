"""The values of a DICOM header, every one of them guarded: no value raises.

They are decoded here from their bytes instead of by pydicom's converters, which raise on bytes that
do not fit their VR; hospitals' files hold many of those.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.charset import convert_encodings, decode_bytes, default_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.valuerep import TEXT_VR_DELIMS

MAX_VALUE_BYTES = 4096
"""No header value that intake reads is longer; a longer one counts as blank."""


@dataclass(frozen=True, slots=True)
class Code:
    """One item of a code sequence (PS3.3, 8.8)."""

    value: str
    scheme: str
    meaning: str


class DicomElements:
    """The chosen elements of one header. Missing, unreadable and over-long values are all blank."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._raw = {int(element.tag): element for element in dataset.values()}  # as read: not converted
        self._encodings = _encodings(self._raw.get(0x00080005), dataset)

    def __contains__(self, keyword: str) -> bool:
        return tag_of(keyword) in self._raw

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
        element = self._raw.get(tag_of(keyword))
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
        tag = tag_of(keyword)
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
        element = self._raw.get(tag_of(keyword))
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


def tag_of(keyword: str) -> int:
    """The tag of a keyword of the standard, as a number."""
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
