"""Preprocessing against Pillow's resampling and numpy's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrbatch.pipeline.geometry import content_box, seen_part
from cxrbatch.pipeline.input_spec import Fit, InputSpec, Scaling
from cxrbatch.pipeline.preprocess import IMAGENET_MEAN, IMAGENET_STD, make_preprocess, preprocess_one


def _film(rows: int, columns: int) -> np.ndarray:
    smooth = np.add.outer(np.linspace(0, 1, rows), np.linspace(0, 1, columns) ** 2) / 2
    noise = np.random.default_rng(7).normal(0, 0.02, (rows, columns))
    return (np.clip(smooth + noise, 0, 1) * 65535).astype(np.uint16)


def _spec(**changes: object) -> InputSpec:
    return InputSpec(
        **({"height": 64, "width": 64, "channels": 1, "scaling": "unit", "fit": "pad"} | changes)
    )


@pytest.mark.parametrize(("rows", "columns"), [(200, 150), (150, 200), (512, 512), (40, 50)])
def test_padded_film_equals_pillows_bilinear_reduction(rows: int, columns: int) -> None:
    film, spec = _film(rows, columns), _spec()
    box = content_box(rows, columns, spec)
    resized = Image.fromarray(film.astype(np.float32) / 65535).resize(
        (box.width, box.height), Image.Resampling.BILINEAR
    )
    expected = np.zeros((64, 64), np.float32)
    expected[box.top : box.top + box.height, box.left : box.left + box.width] = np.asarray(resized)
    assert np.abs(preprocess_one(film, spec)[..., 0] - expected).max() < 2e-3


@pytest.mark.parametrize(("rows", "columns"), [(200, 150), (151, 200), (512, 512), (401, 40), (64, 64)])
def test_cropped_film_equals_pillows_reduction_of_its_centre(rows: int, columns: int) -> None:
    film = _film(rows, columns)
    side = min(rows, columns)
    top, left = rows // 2 - side // 2, columns // 2 - side // 2  # torchxrayvision's XRayCenterCrop
    square = film[top : top + side, left : left + side].astype(np.float32) / 65535
    expected = np.asarray(Image.fromarray(square).resize((64, 64), Image.Resampling.BILINEAR))
    assert np.abs(preprocess_one(film, _spec(fit=Fit.CROP))[..., 0] - expected).max() < 2e-3


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700))
def test_graph_and_geometry_agree_on_what_is_seen_of_a_cropped_film(rows: int, columns: int) -> None:
    import tensorflow as tf

    from cxrbatch.pipeline.preprocess import _seen

    spec = _spec(height=320, width=288, fit=Fit.CROP)
    place = np.stack(np.mgrid[:rows, :columns], axis=-1).astype(np.float32)
    seen = seen_part(rows, columns, spec)
    for axis, start, length in ((0, seen.top, seen.rows), (1, seen.left, seen.columns)):
        found = _seen(tf.constant(place[..., axis : axis + 1]), spec).numpy()[..., 0]
        assert found.shape == (seen.rows, seen.columns)
        assert (found.min(), found.max()) == (start, start + length - 1)
    assert rows / columns >= 320 / 288 or seen.rows == rows
    assert rows / columns <= 320 / 288 or seen.columns == columns


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


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000))
def test_graph_and_geometry_agree_on_where_the_film_lies(rows: int, columns: int) -> None:
    from cxrbatch.pipeline.preprocess import _fitted

    spec = _spec(height=320, width=288)
    box = content_box(rows, columns, spec)
    height, width = _fitted((rows, columns), spec)
    assert (int(height), int(width)) == (box.height, box.width)


def test_box_lies_inside_the_input_and_keeps_the_aspect() -> None:
    box = content_box(1955, 1841, _spec(height=320, width=320))
    assert (box.top, box.height) == (0, 320)
    assert box.width == round(1841 * 320 / 1955)
    assert box.left == (320 - box.width) // 2


def test_function_can_be_mapped_over_films_of_different_sizes() -> None:
    import tensorflow as tf

    spec = _spec(channels=3, scaling=Scaling.IMAGENET)
    films = [_film(30, 40), _film(80, 70)]
    data = tf.data.Dataset.from_generator(
        lambda: iter(films), output_signature=tf.TensorSpec((None, None), tf.uint16)
    ).map(make_preprocess(spec))
    for film, result in zip(films, data.as_numpy_iterator(), strict=True):
        np.testing.assert_allclose(result, preprocess_one(film, spec), atol=1e-6)
