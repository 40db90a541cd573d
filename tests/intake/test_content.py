"""What a file is, by its bytes: real encoders' output, and what lies in folders beside films."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset

from cxrbatch.intake.content import HEAD_BYTES, OtherFile, sniff
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind

Bytes = Callable[..., bytes]


@pytest.fixture
def dicom(make_film: Callable[..., Dataset], write_film: Callable[..., Path], tmp_path: Path) -> Bytes:
    """The bytes of a chest film, encoded as asked for."""

    def encode(*how: str, preamble: bool = True) -> bytes:
        return write_film(make_film(), tmp_path / "film", *how, preamble=preamble).read_bytes()

    return encode


def _image(format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (16, 16), 100).save(buffer, format_, **options)
    return buffer.getvalue()


def _sniff(content: bytes, name: str = "IM0001") -> FileKind | OtherFile:
    return sniff(content[:HEAD_BYTES], name, len(content))


def _reason(content: bytes, name: str) -> Reason | None:
    found = _sniff(content, name)
    assert isinstance(found, OtherFile)
    return found.reason


@pytest.mark.parametrize("name", ["film.dcm", "film.txt", "film", "1.2.840.1"])
def test_content_decides_not_the_name(name: str, dicom: Bytes) -> None:
    assert _sniff(_image("PNG"), name) is FileKind.PNG
    assert _sniff(_image("JPEG"), name) is FileKind.JPEG
    assert _sniff(dicom(), name) is FileKind.DICOM


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_dicom_without_preamble_in_every_native_encoding(syntax: str, dicom: Bytes) -> None:
    content = dicom(syntax, preamble=False)
    assert content[128:132] != b"DICM"
    assert _sniff(content) is FileKind.DICOM


def test_dicom_that_starts_with_its_meta_group_is_dicom(dicom: Bytes) -> None:
    content = dicom()[132:]
    assert _sniff(content) is FileKind.DICOM


def test_a_dicom_whose_preamble_is_a_tiff_header_is_dicom(dicom: Bytes) -> None:
    content = dicom()
    assert _sniff(b"II*\0" + content[4:]) is FileKind.DICOM


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "b")
    return buffer.getvalue()


def _sqlite(folder: Path) -> bytes:
    with sqlite3.connect(folder / "db") as connection:
        connection.execute("create table t (a)")
    return (folder / "db").read_bytes()


def test_what_nobody_calls_an_image_is_ignored(tmp_path: Path) -> None:
    others = {
        "README": b"Read me first.\n",
        "README.txt": "Größe: übergroß, 胸部\n".encode(),
        "notes.txt": "Größe".encode("latin-1"),
        "wide.txt": "utf-16".encode("utf-16"),
        "labels.csv": b"a,b\n1,2\n",
        "report.json": json.dumps({"a": 1}).encode(),
        "page.html": b"<!DOCTYPE html><html></html>",
        "page": b"<!DOCTYPE html><html></html>",
        "x.xml": b"<?xml version='1.0'?><a/>",
        "x.zip": _zip(),
        "x.dcm.gz": gzip.compress(b"x"),
        "x.pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
        "x.db": _sqlite(tmp_path),
        ".DS_Store": b"\0\0\0\x01Bud1\0\0",
        "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "._IM0001": b"\0\x05\x16\x07\0\x02\0\0Mac OS X",
        ".hidden": b"",
        "done.txt": b"",
        "weights.bin": bytes(range(256)),
        "tool.so": b"\x7fELF" + bytes(60),
    }
    reasons = {name: _reason(content, name) for name, content in others.items()}
    assert reasons == dict.fromkeys(others)


@pytest.mark.parametrize(
    "name", ["film.dcm", "FILM.DCM", "film.ima", "a.png", "a.jpeg", "film", "1.2.840.113.7"]
)
@pytest.mark.parametrize("content", [b"", bytes(100), bytes(range(256)) * 40])
def test_nothing_that_could_be_an_image_is_lost_silently(name: str, content: bytes) -> None:
    assert _reason(content, name) is Reason.UNREADABLE


@pytest.mark.parametrize("content", [b"<html>Error 500</html>", b"no such study", gzip.compress(b"x")])
def test_a_page_or_archive_named_as_a_film_is_no_film_but_missed(content: bytes) -> None:
    assert _reason(content, "film.dcm") is Reason.UNREADABLE
    assert _reason(content, "film") is None


@pytest.mark.parametrize("format_", ["TIFF", "BMP", "GIF", "WEBP", "JPEG2000"])
@pytest.mark.parametrize("name", ["x.tif", "x", "x.dcm", "x.gif"])
def test_other_images_say_what_to_do(format_: str, name: str) -> None:
    found = _sniff(_image(format_), name)
    assert isinstance(found, OtherFile)
    assert found.reason is Reason.UNREADABLE
    assert "DICOM, PNG and JPEG" in found.detail


def test_a_bare_jpeg_2000_codestream_is_an_other_image() -> None:
    assert _reason(_image("JPEG2000", no_jp2=True), "x") is Reason.UNREADABLE


@given(st.binary(max_size=600), st.text(max_size=20))
def test_any_bytes_under_any_name_get_an_answer(content: bytes, name: str) -> None:
    found = _sniff(content, name)
    assert isinstance(found, FileKind | OtherFile)
    if isinstance(found, OtherFile):
        assert found.detail


@given(st.binary(min_size=8, max_size=200))
def test_random_bytes_are_hardly_ever_dicom(content: bytes) -> None:
    """Without preamble only a first element of group 2 or 8 counts."""
    if _sniff(content) is FileKind.DICOM and content[128:132] != b"DICM":
        assert {struct.unpack("<H", content[:2])[0], struct.unpack(">H", content[:2])[0]} & {2, 8}
