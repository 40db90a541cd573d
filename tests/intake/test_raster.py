"""Sizes of PNG and JPEG files, against Pillow that wrote them."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from cxrbatch.intake.dicom_stream import HeaderError
from cxrbatch.intake.raster import read_size
from cxrbatch.intake.records import FileKind


def _encoded(format_: str, mode: str = "L", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (37, 21)).save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16", "1"])
def test_png(mode: str) -> None:
    assert read_size(io.BytesIO(_encoded("PNG", mode)), FileKind.PNG) == (21, 37)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"exif": b"Exif\0\0" + bytes(3000)}, {"comment": b"c" * 99}]
)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(mode: str, options: dict[str, object]) -> None:
    assert read_size(io.BytesIO(_encoded("JPEG", mode, **options)), FileKind.JPEG) == (21, 37)


@pytest.mark.parametrize("kind", [FileKind.PNG, FileKind.JPEG])
def test_every_cut_is_an_error_or_the_right_size(kind: FileKind) -> None:
    content = _encoded(kind.value.upper())
    sizes = {_size_or_error(content[:end], kind) for end in range(3, len(content) + 1)}
    assert sizes == {"error", (21, 37)}


def _size_or_error(content: bytes, kind: FileKind) -> tuple[int, int] | str:
    try:
        return read_size(io.BytesIO(content), kind)
    except HeaderError:
        return "error"


def test_a_lossless_jpeg_says_what_to_do() -> None:
    lossless = b"\xff\xd8\xff\xc3\x00\x0b\x08\x00\x15\x00\x25\x01\x01\x11\x00"
    with pytest.raises(HeaderError, match="convert"):
        read_size(io.BytesIO(lossless), FileKind.JPEG)
