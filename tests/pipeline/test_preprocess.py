"""Scaling against numpy's arithmetic, and both halves together."""

from __future__ import annotations

import numpy as np
import pytest

from cxrbatch.pipeline.fit import fit_film
from cxrbatch.pipeline.geometry import content_box
from cxrbatch.pipeline.input_spec import Fit, InputSpec, Scaling
from cxrbatch.pipeline.preprocess import IMAGENET_MEAN, IMAGENET_STD, make_scale, preprocess_one


def _film(rows: int, columns: int) -> np.ndarray:
    smooth = np.add.outer(np.linspace(0, 1, rows), np.linspace(0, 1, columns) ** 2) / 2
    noise = np.random.default_rng(7).normal(0, 0.02, (rows, columns))
    return (np.clip(smooth + noise, 0, 1) * 65535).astype(np.uint16)


def _spec(**changes: object) -> InputSpec:
    return InputSpec(
        **({"height": 64, "width": 64, "channels": 1, "scaling": "unit", "fit": "pad"} | changes)
    )


def test_stretched_film_fills_the_input() -> None:
    film = np.full((100, 30), 65535, np.uint16)
    assert preprocess_one(film, _spec(fit=Fit.STRETCH)).min() == pytest.approx(1.0)


def test_imagenet_scaling_is_per_channel() -> None:
    film = np.full((64, 64), 32768, np.uint16)
    grey = 32768 / 65535
    expected = [(grey - m) / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    result = preprocess_one(film, _spec(channels=3, scaling=Scaling.IMAGENET))
    np.testing.assert_allclose(result[10, 10], expected, atol=1e-5)


def test_standardised_film_has_mean_zero_and_deviation_one() -> None:
    result = preprocess_one(_film(64, 64), _spec(scaling=Scaling.STANDARDISE))
    assert result.mean() == pytest.approx(0, abs=1e-4)
    assert result.std() == pytest.approx(1, abs=1e-3)


def test_standardised_film_without_contrast_is_finite() -> None:
    assert np.isfinite(preprocess_one(_film(8, 8) * 0, _spec(scaling=Scaling.STANDARDISE))).all()


def test_xrv_range() -> None:
    film = np.array([[0, 65535]], np.uint16).repeat(64, 0).repeat(32, 1)
    result = preprocess_one(film, _spec(scaling=Scaling.XRV, fit=Fit.STRETCH))
    assert (result.min(), result.max()) == (-1024.0, 1024.0)


def test_box_lies_inside_the_input_and_keeps_the_aspect() -> None:
    box = content_box(1955, 1841, _spec(height=320, width=320))
    assert (box.top, box.height) == (0, 320)
    assert box.width == round(1841 * 320 / 1955)
    assert box.left == (320 - box.width) // 2


def test_function_can_be_mapped_over_fitted_films() -> None:
    import tensorflow as tf

    spec = _spec(channels=3, scaling=Scaling.IMAGENET)
    films = [_film(30, 40), _film(80, 70)]
    fitted = np.stack([fit_film(film, spec) for film in films])[..., np.newaxis]
    data = tf.data.Dataset.from_tensor_slices(fitted).map(make_scale(spec))
    for film, result in zip(films, data.as_numpy_iterator(), strict=True):
        np.testing.assert_allclose(result, preprocess_one(film, spec), atol=1e-6)
