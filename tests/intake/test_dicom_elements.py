"""Header values, guarded: pydicom's own reading is the oracle where it does not raise."""

from __future__ import annotations

import io
import struct

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.intake.dicom_elements import MAX_VALUE_BYTES, DicomElements
from cxrbatch.intake.dicom_stream import read_dicom

KEYWORDS = (
    *("SpecificCharacterSet", "SOPClassUID", "PatientName", "PatientID", "Modality", "Rows", "Columns"),
    *("NumberOfFrames", "ViewCodeSequence", "StudyInstanceUID", "ImageType", "InstitutionName"),
)


def _element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """One explicit little-endian element, whatever its value."""
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def _read(*elements: bytes) -> DicomElements:
    return read_dicom(io.BytesIO(b"".join(elements)), KEYWORDS).elements


def _named(charset: bytes, name: bytes) -> str:
    return _read(_element(0x0008, 0x0005, b"CS", charset), _element(0x0010, 0x0010, b"PN", name)).person_name(
        "PatientName"
    )


@pytest.mark.parametrize(
    ("charset", "name", "expected"),
    [
        # The examples of PS3.5, Annexes H to K.
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            b"\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        (b"ISO_IR 192", "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
        (b"GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
        (b"ISO_IR 126", "Διονυσιος".encode("iso8859-7"), "Διονυσιος"),
        (b"ISO_IR 144", "Люкceмбypг".encode("iso8859-5"), "Люкceмбypг"),
        (b"ISO_IR 100", "Äneas^Rüdiger".encode("latin-1"), "Äneas^Rüdiger"),
        # A character whose second byte looks like '=' (0x3D): the spring of PS3.5's JIS X 0208.
        (b"\\ISO 2022 IR 87", b"Haru=\x1b$B=U\x1b(B", "Haru=春"),
        # What is not declared, or declared wrongly, is UTF-8 where it can be, else Latin-1.
        (b"", "山田^太郎".encode(), "山田^太郎"),
        (b"KLINGON", "山田^太郎".encode(), "山田^太郎"),
        (b"ISO_IR 999", b"R\xfcdiger", "Rüdiger"),
        (b"\xff\xfe\x80", b"Smith^John ", "Smith^John"),
        # pydicom itself raises on this one.
        (b"ISO_IR\0192", "Müller".encode(), "Müller"),
        # No control characters reach a table or a report.
        (b"ISO_IR 100", b"Smith^\x00Jo\x07hn\r\n", "Smith^John"),
    ],
)
def test_names_keep_their_scripts(charset: bytes, name: bytes, expected: str) -> None:
    assert _named(charset, name) == expected


@pytest.mark.parametrize(
    "charset", [b"ISO_IR 192", b"ISO_IR 13", b"\\ISO 2022 IR 58", b"nonsense", b"GB18030\\X"]
)
@given(name=st.binary(max_size=64))
def test_no_charset_and_no_bytes_raise(charset: bytes, name: bytes) -> None:
    text = _named(charset, name)
    assert all(c.isprintable() or c in "\u3000\u200c\u200d" for c in text)
    text.encode("utf-8")  # no half surrogates


@given(
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\\=^"), min_size=1, max_size=20)
)
def test_utf8_names_are_read_as_pydicom_reads_them(name: str) -> None:
    content = _element(0x0008, 0x0005, b"CS", b"ISO_IR 192") + _element(0x0010, 0x0010, b"PN", name.encode())
    reference = pydicom.dcmread(io.BytesIO(content), force=True)
    assert _named(b"ISO_IR 192", name.encode()) == str(reference.PatientName)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (_element(0x0028, 0x0010, b"US", b"\x00\x02"), 512),
        (_element(0x0028, 0x0010, b"UL", b"\x00\x02\x00\x00"), 512),
        (_element(0x0028, 0x0010, b"UN", b"\x00\x02"), 512),
        (_element(0x0028, 0x0010, b"IS", b"512 "), 512),
        (_element(0x0028, 0x0010, b"US", b"\x00\x02\x01\x02"), 0x02010200),
        (_element(0x0028, 0x0010, b"US", b"\x00\x02\x01\x02\x03\x04"), 512),
        (_element(0x0028, 0x0010, b"US", b""), None),
        (_element(0x0028, 0x0010, b"US", b"\x01"), None),
        (_element(0x0028, 0x0010, b"IS", b"\x00\x02\xff"), None),
        (_element(0x0028, 0x0010, b"DS", b"1e999"), None),
        (_element(0x0028, 0x0011, b"US", b"\x00\x02"), None),
    ],
)
def test_rows_in_any_vr(element: bytes, expected: int | None) -> None:
    assert _read(_element(0x0008, 0x0060, b"CS", b"CR"), element).number("Rows") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"1", 1), (b"12\\3", 12), (b"1A", None), (b"", None), (b"1.0", 1), (b"nan", None)],
)
@pytest.mark.parametrize("vr", [b"IS", b"UN", b"LO"])
def test_number_of_frames(vr: bytes, value: bytes, expected: int | None) -> None:
    assert _read(_element(0x0028, 0x0008, vr, value)).number("NumberOfFrames") == expected


def test_texts_and_uids() -> None:
    elements = _read(
        _element(0x0008, 0x0008, b"CS", b"DERIVED\\PRIMARY \\\\AI"),
        _element(0x0008, 0x0060, b"CS", b"\\CR"),
        _element(0x0020, 0x000D, b"UI", b"1.2.3\0"),
    )
    assert elements.texts("ImageType") == ("DERIVED", "PRIMARY", "", "AI")
    assert elements.text("Modality") == "CR"
    assert elements.uid("StudyInstanceUID") == "1.2.3"
    assert elements.text("PatientID") == ""
    assert elements.texts("PatientID") == ()


def test_an_overlong_value_counts_as_blank() -> None:
    long = _element(0x0010, 0x0020, b"UT", b"x" * (MAX_VALUE_BYTES + 2))
    elements = _read(_element(0x0008, 0x0060, b"CS", b"CR"), long, _element(0x0028, 0x0010, b"US", b"\x08\0"))
    assert (elements.text("PatientID"), elements.number("Rows")) == ("", 8)


def test_a_broken_sequence_counts_as_blank() -> None:
    sequence = _element(0x0054, 0x0220, b"SQ", b"\x01\x02\x03\x04\x05\x06")
    elements = _read(_element(0x0008, 0x0060, b"CS", b"CR"), sequence)
    assert elements.codes("ViewCodeSequence") == ()
    assert elements.text("Modality") == "CR"
