"""Pictures to learn from: a film as other departments might frame and print it, and its wrong selves.

A picture is float32 (rows, columns) in [0, 1], 0 black. Every change follows from the generator it is given.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.float32]

SELVES: dict[str, tuple[str, Callable[[Picture], Picture]]] = {
    "as it is": ("upright", lambda picture: picture),
    "inverted": ("inverted", lambda picture: 1.0 - picture),
    "turned by 180°": ("upside_down", lambda picture: picture[::-1, ::-1]),
    "flipped upside down": ("upside_down", lambda picture: picture[::-1]),
    "turned by 90°": ("sideways", lambda picture: np.rot90(picture, 1)),
    "turned by 270°": ("sideways", lambda picture: np.rot90(picture, 3)),
}
"""By name: the class (`bundles.film_check.CLASSES`) and how it is made of an upright film."""


def inverted_and_turned(picture: Picture, random: np.random.Generator) -> Picture:
    """Inverted, and turned by 90, 180 or 270 degrees: counts as inverted."""
    return np.asarray(1.0 - np.rot90(picture, int(random.integers(1, 4))), np.float32)


def restaged(picture: Picture, random: np.random.Generator, crop: float = 0.12) -> Picture:
    """The same subject, framed, turned by a few degrees, mirrored, collimated, blurred and printed otherwise.

    `crop` is the largest share that is cut off a side.
    """
    framed = _framed(picture, random, crop)
    if random.random() < 0.3:
        framed = _blurred(framed, int(random.choice((48, 64, 96, 128, 192))))
    return _printed(framed, random)


def _framed(picture: Picture, random: np.random.Generator, crop: float) -> Picture:
    rows, columns = picture.shape
    top, bottom, left, right = random.uniform(0.0, crop, 4) * (random.random(4) < 0.6)
    framed = picture[int(top * rows) : rows - int(bottom * rows), int(left * columns) :]
    framed = framed[:, : framed.shape[1] - int(right * columns)]
    if random.random() < 0.7:
        angle = float(random.uniform(-7.0, 7.0))
        framed = np.asarray(Image.fromarray(framed).rotate(angle, Image.Resampling.BILINEAR))
    if random.random() < 0.5:
        framed = framed[:, ::-1]
    if random.random() < 0.25:
        margins = (random.uniform(0.0, 0.08, (2, 2)) * np.array(framed.shape)[:, None]).astype(int)
        framed = np.pad(framed, margins, constant_values=float(random.choice((0.0, 0.0, 1.0))))
    return np.ascontiguousarray(framed, np.float32)


def _blurred(picture: Picture, side: int) -> Picture:
    """Reduced so that its longer side has `side` pixels, as thumbnails are; smaller ones stay."""
    rows, columns = picture.shape
    scale = side / max(rows, columns)
    if scale >= 1.0:
        return picture
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR), np.float32)


def _printed(picture: Picture, random: np.random.Generator) -> Picture:
    """Another gamma, contrast and brightness, and some noise."""
    printed = np.clip(picture, 0.0, 1.0)
    if random.random() < 0.8:
        printed = printed ** float(np.exp(random.uniform(-0.55, 0.55)))
        contrast, shift = float(np.exp(random.uniform(-0.35, 0.35))), float(random.uniform(-0.12, 0.12))
        printed = (printed - 0.5) * contrast + 0.5 + shift
    if random.random() < 0.2:
        grain = random.normal(0.0, random.uniform(0.0, 0.05), printed.shape)
        printed = printed + grain.astype(np.float32)
    return np.clip(printed, 0.0, 1.0).astype(np.float32)
