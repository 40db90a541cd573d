"""Fitting films to an input: against TensorFlow's resize, Pillow's in floating point, and exact values."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrbatch.pipeline.fit import fit_film
from cxrbatch.pipeline.geometry import content_box
from cxrbatch.pipeline.input_spec import Fit, InputSpec

SHAPES = [
    (200, 150), (150, 200), (512, 512), (40, 50), (64, 64), (151, 200), (401, 40),
    (1, 1), (1, 300), (300, 1), (7, 3000), (3000, 7), (1955, 1841),
]  # fmt: skip


def _film(rows: int, columns: int) -> np.ndarray:
    smooth = np.add.outer(np.linspace(0, 1, rows), np.linspace(0, 1, columns) ** 2) / 2
    noise = np.random.default_rng(7).normal(0, 0.02, (rows, columns))
    return (np.clip(smooth + noise, 0, 1) * 65535).astype(np.uint16)


def _spec(fit: Fit, height: int = 64, width: int = 64) -> InputSpec:
    return InputSpec(height=height, width=width, channels=1, scaling="unit", fit=fit)


def _part_seen(film: np.ndarray, spec: InputSpec) -> np.ndarray:
    """What a crop to the input's proportions leaves, as torchxrayvision's XRayCenterCrop (square inputs)."""
    if spec.fit is not Fit.CROP:
        return film
    side = min(film.shape)
    top, left = film.shape[0] // 2 - side // 2, film.shape[1] // 2 - side // 2
    return film[top : top + side, left : left + side]


def _expected(film: np.ndarray, spec: InputSpec, resize) -> np.ndarray:
    if spec.fit is not Fit.PAD:
        return resize(_part_seen(film, spec), spec.height, spec.width)
    box = content_box(*film.shape, spec)
    expected = np.zeros((spec.height, spec.width))
    expected[box.top : box.top + box.height, box.left : box.left + box.width] = resize(
        film, box.height, box.width
    )
    return expected


def by_tensorflow(film: np.ndarray, rows: int, columns: int) -> np.ndarray:
    grey = tf.cast(film[..., np.newaxis], tf.float32) / 65535.0
    return tf.image.resize(grey, (rows, columns), antialias=True).numpy()[..., 0]


def by_pillow(film: np.ndarray, rows: int, columns: int) -> np.ndarray:
    grey = Image.fromarray(film.astype(np.float32) / 65535)
    return np.asarray(grey.resize((columns, rows), Image.Resampling.BILINEAR))


def exactly(film: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The formula in float64: triangles around each pixel's middle, as wide as the picture is reduced."""

    def weights(length: int, wanted: int) -> np.ndarray:
        scale = length / wanted
        middles = (np.arange(wanted) + 0.5) * scale - 0.5
        away = np.abs(np.arange(length) - middles[:, np.newaxis]) / max(scale, 1.0)
        triangles = np.maximum(0.0, 1.0 - away)
        return triangles / triangles.sum(axis=1, keepdims=True)

    return weights(film.shape[0], rows) @ (film / 65535.0) @ weights(film.shape[1], columns).T


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize("shape", SHAPES)
def test_film_is_resized_as_tensorflow_and_pillow_do(shape: tuple[int, int], fit: Fit) -> None:
    """TensorFlow's own weights are float32: it is up to 1e-5 from the exact values, Pillow 1e-7."""
    film, spec = _film(*shape), _spec(fit)
    result = fit_film(film, spec)
    assert (result.dtype, result.shape) == (np.float32, (64, 64))
    np.testing.assert_allclose(result, _expected(film, spec, by_tensorflow), atol=2e-5, rtol=0)
    np.testing.assert_allclose(result, _expected(film, spec, by_pillow), atol=1e-6, rtol=0)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from(list(Fit)),
)
def test_rounding_stays_in_the_last_bits(rows: int, columns: int, height: int, width: int, fit: Fit) -> None:
    film = np.random.default_rng(rows).integers(0, 65536, (rows, columns), np.uint16)
    result = fit_film(film, spec := _spec(fit, height, width))
    assert result.min() >= 0.0
    assert result.max() <= 1.0
    if fit is not Fit.CROP:
        np.testing.assert_allclose(result, _expected(film, spec, exactly), atol=1e-6, rtol=0)


def test_a_large_film_is_nearer_to_the_exact_values_than_by_tensorflow() -> None:
    film, spec = _film(1955, 1841), _spec(Fit.PAD, 320, 320)
    exact = _expected(film, spec, exactly)
    ours = np.abs(fit_film(film, spec) - exact).max()
    theirs = np.abs(_expected(film, spec, by_tensorflow) - exact).max()
    assert ours < theirs
    assert ours < 1e-6


def test_film_of_the_inputs_size_is_not_changed() -> None:
    film = _film(64, 64)
    for fit in Fit:
        np.testing.assert_allclose(fit_film(film, _spec(fit)), film / 65535.0, atol=1e-7, rtol=0)


def test_the_same_film_gives_the_same_bytes() -> None:
    film, spec = _film(977, 920), _spec(Fit.PAD, 320, 320)
    assert len({fit_film(film.copy(), spec).tobytes() for _ in range(5)}) == 1
    assert fit_film(film[:, ::-1], spec).tobytes() == fit_film(film[:, ::-1].copy(), spec).tobytes()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700))
def test_only_the_centre_of_a_cropped_film_is_seen(rows: int, columns: int) -> None:
    """A film that is white in what the crop shows, and nowhere else, gives a white input."""
    spec = _spec(Fit.CROP)
    film = np.zeros((rows, columns), np.uint16)
    _part_seen(film, spec)[:] = 65535
    np.testing.assert_allclose(fit_film(film, spec), 1.0, atol=1e-6)
