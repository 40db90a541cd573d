import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cxrbatch.sample.grid import Canvas, chord, ellipse, make_grid, resize, smooth, texture, working_shape


def test_the_line_integrals_of_an_ellipsoid_add_up_to_its_volume() -> None:
    grid = make_grid(400, 300, short_side_cm=15.0)
    thickness = chord(ellipse(grid, (1.0, 10.0), (4.0, 3.0), tilt=0.6), 2.5)
    volume = thickness.sum() / grid.px_per_cm**2
    assert volume == pytest.approx(4 / 3 * np.pi * 4.0 * 3.0 * 2.5, rel=2e-3)


def test_x_is_zero_in_the_middle_and_y_at_the_top() -> None:
    grid = make_grid(400, 300, short_side_cm=15.0)
    assert float(grid.x.mean()) == pytest.approx(0, abs=1e-5)
    assert grid.height == pytest.approx(20.0)
    assert float(grid.y[0, 0]) == pytest.approx(0.5 / 20)


@pytest.mark.parametrize(("sigma", "tolerance"), [(0.8, 1e-3), (3.0, 4e-3), (12.0, 0.03)])
def test_smoothing_agrees_with_scipy(sigma: float, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    plane = gaussian_filter(rng.standard_normal((200, 160)), 4).astype(np.float32)
    plane /= np.abs(plane).max()
    expected = gaussian_filter(plane, sigma, mode="nearest")
    assert np.abs(smooth(plane, sigma) - expected)[20:-20, 20:-20].max() < tolerance


def test_a_stroke_is_as_wide_as_asked() -> None:
    grid = make_grid(300, 300, short_side_cm=15.0)
    canvas = Canvas(grid)
    canvas.stroke([(-5.0, 7.0), (5.0, 7.0)], width=1.0, value=2.0)
    drawn = canvas.plane(blur=0)
    assert drawn[:, 150].sum() / grid.px_per_cm == pytest.approx(2.0, rel=0.06)


def test_texture_is_standardised() -> None:
    plane = texture((128, 128), 1.0, 4.0, np.random.default_rng(1))
    assert abs(float(plane.mean())) < 1e-3
    assert float(plane.std()) == pytest.approx(1, abs=1e-3)


def test_big_films_are_computed_small_and_keep_their_proportions() -> None:
    assert working_shape(512, 448) == (512, 448)
    rows, cols = working_shape(4096, 2048)
    assert (rows, cols) == (1024, 512)
    assert resize(np.zeros((rows, cols), np.float32), 4096, 2048).shape == (4096, 2048)
