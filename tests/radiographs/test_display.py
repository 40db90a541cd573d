"""The picture for reports: size, aspect, greys and antialiasing, by decoding it again."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cxrbatch.radiographs.display import display_jpeg


def shown(pixels: np.ndarray, **options) -> Image.Image:
    image = Image.open(io.BytesIO(display_jpeg(pixels, **options)))
    assert (image.format, image.mode) == ("JPEG", "L")
    return image


@pytest.mark.parametrize(
    ("shape", "longest", "size"),
    [
        ((1955, 1841), 1024, (964, 1024)),
        ((300, 3000), 1000, (1000, 100)),
        ((3000, 300), 1000, (100, 1000)),
        ((200, 100), 1024, (100, 200)),
        ((1024, 1024), 1024, (1024, 1024)),
        ((1, 5000), 100, (100, 1)),
        ((1, 1), 100, (1, 1)),
    ],
)
def test_size_and_aspect(shape, longest, size):
    assert shown(np.zeros(shape, np.uint16), longest=longest).size == size


def test_greys_are_the_high_bytes():
    pixels = np.repeat(np.repeat(np.arange(0, 65536, 4369, dtype=np.uint16), 32)[None], 64, axis=0)
    seen = np.asarray(shown(pixels, quality=100)).astype(int)
    assert np.abs(seen - pixels // 257).max() <= 2


def test_reduction_averages_instead_of_picking():
    """A fine black and white chessboard becomes an even grey, not stripes."""
    board = (np.indices((1000, 1000)).sum(axis=0) % 2).astype(np.uint16) * 65535
    seen = np.asarray(shown(board, longest=250)).astype(int)
    assert np.abs(seen - 127).max() <= 3


def test_lower_quality_is_smaller():
    pixels = np.random.default_rng(1).integers(0, 65536, (400, 400)).astype(np.uint16)
    assert len(display_jpeg(pixels, quality=40)) < len(display_jpeg(pixels, quality=90))


def test_a_view_that_is_not_contiguous():
    pixels = np.random.default_rng(1).integers(0, 65536, (50, 60)).astype(np.uint16)
    assert display_jpeg(pixels[::-1, ::2]) == display_jpeg(np.ascontiguousarray(pixels[::-1, ::2]))


@pytest.mark.parametrize("shape", [(1955, 1841), (3001, 2507), (1103, 1031), (5000, 77)])
def test_reduced_by_boxes_as_pillow_does(shape, monkeypatch):
    """Before the JPEG, and within the one grey that Pillow's rounding after each of its two passes can make.

    At these sizes Pillow puts no pixel whose centre lies on a border into both boxes, or into none.
    """
    pictures = []
    monkeypatch.setattr(Image.Image, "save", lambda image, *_, **__: pictures.append(image.copy()))
    pixels = np.random.default_rng(2).integers(0, 65536, shape).astype(np.uint16)
    display_jpeg(pixels)
    eight = Image.fromarray((pixels >> 8).astype(np.uint8))
    expected = np.asarray(eight.resize(pictures[0].size, Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(pictures[0]) - expected).max() <= 1
