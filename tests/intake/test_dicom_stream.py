"""Reading up to the pixel data: every encoding, and files that are cut, mislabelled or malicious."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cxrbatch.intake import dicom_stream
from cxrbatch.intake.dicom_elements import Code
from cxrbatch.intake.dicom_stream import DicomHeader, HeaderError, read_dicom
from cxrbatch.intake.reasons import Reason

KEYWORDS = (
    *("SpecificCharacterSet", "SOPClassUID", "Modality", "Rows", "NumberOfFrames", "ViewCodeSequence"),
    *("StudyInstanceUID", "PatientID"),
)
META_LENGTH_AT = 140
DEFLATED = "1.2.840.10008.1.2.1.99"
MODALITY = struct.pack("<HH2sH", 0x0008, 0x0060, b"CS", 2) + b"CR"


def _element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """One explicit little-endian element, whatever its value."""
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def _read(*elements: bytes) -> DicomHeader:
    return read_dicom(io.BytesIO(b"".join(elements)), KEYWORDS)


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", DEFLATED]
)
@pytest.mark.parametrize("preamble", [True, False])
def test_every_native_encoding(
    syntax: str,
    preamble: bool,
    make_film: Callable[..., Dataset],
    write_film: Callable[..., Path],
    tmp_path: Path,
) -> None:
    if syntax == DEFLATED and not preamble:
        pytest.skip("without its meta group a deflated file cannot be told")
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "399348003", "SCT", "antero-posterior"
    film = make_film(ViewCodeSequence=Sequence([code]), NumberOfFrames=2, Rows=300)
    with write_film(film, tmp_path / "x", syntax, preamble).open("rb") as file:
        header = read_dicom(file, KEYWORDS)
    elements = header.elements
    assert elements.codes("ViewCodeSequence") == (Code("399348003", "SCT", "antero-posterior"),)
    assert elements.number("Rows") == 300
    assert elements.number("NumberOfFrames") == 2
    assert elements.text("Modality") == "CR"
    assert elements.uid("StudyInstanceUID") == film.StudyInstanceUID
    assert header.transfer_syntax == syntax
    assert header.has_pixel_data


def test_the_meta_group_names_the_class_too(
    make_film: Callable[..., Dataset], write_film: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_film(make_film(), tmp_path / "x")
    film = pydicom.dcmread(path)
    del film.SOPClassUID
    film.save_as(path)
    with path.open("rb") as file:
        assert read_dicom(file, KEYWORDS).meta.uid("MediaStorageSOPClassUID") == "1.2.840.10008.5.1.4.1.1.1"


def test_empty_pixel_data_is_none() -> None:
    rows = _element(0x0028, 0x0010, b"US", b"\x08\0")
    assert not _read(rows).has_pixel_data
    assert not _read(rows, _element(0x7FE0, 0x0010, b"OW", b"")).has_pixel_data
    assert _read(rows, _element(0x7FE0, 0x0010, b"OW", b"\0\0")).has_pixel_data


def test_pixel_data_of_an_icon_does_not_count() -> None:
    icon = _element(0x7FE0, 0x0010, b"OW", b"\0\0")
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(icon)) + icon
    sequence = _element(0x0088, 0x0200, b"SQ", item)
    assert not _read(MODALITY, sequence).has_pixel_data


def _deflated(body: bytes, write_film: Callable[..., Path], film: Dataset, path: Path) -> io.BytesIO:
    """A file with the meta group of a deflated film, and any deflated bytes after it."""
    content = write_film(film, path, DEFLATED).read_bytes()
    end = 144 + struct.unpack_from("<I", content, META_LENGTH_AT)[0]
    return io.BytesIO(content[:end] + body)


def test_a_deflate_bomb_is_too_large(
    make_film: Callable[..., Dataset],
    write_film: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dicom_stream, "MAX_INFLATED_BYTES", 1 << 24)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(bytes(1 << 25)) + packer.flush()
    assert len(body) < 1 << 16
    with pytest.raises(HeaderError) as caught:
        read_dicom(_deflated(body, write_film, make_film(), tmp_path / "x"), KEYWORDS)
    assert caught.value.reason is Reason.TOO_LARGE


def test_damaged_deflate_is_unreadable(
    make_film: Callable[..., Dataset], write_film: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(HeaderError) as caught:
        read_dicom(_deflated(b"\xff" * 100, write_film, make_film(), tmp_path / "x"), KEYWORDS)
    assert caught.value.reason is Reason.UNREADABLE


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_header_without_end_is_given_up(is_nested: bool) -> None:
    many = _element(0x0009, 0x1001, b"LO", b"") * 120_000
    if is_nested:
        start = struct.pack("<HH2sHI", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF)
        many = start + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 120_000
    header = _read(MODALITY, many, _element(0x7FE0, 0x0010, b"OW", b"\0\0"))
    assert header.is_broken
    assert not header.has_pixel_data
    assert header.elements.text("Modality") == "CR"


@pytest.mark.parametrize(("named", "is_so"), [("1.2.840.10008.1.2", ".1"), ("1.2.840.10008.1.2.1", "")])
def test_a_mislabelled_encoding_is_read_as_it_is(
    named: str, is_so: str, make_film: Callable[..., Dataset], write_film: Callable[..., Path], tmp_path: Path
) -> None:
    meta = write_film(make_film(), tmp_path / "a", named).read_bytes()
    data_set = write_film(
        make_film(Rows=300), tmp_path / "b", f"1.2.840.10008.1.2{is_so}", preamble=False
    ).read_bytes()
    end = 144 + struct.unpack_from("<I", meta, META_LENGTH_AT)[0]
    header = read_dicom(io.BytesIO(meta[:end] + data_set), KEYWORDS)
    assert (header.elements.number("Rows"), header.has_pixel_data) == (300, True)


def test_what_comes_before_a_break_is_kept() -> None:
    sequence = struct.pack("<HH2sHI", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    header = _read(MODALITY, sequence, item, b"\x08\0")
    assert header.is_broken
    assert not header.has_pixel_data
    assert header.elements.text("Modality") == "CR"


def test_errors_of_the_disk_are_not_taken_for_damage() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 8:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output"):
        read_dicom(Failing(MODALITY + _element(0x0010, 0x0020, b"LO", b"1234")), KEYWORDS)


def test_every_cut_of_a_film_is_read(
    make_film: Callable[..., Dataset], write_film: Callable[..., Path], tmp_path: Path
) -> None:
    content = write_film(make_film(), tmp_path / "x").read_bytes()
    found = [read_dicom(io.BytesIO(content[:end]), KEYWORDS) for end in range(140, len(content))]
    assert not found[0].has_pixel_data
    assert found[-1].has_pixel_data
