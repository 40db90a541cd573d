"""One PNG or JPEG to a grey image, through Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.limits import require_size
from cxrbatch.radiographs.luminance import COLOUR_NOTE, is_colour, luminance
from cxrbatch.radiographs.radiograph import Radiograph, RadiographError

_FORMAT = {FileKind.PNG: "PNG", FileKind.JPEG: "JPEG"}
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I")


def read_raster(data: bytes, kind: FileKind) -> Radiograph:
    """Render a PNG or JPEG: an 8-bit grey v becomes ``257 * v``; colour becomes luminance; transparency
    lies on black; an EXIF orientation is carried out. Raises `RadiographError`.

    A 16-bit grey file whose greatest value needs fewer bits (12-bit data, say) is scaled by those bits.
    """
    image, notes = _load(data, kind)
    if image.mode in DEEP_MODES:
        pixels, deep_notes = _deep_grey(image)
        return Radiograph(pixels, notes + deep_notes)
    alpha: NDArray[np.uint8] | None = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = np.asarray(image)[..., 3]
    if image.mode in ("1", "L"):
        pixels = np.asarray(image.convert("L")).astype(np.uint16) * np.uint16(257)
    else:
        rgb = np.asarray(image.convert("RGB"))
        pixels = luminance(rgb, 8)
        if is_colour(rgb, 8):
            notes += (COLOUR_NOTE,)
    if alpha is not None:
        pixels = ((pixels.astype(np.uint32) * alpha + 127) // 255).astype(np.uint16)
    return Radiograph(pixels, notes)


def _load(data: bytes, kind: FileKind) -> tuple[Image.Image, tuple[str, ...]]:
    """The decoded and upright image."""
    name = _FORMAT[kind]
    try:
        with whole_files_only():
            image = Image.open(BytesIO(data), formats=[name])
            require_size(image.height, image.width, len(image.getbands()))
            image.load()
    except Image.DecompressionBombError:
        raise RadiographError(Reason.TOO_LARGE, f"The {name} claims more pixels than are read.") from None
    except (RadiographError, MemoryError):
        raise
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error ...
        raise RadiographError(
            Reason.DECODE_FAILED, f"The {name} is damaged or truncated ({type(error).__name__})."
        ) from None
    return _upright(image, _depth_notes(data, kind))


@contextmanager
def whole_files_only() -> Iterator[None]:
    """Within the block Pillow refuses truncated files, whatever another library has told it.

    WeasyPrint sets this global to True when it is imported, and the processes that decode are forked from
    one that has imported it: half a film would be scored with its other half grey.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _depth_notes(data: bytes, kind: FileKind) -> tuple[str, ...]:
    """Pillow keeps 16 bits for plain grey only. IHDR: depth is byte 24, colour type byte 25 (PNG 11.2.1)."""
    if kind is FileKind.PNG and len(data) > 25 and data[24] == 16 and data[25] != 0:
        return ("The PNG has 16 bits a channel with colour or transparency; it was read at 8 bits.",)
    return ()


def _upright(image: Image.Image, notes: tuple[str, ...]) -> tuple[Image.Image, tuple[str, ...]]:
    try:
        return ImageOps.exif_transpose(image), notes
    except Exception:  # Exif data can be broken in any way; the picture itself is fine
        return image, (*notes, "The Exif orientation cannot be read; the picture is shown as stored.")


def _deep_grey(image: Image.Image) -> tuple[NDArray[np.uint16], tuple[str, ...]]:
    pixels = np.asarray(image).astype(np.uint16)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        pixels = np.where(pixels == transparent, np.uint16(0), pixels)
    bits = max(8, int(pixels.max()).bit_length())
    if bits == 16:
        return pixels, ()
    top = (1 << bits) - 1
    table = ((np.arange(top + 1, dtype=np.uint32) * 65535 * 2 + top) // (2 * top)).astype(np.uint16)
    return table[pixels], (f"The 16-bit picture uses {bits} bits only; it was scaled by those.",)
