"""Telling what a file is from its first bytes. Names decide only what becomes of files that are neither."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind

HEAD_BYTES = 4096
"""How many bytes `sniff` wants to see; fewer only where the file has fewer."""


@dataclass(frozen=True, slots=True)
class OtherFile:
    """A file that is no DICOM, PNG or JPEG.

    `reason` is None where nobody would call it an image: it is only counted.
    `detail` is then a noun phrase, else one sentence for ``rejected.csv``.
    """

    detail: str
    reason: Reason | None = None


def sniff(head: bytes, name: str, size: int) -> FileKind | OtherFile:
    """What a file is by its content.

    Args:
        head: its first `HEAD_BYTES` bytes.
        name: its base name, which matters only for a file that is no DICOM, PNG or JPEG: one that
            is named like an image (or has no extension, as files from a PACS often have) and is
            broken is rejected, while a text file or an archive is ignored.
        size: its size in bytes.
    """
    if head[128:132] == b"DICM":  # PS3.10, 7.1; before the others, as the preamble may hold a TIFF header
        return FileKind.DICOM
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return FileKind.PNG
    if head.startswith(b"\xff\xd8\xff") and not head.startswith(b"\xff\xd8\xff\xf7"):
        return FileKind.JPEG
    if starts_with_dicom_element(head, size):
        return FileKind.DICOM
    return _other(head, name, size)


_OTHER_IMAGES = (
    (re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"), "a TIFF"),
    (re.compile(rb"GIF8[79]a"), "a GIF"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "a WebP"),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "a JPEG 2000"),
    (re.compile(rb"\xff\xd8\xff\xf7"), "a JPEG-LS"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"), "a JPEG XL"),
    (re.compile(rb"....ftyp(heic|heix|mif1|avif)", re.DOTALL), "a HEIF"),
    (re.compile(rb"BM....\0\0\0\0....[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), "a BMP"),
)
"""Images that cxrbatch does not read. Their lack of a score must not go unnoticed."""

_OTHER_FILES = (
    (re.compile(rb"PK(\x03\x04|\x05\x06|\x07\x08)"), "a ZIP archive"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"BZh[1-9]1AY"), "a bzip2 archive"),
    (re.compile(rb"\xfd7zXZ\0"), "an xz archive"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "a Zstandard archive"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7-Zip archive"),
    (re.compile(rb"Rar!\x1a\x07"), "a RAR archive"),
    (re.compile(rb".{257}ustar", re.DOTALL), "a tar archive"),
    (re.compile(rb"\s*%PDF-"), "a PDF document"),
    (re.compile(rb"SQLite format 3\0"), "an SQLite database"),
    (re.compile(rb"\x7fELF|MZ.{58}", re.DOTALL), "a program"),
    (re.compile(rb"\x89HDF\r\n\x1a\n"), "an HDF5 file"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array"),
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "an OLE document"),
    (re.compile(rb"RIFF....(AVI |WAVE)|....ftyp|\x1aE\xdf\xa3", re.DOTALL), "a video or sound"),
    (re.compile(rb"\0\x05\x16[\0\x07]\0\x02\0\0"), "a macOS resource fork"),
    (re.compile(rb"\0\0\0\x01Bud1"), "a macOS folder view"),
    (re.compile(rb".{36}acsp", re.DOTALL), "a colour profile"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<\?xml"), "an XML document"),
)

_SYSTEM_FILES = frozenset(
    {".ds_store", "thumbs.db", "desktop.ini", ".directory", ".localized", "ehthumbs.db"}
)
_IMAGE_EXTENSIONS = frozenset({"dcm", "dicom", "dic", "dc3", "ima", "img", "png", "jpg", "jpeg", "jpe"})


def _other(head: bytes, name: str, size: int) -> OtherFile:
    lowered = name.lower()
    if lowered in _SYSTEM_FILES:
        return OtherFile("a file of the operating system")
    for pattern, what in _OTHER_IMAGES:
        if pattern.match(head):
            return OtherFile(
                f"This is {what} image: cxrbatch reads DICOM, PNG and JPEG; convert it to one of them.",
                Reason.UNREADABLE,
            )
    extension = _extension(lowered)
    claims_image = extension in _IMAGE_EXTENSIONS
    what = _what(head, size)
    if claims_image:
        return OtherFile(
            f"This is named as an image, but it is {what}: get it again from where it came from.",
            Reason.UNREADABLE,
        )
    is_known = what not in (_EMPTY, _UNKNOWN)
    may_be_image = not lowered.startswith(".") and (extension == "" or extension.isdigit())
    if is_known or not may_be_image:
        return OtherFile(what)
    return OtherFile(
        f"This is {what}, and by its name it could have been an image: get it again from where it came from.",
        Reason.UNREADABLE,
    )


_EMPTY = "an empty file"
_UNKNOWN = "no DICOM, PNG or JPEG, nor anything else that cxrbatch knows"


def _what(head: bytes, size: int) -> str:
    if size == 0 or not head:
        return _EMPTY
    for pattern, what in _OTHER_FILES:
        if pattern.match(head):
            return what
    return "a text file" if _is_text(head) else _UNKNOWN


def _extension(name: str) -> str:
    """What follows the last dot, blank without one. A UID as a name has a numeric 'extension'."""
    return name.rpartition(".")[2] if "." in name[1:] else ""


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True  # UTF-16 with its byte order mark
    if any(byte < 0x20 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character cut at the end of the head is no mistake; else it may be a single-byte encoding.
        if error.start < len(head) - 3:
            return sum(byte >= 0x80 for byte in head) < 0.3 * len(head)
    return True


_SHORT_VR_LIST = b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US"
_LONG_VR_LIST = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV"
_FIRST_GROUPS = (0x0002, 0x0008)
_LONG_VRS = frozenset(_LONG_VR_LIST.split())
_VRS = frozenset(_SHORT_VR_LIST.split()) | _LONG_VRS


def starts_with_dicom_element(head: bytes, size: int) -> bool:
    """Whether a file without preamble starts with DICOM elements of group 0002 or 0008 (PS3.5, 7.1).

    Explicit VR is told by the VR's two letters, in either byte order. Implicit VR has no such mark, so
    there the lengths must lead to further elements in ascending order.
    """
    if len(head) < 8:
        return False
    if head[4:6] in _VRS and any(
        struct.unpack_from(order, head)[0] in _FIRST_GROUPS and _fits(head, order[0], size)
        for order in ("<H", ">H")
    ):
        return True
    return _is_implicit_little_endian(head, size)


def _fits(head: bytes, order: str, size: int) -> bool:
    """Whether an explicit element's value ends within the file."""
    if head[4:6] not in _LONG_VRS:
        return bool(8 + struct.unpack_from(order + "H", head, 6)[0] <= size)
    if len(head) < 12:
        return False
    length = struct.unpack_from(order + "I", head, 8)[0]
    return bool(length == 0xFFFFFFFF or 12 + length <= size)


def _is_implicit_little_endian(head: bytes, size: int) -> bool:
    offset, last, count = 0, -1, 0
    while offset + 8 <= len(head) and count < 4:
        group, element, length = struct.unpack_from("<HHI", head, offset)
        tag = group << 16 | element
        if (count == 0 and group not in _FIRST_GROUPS) or tag <= last:
            return False
        if length == 0xFFFFFFFF:
            return count > 0 or group == 0x0008
        if offset + 8 + length > size:
            return False
        offset, last, count = offset + 8 + length, tag, count + 1
    return count >= 2 or (count == 1 and offset >= len(head) and size > 8)
