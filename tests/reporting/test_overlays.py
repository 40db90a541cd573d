"""Heat maps on the film: place, side, scale, line; against geometry worked out here by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrbatch.pipeline.geometry import content_box
from cxrbatch.pipeline.input_spec import Fit, InputSpec, Scaling
from cxrbatch.reporting.colours import COLOUR_MAP, INFERNO
from cxrbatch.reporting.overlays import MAX_OPACITY, draw_overlay, map_on_film, overlay_film

PAD = InputSpec(height=320, width=320, channels=3, scaling=Scaling.UNIT)
STRETCH = PAD.model_copy(update={"fit": Fit.STRETCH})


def keys_kernel(x: float) -> float:
    """Cubic convolution with a = -1/2 (Keys 1981, eq. 15)."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def centroid(values: np.ndarray) -> tuple[float, float]:
    weights = np.clip(values, 0, None)
    y, x = np.mgrid[: values.shape[0], : values.shape[1]] + 0.5
    return float((weights * y).sum() / weights.sum()), float((weights * x).sum() / weights.sum())


def test_one_hot_cell_lands_where_it_was_seen_on_a_tall_padded_film() -> None:
    # 400 x 200 fits 320 x 320 as 320 x 160 with bars of 80 left and right; cells are 32 x 32 input pixels.
    # The centre of cell (7, 5) is input (240, 176), so film row 240 * 400/320, column (176 - 80) * 200/160.
    grid = np.zeros((10, 10), np.float16)
    grid[7, 5] = 1.0
    on_film = map_on_film(grid, 400, 200, PAD, (400, 200))
    assert on_film.shape == (400, 200)
    assert centroid(on_film) == pytest.approx((300.0, 120.0), abs=0.5)


def test_one_hot_cell_on_a_stretched_film() -> None:
    grid = np.zeros((10, 10), np.float16)
    grid[7, 5] = 1.0
    assert centroid(map_on_film(grid, 400, 200, STRETCH, (400, 200))) == pytest.approx(
        (300.0, 110.0), abs=0.5
    )


CROP = PAD.model_copy(update={"fit": Fit.CROP})


@pytest.mark.parametrize("highest", [1.0, -1.0])
def test_one_hot_cell_on_a_cropped_film_and_nothing_on_what_was_not_seen(highest: float) -> None:
    # Of 400 x 200 the rows 100 to 300 are seen, at 1.6 input pixels a row; the centre of cell (7, 5) is input
    # (240, 176), so film row 100 + 240 / 1.6, column 176 / 1.6.
    grid = np.full((10, 10), highest - 1.0, np.float16)
    grid[7, 5] = highest
    on_film = map_on_film(grid, 400, 200, CROP, (400, 200))
    assert centroid(on_film - on_film.min()) == pytest.approx((250.0, 110.0), abs=0.5)
    unseen = np.concatenate([on_film[:100], on_film[300:]])
    assert (unseen == min(0.0, highest - 1.0)).all()
    wide = map_on_film(grid.T, 200, 400, CROP, (100, 200))  # a display picture of half the size
    assert centroid(wide - wide.min()) == pytest.approx((55.0, 125.0), abs=0.5)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(150, 4000),
    columns=st.integers(150, 4000),
    cell=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    point=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
)
def test_any_film_any_cell_agrees_with_cubic_convolution(
    rows: int, columns: int, cell: tuple[int, int], point: tuple[float, float]
) -> None:
    grid = np.zeros((10, 10), np.float16)
    grid[cell] = 1.0
    # The film in the input, without rounding to whole pixels: that costs up to half a pixel each side.
    scale = 320 / max(rows, columns)
    top, left = (320 - rows * scale) / 2, (320 - columns * scale) / 2
    size = (200, 100)
    on_film = map_on_film(grid, rows, columns, PAD, size)
    y, x = int(point[0] * size[0]), int(point[1] * size[1])
    in_y = (top + (y + 0.5) / size[0] * rows * scale) / 32 - 0.5
    in_x = (left + (x + 0.5) / size[1] * columns * scale) / 32 - 0.5

    def weight(at: float, index: int) -> float:
        weights = {i: keys_kernel(at - i) for i in range(10)}
        return weights[index] / sum(weights.values())

    expected = min(max(weight(in_y, cell[0]) * weight(in_x, cell[1]), 0.0), 1.0)
    assert on_film[y, x] == pytest.approx(expected, abs=0.05)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(150, 4000), columns=st.integers(150, 4000), seed=st.integers(0, 1000))
def test_any_map_is_what_pillow_makes_of_it(rows: int, columns: int, seed: int) -> None:
    grid = np.random.default_rng(seed).normal(size=(10, 10)).astype(np.float32)
    box = content_box(rows, columns, PAD)
    cells = [side / 32 for side in (box.left, box.top, box.left + box.width, box.top + box.height)]
    whole = Image.fromarray(grid).resize((300, 200), Image.Resampling.BICUBIC, box=tuple(cells))
    expected = np.clip(np.asarray(whole), grid.min(), grid.max())
    np.testing.assert_allclose(map_on_film(grid, rows, columns, PAD, (200, 300)), expected, atol=1e-5)


def test_what_lies_in_the_padding_is_not_on_the_film() -> None:
    grid = np.full((10, 10), -1.0, np.float16)
    grid[:, 0] = 9.0  # far in the black bar beside the film
    assert map_on_film(grid, 400, 200, PAD, (400, 200)).max() < 0


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_overflowed_map_gives_finite_values(value: float) -> None:
    grid = np.ones((10, 10), np.float16)
    grid[4, 4] = value
    assert np.isfinite(map_on_film(grid, 300, 300, PAD, (300, 300))).all()


def grey_film(rows: int = 320, columns: int = 320) -> Image.Image:
    return Image.new("L", (columns, rows), 100)


def gaussian(rows: int, columns: int, peak: float, sigma: float) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    squared = (y - rows / 2) ** 2 + (x - columns / 2) ** 2
    return (peak * np.exp(-squared / (2 * sigma**2))).astype(np.float32)


def pixels(jpeg: bytes | None) -> np.ndarray:
    assert jpeg is not None
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)


def test_line_lies_at_half_of_the_maximum() -> None:
    picture = pixels(draw_overlay(grey_film(), "x", gaussian(320, 320, 3.0, 40.0), 4.0).jpeg)
    white = np.argwhere(picture.min(axis=2) > 215)
    assert len(white) > 200
    radius = np.hypot(white[:, 0] - 160, white[:, 1] - 160)
    expected = 40.0 * np.sqrt(2 * np.log(2))  # where a Gaussian has fallen to half
    assert radius.min() > expected - 6
    assert radius.max() < expected + 2


def test_fixed_scale_gives_equal_evidence_equal_colour_in_every_study() -> None:
    weak, strong = gaussian(320, 320, 1.0, 60.0), gaussian(320, 320, 4.0, 60.0)
    fixed = [pixels(draw_overlay(grey_film(), "x", m, 4.0).jpeg)[160, 160] for m in (weak, strong)]
    own = [pixels(draw_overlay(grey_film(), "x", m, None).jpeg)[160, 160] for m in (weak, strong)]
    assert np.abs(fixed[0] - fixed[1]).max() > 60
    assert np.abs(own[0] - own[1]).max() <= 3
    assert np.abs(fixed[1] - own[1]).max() <= 3
    # ... and the value that was 1 in both maps looks the same on the fixed scale.
    same = np.argmin(np.abs(strong[160, 160:] - 1.0))
    colour = pixels(draw_overlay(grey_film(), "x", strong, 4.0).jpeg)[160, 160 + same]
    assert np.abs(colour - fixed[0]).max() <= 12


@pytest.mark.parametrize("strength", [32, 128, 255])
def test_colour_lies_over_grey_in_proportion_to_its_strength(strength: int) -> None:
    even = np.full((64, 64), strength / 255, np.float32)  # no edge, so no line
    seen = pixels(draw_overlay(grey_film(64, 64), "x", even, 1.0).jpeg)[20:40, 20:40].mean(axis=(0, 1))
    opacity = MAX_OPACITY * strength / 255
    colour = np.frombuffer(INFERNO, np.uint8).reshape(256, 3)[strength]
    assert np.abs(seen - (opacity * colour + (1 - opacity) * 100)).max() <= 3


def test_nowhere_positive_draws_nothing() -> None:
    overlay = draw_overlay(grey_film(), "x", np.full((320, 320), -0.1, np.float32), None)
    assert overlay.jpeg is None


def test_film_without_evidence_is_left_as_it_is() -> None:
    film_map = gaussian(320, 320, 4.0, 10.0)
    picture = pixels(draw_overlay(grey_film(), "x", film_map, 4.0).jpeg)
    far = film_map < 0.01
    assert np.abs(picture[far] - 100).max() <= 12  # JPEG ringing only
    assert np.median(np.abs(picture[far] - 100)) <= 1


def test_side_and_aspect_ratio_of_the_film_are_kept() -> None:
    film = np.full((900, 600), 40, np.uint8)
    film[:, :100] = 220  # a marker at the left of the picture
    grid = np.zeros((10, 10), np.float16)
    grid[5, 6] = 5.0  # evidence at the right
    small = overlay_film(Image.fromarray(film), side=300)
    assert small.size == (200, 300)
    picture = pixels(draw_overlay(small, "x", map_on_film(grid, 900, 600, PAD, (300, 200)), 5.0).jpeg)
    assert picture.shape == (300, 200, 3)
    assert picture[20, 10].min() > 200
    assert picture[20, 190].max() < 60
    coloured = np.argwhere(np.ptp(picture, axis=2) > 60)
    assert coloured[:, 1].mean() > 120


@pytest.mark.parametrize("side", [640, 160])
def test_the_film_below_is_that_of_pillow_to_a_grey_step(side: int) -> None:
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 256, (1024, 964), dtype=np.uint8))
    ours = np.asarray(overlay_film(noise, side)).astype(int)
    theirs = noise.resize((ours.shape[1], ours.shape[0]), Image.Resampling.BILINEAR)
    assert max(ours.shape) == side
    assert np.abs(ours - np.asarray(theirs)).max() <= 1


def test_colours_are_matplotlibs() -> None:
    import matplotlib

    name, low, high = COLOUR_MAP
    expected = matplotlib.colormaps[name](np.linspace(low, high, 256))[:, :3] * 255
    assert np.abs(np.frombuffer(INFERNO, np.uint8).reshape(256, 3) - expected).max() <= 0.5


def test_colours_get_brighter_with_evidence() -> None:
    table = np.frombuffer(INFERNO, np.uint8).reshape(256, 3) / 255.0
    luminance = (np.where(table > 0.04045, ((table + 0.055) / 1.055) ** 2.4, table / 12.92)) @ (
        0.2126,
        0.7152,
        0.0722,
    )
    assert np.all(np.diff(luminance[::8]) > 0)
