"""Wrong selves are what their names say, and what is drawn follows from its seed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from cxrbatch.bundles.film_check import CLASSES
from cxrbatch.film_check import drawn as drawing
from cxrbatch.film_check.drawn import drawn
from cxrbatch.film_check.pictures import SELVES, inverted_and_turned, restaged

PICTURE = np.random.default_rng(0).random((30, 20)).astype(np.float32)


def by_pillow(name: str) -> np.ndarray:
    """The same by Pillow's names, on 8 bits."""
    image = Image.fromarray(np.round(PICTURE * 255).astype(np.uint8))
    change = {
        "as it is": lambda i: i,
        "inverted": ImageOps.invert,
        "turned by 180°": lambda i: i.transpose(Image.Transpose.ROTATE_180),
        "flipped upside down": ImageOps.flip,
        "turned by 90°": lambda i: i.transpose(Image.Transpose.ROTATE_90),
        "turned by 270°": lambda i: i.transpose(Image.Transpose.ROTATE_270),
    }
    return np.asarray(change[name](image)) / 255.0


@pytest.mark.parametrize("name", SELVES)
def test_wrong_selves_are_what_they_are_called(name: str) -> None:
    label, change = SELVES[name]
    assert label in CLASSES
    np.testing.assert_allclose(change(PICTURE), by_pillow(name), atol=0.5 / 255)


def test_every_class_of_films_has_a_self() -> None:
    assert {label for label, _ in SELVES.values()} == set(CLASSES[:-1])


def test_no_self_is_a_mirrored_film() -> None:
    """Which nobody can tell surely from an upright one."""
    mirrored = PICTURE[:, ::-1]
    for label, change in SELVES.values():
        if label != "upright" and change(PICTURE).shape == mirrored.shape:
            assert not np.array_equal(change(PICTURE), mirrored)


@pytest.mark.parametrize("seed", range(12))
def test_restaged_pictures_are_pictures_and_follow_from_the_seed(seed: int) -> None:
    first, second = (restaged(PICTURE, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    assert first.ndim == 2
    assert min(first.shape) >= 12
    assert first.min() >= 0.0
    assert first.max() <= 1.0


def test_inverted_and_turned_is_both() -> None:
    found = inverted_and_turned(PICTURE, np.random.default_rng(1))
    turned = [1.0 - np.rot90(PICTURE, k) for k in (1, 2, 3)]
    assert any(found.shape == t.shape and np.allclose(found, t) for t in turned)


def test_drawn_pictures_follow_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_SIZE", (60, 52))
    first, second = list(drawn(5, each=1)), list(drawn(5, each=1))
    assert len({source for source, _ in first}) == 6
    for (source, picture), (_, again) in zip(first, second, strict=True):
        np.testing.assert_array_equal(picture, again, err_msg=source)
        assert np.ptp(picture) > 0.05, source
        assert picture.min() >= 0.0
        assert picture.max() <= 1.0
