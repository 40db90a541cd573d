"""PNG and JPEG in every colour type and depth, against Pillow's own idea of them and by hand."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs import limits
from cxrbatch.radiographs.radiograph import Radiograph, RadiographError
from cxrbatch.radiographs.read import read_radiograph

RNG = np.random.default_rng(8)
GREY = RNG.integers(0, 256, (23, 31)).astype(np.uint8)
RGB = RNG.integers(0, 256, (23, 31, 3)).astype(np.uint8)
ALPHA = RNG.integers(0, 256, (23, 31)).astype(np.uint8)
BT601 = np.array([0.299, 0.587, 0.114])


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(data: bytes) -> Radiograph:
    return read_radiograph(data, FileKind.PNG)


def jpeg(data: bytes) -> Radiograph:
    return read_radiograph(data, FileKind.JPEG)


def hand_made_png(
    rows: np.ndarray, depth: int, colour: int, width: int, *chunks: tuple[bytes, bytes]
) -> bytes:
    """A PNG from packed bytes of each row (PNG 11.2): what Pillow cannot write itself."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    body = b"".join(chunk(*c) for c in chunks)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + body
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def test_eight_bit_grey_is_times_257():
    result = png(saved(Image.fromarray(GREY)))
    np.testing.assert_array_equal(result.pixels, GREY.astype(np.uint16) * 257)
    assert result.notes == ()


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_span_the_whole_range(depth):
    values = RNG.integers(0, 1 << depth, (9, 16))
    bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
    packed = np.packbits(bits.reshape(9, -1).astype(np.uint8), axis=1)
    result = png(hand_made_png(packed, depth, 0, 16))
    np.testing.assert_array_equal(result.pixels, values * (65535 // ((1 << depth) - 1)))


def test_sixteen_bit_grey_is_kept():
    deep = RNG.integers(0, 65536, (23, 31)).astype(np.uint16)
    deep[0, 0] = 65535
    result = png(saved(Image.fromarray(deep)))
    np.testing.assert_array_equal(result.pixels, deep)
    assert result.notes == ()


@pytest.mark.parametrize("bits", range(8, 16))
def test_fewer_bits_in_a_sixteen_bit_file_are_scaled_with_a_note(bits):
    top = (1 << bits) - 1
    deep = RNG.integers(0, top + 1, (23, 31)).astype(np.uint16)
    deep[0, 0] = top
    result = png(saved(Image.fromarray(deep)))
    np.testing.assert_allclose(result.pixels, deep / top * 65535, atol=0.51)
    assert f"{bits} bits" in result.notes[0]


def test_an_empty_sixteen_bit_picture_is_black():
    assert png(saved(Image.fromarray(np.zeros((4, 5), np.uint16)))).pixels.max() == 0


def test_colour_becomes_luminance_with_a_note():
    result = png(saved(Image.fromarray(RGB)))
    np.testing.assert_allclose(result.pixels, RGB @ BT601 * 257, atol=2)
    assert "colour" in result.notes[0]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_in_any_mode_is_the_same_grey_without_a_note(mode):
    image = Image.fromarray(GREY)
    palette = image.convert("P") if mode == "P" else image.convert(mode)
    result = png(saved(palette))
    np.testing.assert_array_equal(result.pixels, GREY.astype(np.uint16) * 257)
    assert result.notes == ()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_lies_on_black(mode):
    image = Image.fromarray(GREY).convert(mode)
    image.putalpha(Image.fromarray(ALPHA))
    expected = GREY.astype(float) * 257 * (ALPHA / 255)
    np.testing.assert_allclose(png(saved(image)).pixels, expected, atol=0.51)


def test_a_transparent_palette_entry_is_black():
    image = Image.fromarray(GREY).convert("P")
    result = png(saved(image, transparency=200))
    shown = np.asarray(image.convert("L"))
    expected = np.where(np.asarray(image) == 200, 0, shown).astype(np.uint16) * 257
    np.testing.assert_array_equal(result.pixels, expected)


def test_a_transparent_grey_is_black_in_eight_and_sixteen_bits():
    eight = hand_made_png(GREY, 8, 0, 31, (b"tRNS", struct.pack(">H", int(GREY[3, 3]))))
    expected = np.where(GREY[3, 3] == GREY, 0, GREY).astype(np.uint16) * 257
    np.testing.assert_array_equal(png(eight).pixels, expected)
    deep = RNG.integers(32768, 65536, (5, 6)).astype(np.uint16)
    keyed = hand_made_png(deep.astype(">u2"), 16, 0, 6, (b"tRNS", struct.pack(">H", int(deep[2, 2]))))
    np.testing.assert_array_equal(png(keyed).pixels, np.where(deep == deep[2, 2], 0, deep))


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_colour_is_read_at_eight_with_a_note(colour, channels):
    deep = np.repeat(RNG.integers(0, 65536, (5, 6, 1)), channels, axis=2).astype(">u2")
    if channels in (2, 4):
        deep[..., -1] = 65535
    result = png(hand_made_png(deep.reshape(5, -1), 16, colour, 6))
    np.testing.assert_allclose(result.pixels, deep[..., 0].astype(int), atol=257)
    assert "8 bits" in result.notes[0]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_agrees_with_pillow(mode):
    smooth = Image.fromarray(GREY).resize((90, 70)).convert(mode)
    data = saved(smooth, "JPEG", quality=95)
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").convert("L")).astype(int)
    result = jpeg(data)
    assert np.abs(result.pixels / 257 - shown).max() <= 1
    assert result.notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_exif_orientation_is_carried_out(kind, orientation):
    """The eight cases of Exif 2.3, table 4.6.4 A, by hand on a picture whose corners differ."""
    image = Image.fromarray(
        np.kron(np.array([[0, 80, 160], [200, 240, 40]], np.uint8), np.ones((32, 32), np.uint8))
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a.T[::-1, ::-1],
        8: lambda a: np.rot90(a),
    }[orientation](np.asarray(image))
    result = read_radiograph(
        saved(image, kind, exif=exif, **({} if kind == "PNG" else {"quality": 100})), FileKind[kind]
    )
    assert result.pixels.shape == upright.shape
    assert np.abs(result.pixels / 257 - upright).max() < 6


def test_broken_exif_does_not_cost_the_picture():
    data = saved(Image.fromarray(GREY), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40)
    assert jpeg(data).pixels.shape == GREY.shape


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_file_is_never_half_a_picture(kind, kept):
    image = Image.fromarray(RNG.integers(0, 256, (200, 300)).astype(np.uint8))
    data = saved(image, kind)
    with pytest.raises(RadiographError) as caught:
        read_radiograph(data[: int(len(data) * kept)], FileKind[kind])
    assert caught.value.reason is Reason.DECODE_FAILED
    assert kind in caught.value.detail


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_half_a_file_is_refused_whatever_another_library_tells_pillow(kind, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as WeasyPrint does
    data = saved(Image.fromarray(RNG.integers(0, 256, (200, 300)).astype(np.uint8)), kind)
    with pytest.raises(RadiographError) as caught:
        read_radiograph(data[: len(data) // 2], FileKind[kind])
    assert caught.value.reason is Reason.DECODE_FAILED
    assert ImageFile.LOAD_TRUNCATED_IMAGES, "what others asked for is left as it was"


def test_a_file_of_the_other_kind_is_not_read():
    with pytest.raises(RadiographError):
        jpeg(saved(Image.fromarray(GREY)))


@pytest.mark.parametrize("size", [(20_000, 20_000), (60_000, 60_000)])
def test_a_bomb_is_too_large_by_its_header_alone(size):
    bomb = hand_made_png(np.zeros((1, 10), np.uint8), 8, 0, size[0])
    bomb = bomb[:20] + struct.pack(">I", size[1]) + bomb[24:]
    fixed = bomb[:29] + struct.pack(">I", zlib.crc32(bomb[12:29])) + bomb[33:]
    with pytest.raises(RadiographError) as caught:
        png(fixed)
    assert caught.value.reason is Reason.TOO_LARGE


def test_the_limit_counts_samples(monkeypatch):
    monkeypatch.setattr(limits, "MAX_PIXELS", GREY.size * 2)
    png(saved(Image.fromarray(GREY)))
    with pytest.raises(RadiographError, match="3 samples"):
        png(saved(Image.fromarray(RGB)))
