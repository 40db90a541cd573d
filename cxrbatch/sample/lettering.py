"""What is burned into the picture: that it is a phantom, and which side is the patient's left."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cxrbatch.sample.grid import Plane

NOTICE = "PHANTOM - SYNTHETIC, NOT A PATIENT"


def notice_box(rows: int, cols: int) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) in pixels of the strip at whose left end the notice stands."""
    margin = max(4, rows // 100)
    height = max(10, round(rows / 64))
    return rows - margin - height - 4, rows - margin, margin, cols - margin


def burn_in(film: Plane, marker: str = "L") -> Plane:
    """The film (display values, 0..1) with the notice at its lower left and `marker` at its upper right.

    The notice gets a dark ground of its own, so that it can be read on any film.
    """
    rows, cols = film.shape
    image = Image.fromarray(film.astype(np.float32))
    draw = ImageDraw.Draw(image)
    top, bottom, left, right = notice_box(rows, cols)
    size = bottom - top - 4
    font = ImageFont.load_default(size)
    while size > 6 and font.getlength(NOTICE) > right - left - 8:
        size -= 1
        font = ImageFont.load_default(size)
    draw.rectangle((left, top, left + 8 + font.getlength(NOTICE), bottom), fill=0.0)
    draw.text((left + 4, (top + bottom) / 2), NOTICE, fill=0.95, font=font, anchor="lm")
    if marker:
        big = ImageFont.load_default(max(12, rows // 24))
        draw.text((cols * 0.95, rows * 0.05), marker, fill=0.97, font=big, anchor="rt")
    return np.clip(np.asarray(image, np.float32), 0, 1)
