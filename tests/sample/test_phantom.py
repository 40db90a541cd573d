import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from cxrbatch.sample.lateral import lateral
from cxrbatch.sample.lettering import NOTICE, notice_box
from cxrbatch.sample.limb import hand
from cxrbatch.sample.phantom import Phantom, frontal

SIZE = (384, 336)


def cardiothoracic_ratio(phantom: Phantom) -> float:
    """Measured as on a film: widest extent of the heart over the widest inside of the rib cage."""
    heart = np.flatnonzero(phantom.heart.any(axis=0))
    inside = [np.ptp(np.flatnonzero(row)) for row in phantom.thorax if row.any()]
    return float((np.ptp(heart) + 1) / (max(inside) + 1))


def test_a_seed_is_a_body() -> None:
    first, again, other = frontal(4, SIZE), frontal(4, SIZE), frontal(5, SIZE)
    assert np.array_equal(first.film, again.film)
    assert np.abs(first.film - other.film).mean() > 0.02


@pytest.mark.parametrize("size", [(384, 336), (300, 400), (1300, 1100)])
def test_the_film_has_the_size_asked_for_and_display_values(size: tuple[int, int]) -> None:
    phantom = frontal(1, size, findings=["Nodule"])
    assert phantom.film.shape == phantom.masks["Nodule"].shape == phantom.heart.shape == size
    assert phantom.film.dtype == np.float32
    assert phantom.film.min() >= 0
    assert phantom.film.max() <= 1


@pytest.mark.parametrize("view", ["PA", "AP"])
@pytest.mark.parametrize("seed", range(4))
def test_the_cardiothoracic_ratio_tells_a_large_heart_from_a_normal_one(seed: int, view: str) -> None:
    assert cardiothoracic_ratio(frontal(seed, SIZE, view)) < 0.5
    assert cardiothoracic_ratio(frontal(seed, SIZE, view, ["Cardiomegaly"])) > 0.55


@pytest.mark.parametrize("seed", range(4))
def test_lungs_are_darker_than_heart_and_heart_than_what_lies_below(seed: int) -> None:
    phantom = frontal(seed, SIZE)
    lungs = phantom.film[phantom.thorax & ~phantom.heart]
    base = int(np.flatnonzero(phantom.thorax.any(axis=1)).max())
    middle = slice(SIZE[1] // 3, 2 * SIZE[1] // 3)
    belly = phantom.film[base + 5 : int(SIZE[0] * 0.94), middle]
    assert np.median(lungs) + 0.1 < np.median(phantom.film[phantom.heart]) < np.median(belly) + 0.1


def test_the_heart_lies_to_the_left_of_the_patient_which_is_right_in_the_picture() -> None:
    phantom = frontal(2, SIZE)
    middle = np.nonzero(phantom.thorax)[1].mean()
    assert np.nonzero(phantom.heart)[1].mean() > middle + 5


def test_an_unknown_finding_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'Scurvy'.*Cardiomegaly"):
        frontal(0, SIZE, findings=["Scurvy"])


@pytest.mark.parametrize("size", [(200, 176), (640, 560), (1100, 960)])
@pytest.mark.parametrize("subject", ["frontal", "lateral", "hand"])
def test_every_picture_says_that_it_is_a_phantom(subject: str, size: tuple[int, int]) -> None:
    film = {
        "frontal": lambda: frontal(7, size).film,
        "lateral": lambda: lateral(7, size),
        "hand": lambda: hand(7, size),
    }[subject]()
    top, bottom, left, right = notice_box(*size)
    corner = film[top : bottom + 1, left : right + 1]
    scores = []
    for points in range(6, 40):  # The text drawn anew at every size: one of them must lie in the corner.
        font = ImageFont.load_default(points)
        if font.getlength(NOTICE) > right - left:
            break
        stamp = Image.new("F", (right - left + 1, bottom - top + 1), 0.0)
        ImageDraw.Draw(stamp).text((4, (bottom - top) / 2), NOTICE, fill=1.0, font=font, anchor="lm")
        width = int(font.getlength(NOTICE))
        scores.append(np.corrcoef(np.asarray(stamp)[:, :width].ravel(), corner[:, :width].ravel())[0, 1])
    assert scores, "the notice does not fit"
    assert max(scores) > 0.95


def test_the_lateral_view_and_the_limb_differ_from_seed_to_seed_and_repeat() -> None:
    for draw in (lateral, hand):
        assert np.array_equal(draw(1, SIZE), draw(1, SIZE))
        assert not np.array_equal(draw(1, SIZE), draw(2, SIZE))
