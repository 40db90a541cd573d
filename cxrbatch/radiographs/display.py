"""The picture of a radiograph that reports show."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxrbatch.radiographs.resample import Filter, resample

LONGEST = 1024
"""Pixels of the longer side of a display picture."""


def display_size(rows: int, columns: int, longest: int = LONGEST) -> tuple[int, int]:
    """(rows, columns) of the display picture of a film: reduced, never enlarged."""
    scale = min(1.0, longest / max(rows, columns))
    return max(1, round(rows * scale)), max(1, round(columns * scale))


def display_jpeg(pixels: NDArray[np.uint16], longest: int = LONGEST, quality: int = 90) -> bytes:
    """An 8-bit grey JPEG of `pixels` (uint16, (rows, columns), 0 black .. 65535 white).

    Its longer side has at most `longest` pixels: the picture is reduced with antialiasing, never enlarged,
    and keeps its aspect.
    """
    eight = np.empty(pixels.shape, dtype=np.uint8)
    np.right_shift(pixels, 8, out=eight, casting="unsafe")  # v * 257 >> 8 is v again
    buffer = BytesIO()
    Image.fromarray(reduced(eight, longest, Filter.BOX)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def reduced(grey: NDArray[np.uint8], longest: int, by: Filter) -> NDArray[np.uint8]:
    """A picture (rows, columns) whose longer side has at most `longest` pixels; a smaller one as it is."""
    rows, columns = grey.shape
    size = display_size(rows, columns, longest)
    if size == (rows, columns):
        return grey
    return (resample(grey, *size, by) + np.float32(0.5)).astype(np.uint8)


def left_out_jpeg(rows: int, columns: int, longest: int = 1024) -> bytes:
    """What is shown in place of a film of this size whose pixels must not be: black, and saying so."""
    scale = min(1.0, longest / max(rows, columns))
    image = Image.new("L", (max(1, round(columns * scale)), max(1, round(rows * scale))))
    words = "Picture left out: text may be\nburned into its pixels."
    middle = (image.width / 2, image.height / 2)
    ImageDraw.Draw(image).multiline_text(
        middle, words, fill=160, anchor="mm", align="center", font_size=max(8, image.width / 24)
    )
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
