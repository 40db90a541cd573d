"""The averaged activation: what the cells are, and that taking it out changes no probability."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.film_check import CLASSES, FilmCheck, Limits, Tap
from cxrbatch.bundles.network import load_classifier
from cxrbatch.bundles.saving import save_bundle, save_film_check
from cxrbatch.pipeline.input_spec import InputSpec, Scaling
from cxrbatch.scoring.cells import CellMeans, cell_means, cell_weights
from cxrbatch.scoring.heatmaps import scoring_model
from cxrbatch.scoring.predictor import golden_looks, load_predictor

CHANNELS = 6
RUNTIMES = ("keras", "openvino")


def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(CHANNELS, 3, strides=2, padding="same", activation="relu", name="middle")(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="sigmoid")(x))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle without a film check."""
    folder = tmp_path_factory.mktemp("plain")
    network().save(folder / "net.keras")
    fields = {
        "name": "tiny",
        "version": "1",
        "architecture": "keras",
        "findings": ("A", "B"),
        "input": InputSpec(height=32, width=32, channels=3, scaling=Scaling.UNIT),
        "thresholds": {"A": 0.5, "B": 0.5},
        "thresholds_method": "none",
        "intended_use": "a test",
        "limits": "random weights",
        "licence": "none",
    }
    return save_bundle(folder / "tiny", folder / "net.keras", fields)


def a_check(golden: np.ndarray, grid: int = 4) -> FilmCheck:
    random = np.random.default_rng(1)

    def numbers(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    return FilmCheck(
        tap=Tap("middle", grid),
        weights=numbers(grid**2 * CHANNELS, len(CLASSES)),
        bias=numbers(len(CLASSES)),
        centre=numbers(CHANNELS),
        whitening=numbers(CHANNELS, CHANNELS),
        limits=Limits(0.0, 1.0),
        wrong_percentiles=np.zeros(100, np.float32),
        golden=golden.astype(np.float32),
        tolerance={"float32": 1e-4, "mixed": 10.0},
    )


@pytest.fixture(scope="module")
def checked(plain: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same network with a film check of random numbers, whose golden figures are right."""
    folder = tmp_path_factory.mktemp("checked") / "tiny"
    made = save_bundle(folder, plain.weights_path, plain.card.model_dump(exclude={"weights", "film_check"}))
    draft = replace(a_check(np.zeros((2, 2))), tolerance={"float32": 1e9, "mixed": 1e9})
    made = save_film_check(made.folder, draft, {"method": "none"})
    golden = golden_looks(load_predictor(made, "keras"), made)
    return save_film_check(made.folder, a_check(golden), {"method": "none"})


@given(length=st.integers(3, 40), grid=st.integers(1, 9))
def test_weights_average_equal_stretches(length: int, grid: int) -> None:
    """Oracle: repeat every pixel `grid` times; then stretches are whole, `length` repeats each."""
    values = np.random.default_rng(length).normal(size=length)
    expected = np.repeat(values, grid).reshape(grid, length).mean(axis=1)
    np.testing.assert_allclose(cell_weights(length, grid) @ values, expected, atol=1e-6)


def test_cells_are_average_pooling_where_it_divides() -> None:
    x = np.random.default_rng(0).normal(size=(2, 20, 10, 3)).astype(np.float32)
    expected = keras.layers.AveragePooling2D((4, 2))(x)
    np.testing.assert_allclose(CellMeans(5)(x), expected, atol=1e-6)


def test_a_layer_that_is_not_there_is_named() -> None:
    with pytest.raises(BundleError, match="no layer 'nowhere'"):
        cell_means(network(), Tap("nowhere", 4))


@pytest.mark.parametrize("layer", ["dense", "global_average_pooling2d"])
def test_a_layer_without_rows_and_columns_is_refused(layer: str) -> None:
    model = network()
    name = next(each.name for each in model.layers if each.name.startswith(layer))
    with pytest.raises(BundleError, match="activation of fixed size"):
        cell_means(model, Tap(name, 4))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_probabilities_and_maps_are_the_same_bytes_with_a_check_and_without(
    plain: Bundle, checked: Bundle, runtime: str
) -> None:
    films = np.random.default_rng(2).random((3, 32, 32, 3), dtype=np.float32)
    without, with_it = (load_predictor(bundle, runtime, batch_size=3)(films) for bundle in (plain, checked))  # type: ignore[arg-type]
    assert with_it.probabilities.tobytes() == without.probabilities.tobytes()
    assert with_it.maps is not None
    assert without.maps is not None
    assert with_it.maps.tobytes() == without.maps.tobytes()
    assert without.looks is None
    assert with_it.looks is not None
    assert len(with_it.looks) == 3


def test_runtimes_agree_on_looks(checked: Bundle) -> None:
    films = np.random.default_rng(4).random((2, 32, 32, 3), dtype=np.float32)
    by_keras, by_openvino = (
        load_predictor(checked, runtime, batch_size=2)(films).looks for runtime in RUNTIMES
    )
    assert by_keras is not None
    assert by_openvino is not None
    for ours, theirs in zip(by_keras, by_openvino, strict=True):
        assert ours.kind == theirs.kind
        assert (ours.wrong, ours.atypicality) == pytest.approx((theirs.wrong, theirs.atypicality), abs=1e-4)


def test_a_film_looks_alike_whoever_is_beside_it(checked: Bundle) -> None:
    films = np.random.default_rng(5).random((3, 32, 32, 3), dtype=np.float32)
    predictor = load_predictor(checked, "openvino", batch_size=2)
    first, second = predictor(films[:2]).looks, predictor(films[[0, 2]]).looks
    assert first is not None
    assert second is not None
    assert first[0] == second[0]


def test_mixed_precision_has_its_own_tolerance(checked: Bundle) -> None:
    assert load_predictor(checked, "keras", mixed_precision=True).precision == "mixed"


def test_figures_that_are_not_the_golden_ones_are_an_error(checked: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    fields = checked.card.model_dump(exclude={"weights", "film_check"})
    bundle = save_bundle(folder, checked.weights_path, fields)
    bundle = save_film_check(bundle.folder, a_check(np.full((2, 2), 7.0)), {"method": "none"})
    with pytest.raises(BundleError, match="does not give its golden output"):
        load_predictor(bundle, "keras")


@pytest.mark.long
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_cxr_lite_gives_the_same_bytes_without_its_check(runtime: str, tmp_path: Path) -> None:
    lite = open_bundle("cxr-lite")
    bare = save_bundle(
        tmp_path / "bare", lite.weights_path, lite.card.model_dump(exclude={"weights", "film_check"})
    )
    spec = lite.card.input
    film = (
        np.random.default_rng(8).normal(size=(1, spec.height, spec.width, spec.channels)).astype(np.float32)
    )
    expected, found = (load_predictor(bundle, runtime)(film) for bundle in (bare, lite))  # type: ignore[arg-type]
    assert found.probabilities.tobytes() == expected.probabilities.tobytes()
    assert found.maps is not None
    assert expected.maps is not None
    assert found.maps.tobytes() == expected.maps.tobytes()


def test_the_scoring_model_shares_the_classifiers_weights(checked: Bundle) -> None:
    classifier = load_classifier(checked)
    model = scoring_model(classifier, Tap("middle", 4))
    film = np.random.default_rng(6).random((1, 32, 32, 3), dtype=np.float32)
    middle = keras.Model(classifier.inputs[0], classifier.get_layer("middle").output)(film)
    expected = np.asarray(middle).reshape(1, 4, 4, 4, 4, CHANNELS).mean(axis=(2, 4))
    np.testing.assert_allclose(model(film)["cells"], expected, atol=1e-6)
