"""Augmentation against SciPy's affine transform, and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from cxrbatch.training.augmentation import make_augment
from cxrbatch.training.settings import Augmentation

NONE = Augmentation.none()


def _film(height: int = 40, width: int = 32) -> np.ndarray:
    """Smooth, and different in every corner; nowhere exactly black."""
    down, across = np.linspace(0.1, 0.7, height), np.linspace(0.0, 0.25, width)
    return (np.add.outer(down, across) + 0.02 * np.sin(np.arange(width))).astype(np.float32)[..., None]


def _seeds(count: int) -> list[tf.Tensor]:
    return [tf.constant([7, number], tf.int32) for number in range(count)]


def _draw(seed: tf.Tensor) -> np.ndarray:
    """The numbers behind a seed: Philox, uniform in [-1, 1)."""
    return tf.random.stateless_uniform((6,), seed, -1.0, 1.0, alg="philox").numpy().astype(np.float64)


def _expected_warp(
    film: np.ndarray, degrees: float, zoom: float, right: float, down: float, mirror: float = 1.0
) -> np.ndarray:
    """SciPy's: the film turned and enlarged about its centre, then moved by (right, down) pixels."""
    height, width = film.shape[:2]
    angle = np.deg2rad(degrees)
    # In (row, column): turned by `degrees` so that +x goes towards +y, enlarged, mirrored before that.
    forward = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    forward = forward @ np.diag([1.0, mirror])
    back = np.linalg.inv(forward)
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    offset = centre - back @ (centre + np.array([down, right]))
    return ndimage.affine_transform(film[..., 0], back, offset, order=1, mode="grid-constant", cval=0.0)


@pytest.mark.parametrize(
    "wanted",
    [
        {"rotation": 20.0},
        {"scale": 0.3},
        {"shift": 0.2},
        {"rotation": 15.0, "shift": 0.1, "scale": 0.2},
        {"rotation": 15.0, "shift": 0.1, "scale": 0.2, "flip": True},
    ],
)
def test_warp_is_scipys(wanted: dict[str, float]) -> None:
    film, settings = _film(), NONE.model_copy(update=wanted)
    augment = make_augment(settings)
    for seed in _seeds(8):
        drawn = _draw(seed)
        expected = _expected_warp(
            film,
            degrees=drawn[1] * settings.rotation,
            zoom=1 + drawn[2] * settings.scale,
            right=drawn[3] * settings.shift * 32,
            down=drawn[4] * settings.shift * 40,
            mirror=-1.0 if settings.flip and drawn[5] < 0 else 1.0,
        )
        result = augment(tf.constant(film), seed).numpy()[..., 0]
        np.testing.assert_allclose(result, expected, atol=2e-4)


def test_contrast_is_spread_about_the_films_mean_and_bars_stay_black() -> None:
    film = _film()
    film[:, :8] = 0.0  # the bars of `Fit.PAD`
    augment = make_augment(NONE.model_copy(update={"contrast": 0.5}))
    for seed in _seeds(20):
        result = augment(tf.constant(film), seed).numpy()
        mean = film[:, 8:].astype(np.float64).mean()
        expected = np.clip(mean + (1 + 0.5 * _draw(seed)[0]) * (film - mean), 0, 1)
        expected[:, :8] = 0.0
        np.testing.assert_allclose(result, expected, atol=1e-6)


def test_nothing_wanted_changes_no_bit() -> None:
    film = np.random.default_rng(0).random((9, 7, 1)).astype(np.float32)
    for seed in _seeds(5):
        np.testing.assert_array_equal(make_augment(NONE)(tf.constant(film), seed).numpy(), film)


def test_result_depends_on_the_seed_alone() -> None:
    augment, film = make_augment(Augmentation()), tf.constant(_film())
    one, again, other = (augment(film, tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.01


def test_in_a_graph_it_is_the_same_to_the_last_digits() -> None:
    augment, film = make_augment(Augmentation()), tf.constant(_film())
    seed = tf.constant([3, 4])
    np.testing.assert_allclose(tf.function(augment)(film, seed), augment(film, seed), atol=1e-5)


def test_defaults_are_mild_and_stay_in_range() -> None:
    augment, film = make_augment(Augmentation()), _film(64, 64)
    for seed in _seeds(50):
        result = augment(tf.constant(film), seed).numpy()
        assert result.shape == film.shape
        assert result.dtype == np.float32
        assert result.min() >= 0
        assert result.max() <= 1
        assert np.abs(result - film)[20:44, 20:44].max() < 0.25  # the middle stays in the middle


def _right_share(result: np.ndarray) -> float:
    middle = result.shape[1] // 2
    return float(result[:, middle:].sum() / result.sum())


def test_left_never_becomes_right_unless_it_is_asked_for() -> None:
    """A heart on one side only: mirrored, situs solitus would become inversus."""
    film = np.zeros((32, 32, 1), np.float32)
    film[8:24, 22:28] = 0.8
    default = make_augment(Augmentation())
    assert all(_right_share(default(tf.constant(film), seed).numpy()) > 0.95 for seed in _seeds(200))
    mirrored = make_augment(Augmentation(flip=True))
    shares = [_right_share(mirrored(tf.constant(film), seed).numpy()) for seed in _seeds(200)]
    assert 60 < sum(share < 0.05 for share in shares) < 140


def test_draws_of_neighbouring_positions_are_unrelated() -> None:
    """Seeds count up film by film: what is drawn must be uniform along them all the same."""
    drawn = np.array([_draw(seed) for seed in _seeds(400)])
    assert np.abs(drawn.mean(axis=0)).max() < 0.12
    assert np.abs(drawn.std(axis=0) - 1 / np.sqrt(3)).max() < 0.06
    assert np.abs([np.corrcoef(column[:-1], column[1:])[0, 1] for column in drawn.T]).max() < 0.2
