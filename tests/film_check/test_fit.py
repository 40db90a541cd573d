"""Fitting from end to end, on a network of a few weights and films of a few pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.bundles.film_check import Look, read_film_check
from cxrbatch.bundles.network import load_classifier
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.film_check import drawn, fit, fitting
from cxrbatch.film_check.fit import FitError, Fitted, fit_film_check, take_over
from cxrbatch.pipeline.preprocess import preprocess_one
from cxrbatch.scoring.predictor import load_predictor


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Few and small drawn pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "PHANTOMS", 1)
        patch.setattr(fitting, "PHANTOM_SIZE", (60, 52))
        patch.setattr(fitting, "DRAWN_EACH", 1)
        patch.setattr(fitting, "OTHERS_RESTAGED", 2)
        patch.setattr(drawn, "_SIZE", (60, 52))
        yield


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("others") / "checkerboards"
    folder.mkdir()
    for cells in (2, 3, 5, 7):
        board = np.indices((60, 60)).sum(axis=0) * cells // 60 % 2 * 255
        Image.fromarray(board.astype(np.uint8)).save(folder / f"{cells}.png")
    return folder


def lungs(seed: int) -> np.ndarray:
    """Two dark lungs under a dark neck, over a bright belly: uint8 (48, 44)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:48j, -1:1:44j]
    body = np.where(np.abs(x) < 0.9, 150.0, 20.0) + 60.0 * (y > 0.6)
    for side in (-0.45, 0.42):
        height = 0.6 + random.uniform(-0.08, 0.08)
        body[((x - side) / 0.32) ** 2 + ((y + 0.1) / height) ** 2 < 1] = 60.0
    body[(np.abs(x) > 0.4) & (y < -0.75)] = 15.0
    return np.clip(body + random.normal(0, 12, body.shape) + random.uniform(-15, 15), 0, 255).astype(np.uint8)


FILMS = 100


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for seed in range(FILMS):
        Image.fromarray(lungs(seed)).save(folder / f"{seed:03}.png")
    return folder


def look_at(bundle: Bundle, picture: np.ndarray) -> Look:
    predictor = load_predictor(bundle, "openvino", batch_size=1)
    film = preprocess_one(picture.astype(np.uint16) * np.uint16(257), bundle.card.input)
    looks = predictor(film[None]).looks
    assert looks is not None
    return looks[0]


@pytest.fixture(scope="module")
def fitted(
    tmp_path_factory: pytest.TempPathFactory,
    films: Path,
    others: Path,
    small: None,
    make_bundle: Callable[[Path], Bundle],
) -> Fitted:
    bundle = make_bundle(tmp_path_factory.mktemp("fitted"))
    return fit_film_check(bundle, films, [others], layer="middle", threads=1)


def test_a_fitted_check_tells_films_of_others_from_their_wrong_selves(fitted: Fitted) -> None:
    bundle = open_bundle(fitted.bundle.folder)
    assert bundle.sha256 == fitted.bundle.sha256
    check = read_film_check(bundle)
    assert check is not None

    for name, (count, of) in fitted.found.items():
        if not name.startswith("unknown"):
            assert of == FILMS
            assert count / of > 0.9, name
    count, of = fitted.false_alarms["held-out films as they are"]
    assert of == FILMS
    assert count / of < 0.06
    assert {"unknown kind: checkerboards", "unknown kind: noise"} <= fitted.found.keys()

    right = lungs(5000)
    wrong = {
        "inverted": 255 - right,
        "upside_down": right[::-1],
        "sideways": np.ascontiguousarray(np.rot90(right)),
        "not_chest": np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8),
    }
    assert look_at(bundle, right).wrong < check.limits.flag
    for kind, picture in wrong.items():
        look = look_at(bundle, picture)
        assert look.wrong >= check.limits.flag, kind
        if kind != "not_chest":  # three drawn pictures teach a network of random weights little
            assert look.kind == kind
    assert look_at(bundle, right).atypicality < 1.5
    card = bundle.card.film_check
    assert card is not None
    assert card.found["inverted"].of == FILMS
    assert "checkerboards" in card.method


@pytest.mark.long
def test_the_same_seed_gives_the_same_check(fitted: Fitted, tiny: Bundle, films: Path, others: Path) -> None:
    """The check and all that the card says of it; the networks' own files bear the time of their saving."""
    again = fit_film_check(tiny, films, [others], layer="middle", threads=1)
    assert again.bundle.card.film_check is not None
    assert again.bundle.card.film_check == fitted.bundle.card.film_check  # with the digest of its arrays


def test_too_few_films_are_refused(tmp_path: Path, tiny: Bundle) -> None:
    for seed in range(3):
        Image.fromarray(lungs(seed)).save(tmp_path / f"{seed}.png")
    with pytest.raises(FitError, match="films of 3 patients; at least 100"):
        fit_film_check(tiny, tmp_path, layer="middle", threads=1)


def test_a_whole_model_needs_the_name_of_a_layer(tiny: Bundle, films: Path) -> None:
    with pytest.raises(FitError, match="--layer"):
        fit_film_check(tiny, films)


def test_a_check_is_taken_over_where_the_lower_layers_are_the_same(
    tmp_path: Path, tiny: Bundle, fitted: Fitted
) -> None:
    source = fitted.bundle
    fields = tiny.card.model_dump(exclude={"weights", "film_check"})

    def retrained(name: str, layer: str) -> Bundle:
        model = load_classifier(tiny)
        kernel, bias = model.get_layer(layer).get_weights()
        model.get_layer(layer).set_weights([kernel * 1.1, bias + 0.1])
        path = tmp_path / f"{name}.keras"
        model.save(path)
        return save_bundle(tmp_path / "models" / name, path, {**fields, "name": name})

    above = take_over(retrained("above", "upper"), source)
    check, known = read_film_check(above), read_film_check(source)
    assert check is not None
    assert known is not None
    np.testing.assert_array_equal(check.weights, known.weights)
    load_predictor(above, "keras")  # which holds it against its golden figures

    below = retrained("below", "middle")
    with pytest.raises(FitError, match="is another network"):
        take_over(below, source)
    assert open_bundle(below.folder).card.film_check is None
    with pytest.raises(FitError, match="no film check"):
        take_over(source, below)


def test_every_architecture_has_a_middle_layer() -> None:
    from cxrbatch.bundles.architectures import ARCHITECTURES, MIDDLE, build_architecture
    from cxrbatch.pipeline.input_spec import InputSpec, Scaling

    assert set(MIDDLE) == set(ARCHITECTURES)
    spec = InputSpec(height=224, width=224, channels=3, scaling=Scaling.UNIT)
    for name, layer in MIDDLE.items():
        model = build_architecture(name, spec, 2)
        assert isinstance(model, keras.Model)
        assert model.get_layer(layer).output.shape[1:3] == (14, 14)
        assert fit.GRID <= 14
