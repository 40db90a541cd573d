"""Pictures of no chest that need no files: phantoms from other sides, text pages, noise, drawings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cxrbatch.film_check.pictures import Picture
from cxrbatch.sample.lateral import lateral
from cxrbatch.sample.limb import hand

_SIZE = (480, 420)
_WORDS = (
    "The", "patient", "was", "seen", "in", "our", "chest", "examination", "without", "contrast", "department",
    "No", "change", "since", "the", "last", "Name", "Date", "Ward", "Signature", "12", "34", "2026",
)  # fmt: skip


def drawn(seed: int, each: int = 40) -> Iterator[tuple[str, Picture]]:
    """(source, picture): `each` of every source, drawn from `seed`."""
    for number, (source, draw) in enumerate(_SOURCES.items()):
        for count in range(each):
            yield source, draw(np.random.default_rng([seed, number, count]))


def _lateral(random: np.random.Generator) -> Picture:
    return np.asarray(lateral(int(random.integers(1 << 30)), _SIZE), np.float32)


def _hand(random: np.random.Generator) -> Picture:
    return np.asarray(hand(int(random.integers(1 << 30)), _SIZE), np.float32)


def _text_page(random: np.random.Generator) -> Picture:
    columns, rows = (int(side) for side in random.integers(400, 900, 2))
    page = Image.new("L", (columns, rows), 255)
    pen = ImageDraw.Draw(page)
    size = int(random.integers(10, 30))
    font = ImageFont.load_default(size)
    top = 20.0
    while top < rows - size and random.random() > 0.02:
        line = ""
        while pen.textlength(line, font=font) < (columns - 90) * random.uniform(0.4, 1.0):
            line += f"{random.choice(_WORDS)} "
        pen.text((30, top), line, font=font, fill=0)
        top += size * 1.4
    return np.asarray(page, np.float32) / 255.0


def _noise(random: np.random.Generator) -> Picture:
    side = int(random.choice((4, 8, 16, 32, 64, 128, 320)))
    grains = random.random((side, side)) if random.random() < 0.5 else random.normal(0.5, 0.2, (side, side))
    picture = Image.fromarray(np.clip(grains, 0.0, 1.0).astype(np.float32))
    return np.clip(np.asarray(picture.resize((320, 320), Image.Resampling.BICUBIC)), 0.0, 1.0)


def _shapes(random: np.random.Generator) -> Picture:
    canvas = Image.new("L", (320, 320), int(random.integers(0, 256)))
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(random.integers(1, 12))):
        left, top = (int(place) for place in random.integers(-40, 320, 2))
        width, height = (int(side) for side in random.integers(10, 260, 2))
        draw = pen.ellipse if random.random() < 0.6 else pen.rectangle
        draw((left, top, left + width, top + height), fill=int(random.integers(0, 256)))
    return np.asarray(canvas, np.float32) / 255.0


def _waves(random: np.random.Generator) -> Picture:
    """A gradient or stripes."""
    y, x = np.mgrid[0.0:1.0:320j, 0.0:1.0:320j]
    angle = random.uniform(0.0, 2.0 * np.pi)
    slope = np.cos(angle) * x + np.sin(angle) * y
    wave = np.sin(slope * random.uniform(3.0, 80.0)) if random.random() < 0.5 else slope
    return ((wave - wave.min()) / np.ptp(wave)).astype(np.float32)


_SOURCES: dict[str, Callable[[np.random.Generator], Picture]] = {
    "lateral phantom": _lateral,
    "hand phantom": _hand,
    "text page": _text_page,
    "noise": _noise,
    "shapes": _shapes,
    "stripes and gradients": _waves,
}
