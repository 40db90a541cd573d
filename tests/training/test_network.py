"""A start keeps what it knew; what is frozen stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.network import load_classifier, read_network
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.pipeline.input_spec import InputSpec, Scaling
from cxrbatch.training.loss import MaskedWeightedBinaryCrossentropy
from cxrbatch.training.network import StartedNetwork, knows, set_phase, start_network
from cxrbatch.training.records import TrainingError

SPEC = InputSpec(height=32, width=32, channels=1, scaling=Scaling.UNIT)
OLD = ("Effusion", "Pleural_Thickening", "Mass")
NEW = ("mass", "Fracture", "pleural thickening")


def small_classifier(units: int, *head: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(4)
    inputs = keras.Input((32, 32, 1))
    x = inputs
    for filters in (4, 6, 8):
        x = keras.layers.Conv2D(filters, 3, strides=2, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.5)(x))
    for layer in head or (keras.layers.GlobalAveragePooling2D(),):
        x = layer(x)
    dense = keras.layers.Dense(units, activation="sigmoid", bias_initializer="random_normal")
    return keras.Model(inputs, dense(x))


def bundle_of(folder: Path, model: keras.Model, architecture: str = "keras") -> Bundle:
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / ("w.keras" if architecture == "keras" else "w.weights.h5")
    model.save(weights) if architecture == "keras" else model.save_weights(weights)
    fields: dict[str, Any] = {
        "name": "start",
        "version": "1",
        "architecture": architecture,
        "findings": OLD,
        "input": SPEC,
        "thresholds": dict.fromkeys(OLD, 0.5),
        "thresholds_method": "none",
        "intended_use": "a test",
        "limits": "random weights",
        "licence": "none",
    }
    return save_bundle(folder / "bundle", weights, fields)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def small(tmp_path: Path) -> Bundle:
    return bundle_of(tmp_path, small_classifier(len(OLD)))


@pytest.fixture
def films() -> np.ndarray:
    return np.random.default_rng(5).random((6, 32, 32, 1), dtype=np.float32)


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p) - np.log1p(-p)


def require_kept(started: StartedNetwork, init: Bundle, films: np.ndarray) -> None:
    before = load_classifier(init)(films).numpy()
    after = started.classifier(films).numpy()
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [2, 1]], atol=1e-6)
    # The new one, Fracture, begins at the mean logit of those that were there.
    np.testing.assert_allclose(logit(after[:, 1]), logit(before).mean(axis=1), atol=1e-4)
    assert started.kept == ("mass", "pleural thickening")
    assert started.new == ("Fracture",)
    assert started.dropped == ("Effusion",)


def test_a_start_knows_its_findings_however_they_are_spelled(small: Bundle) -> None:
    assert knows(small, ("mass", "pleural thickening"))
    assert knows(small, OLD)
    assert not knows(small, NEW)


def test_other_findings_keep_their_rows(small: Bundle, films: np.ndarray) -> None:
    require_kept(start_network(small, SPEC, NEW, 0.2, 0), small, films)


def test_an_architecture_keeps_its_layout(tmp_path: Path, films: np.ndarray) -> None:
    """So that its weights go into a bundle as they are."""
    model = start_network(None, SPEC, OLD, 0.0, 3).classifier
    init = bundle_of(tmp_path, model, "efficientnet-lite0")
    started = start_network(init, SPEC, NEW, 0.2, 0)
    require_kept(started, init, films)
    assert started.architecture == "efficientnet-lite0"
    started.classifier.save_weights(tmp_path / "trained.weights.h5")
    served = read_network(tmp_path / "trained.weights.h5", started.architecture, SPEC, len(NEW))
    np.testing.assert_array_equal(served(films), started.classifier(films))
    larger = start_network(init, SPEC.model_copy(update={"height": 64, "width": 48}), NEW, 0.2, 0)
    assert larger.classifier.input_shape == (None, 64, 48, 1)
    np.testing.assert_array_equal(larger.classifier.weights[0], model.weights[0])


def test_both_forms_share_their_weights(small: Bundle, films: np.ndarray) -> None:
    started = start_network(small, SPEC, NEW, 0.5, 0)
    np.testing.assert_allclose(started.trainable(films), logit(started.classifier(films).numpy()), atol=1e-5)
    for variable in started.classifier.weights:
        variable.assign(variable * 1.5)
    np.testing.assert_allclose(started.trainable(films), logit(started.classifier(films).numpy()), atol=1e-5)
    assert not np.allclose(started.trainable(films, training=True), started.trainable(films)), "dropout"


def test_mixed_precision_gives_float32_logits(small: Bundle, films: np.ndarray) -> None:
    exact = start_network(small, SPEC, NEW, 0.0, 0)
    mixed = start_network(small, SPEC, NEW, 0.0, 0, policy="mixed_bfloat16")
    logits = mixed.trainable(films)
    assert logits.dtype == tf.float32
    assert {v.dtype for v in mixed.trainable.weights} == {"float32"}
    np.testing.assert_allclose(logits, exact.trainable(films), atol=0.1)
    assert not np.array_equal(logits, exact.trainable(films)), "it computed in 16 bits"


def test_a_random_network_is_drawn_from_the_seed(films: np.ndarray) -> None:
    one, same, other = [start_network(None, SPEC, OLD, 0.0, seed).classifier for seed in (1, 1, 2)]
    for a, b in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(one(films), other(films))


def test_activations_of_a_random_network_do_not_fade(films: np.ndarray) -> None:
    """With batch norms frozen at mean 0 and variance 1 they would: signal is lost in every layer."""
    model = start_network(None, SPEC, OLD, 0.0, 1).classifier
    pooled = keras.Model(model.input, model.get_layer("pooling").output)(films).numpy()
    assert pooled.std(axis=1).mean() > 0.1


def test_head_phase_trains_the_head_alone(small: Bundle) -> None:
    started = start_network(small, SPEC, NEW, 0.2, 0)
    set_phase(started, "head", 1.0)
    assert [tuple(v.shape) for v in started.trainable.trainable_variables] == [(8, 3), (3,)]


@pytest.mark.parametrize(("share", "convolutions"), [(0.0, 0), (0.3, 1), (0.5, 2), (2 / 3, 2), (1.0, 3)])
def test_deep_phase_trains_the_top_share(small: Bundle, share: float, convolutions: int) -> None:
    started = start_network(small, SPEC, NEW, 0.2, 0)
    set_phase(started, "deep", share)
    kernels = [tuple(v.shape) for v in started.trainable.trainable_variables if len(v.shape) == 4]
    assert kernels == [(3, 3, 1, 4), (3, 3, 4, 6), (3, 3, 6, 8)][3 - convolutions :]
    assert len(started.trainable.trainable_variables) == convolutions + 2
    set_phase(started, "head", share)
    assert len(started.trainable.trainable_variables) == 2


def test_batch_norms_stay_as_they_are(small: Bundle, films: np.ndarray) -> None:
    started = start_network(small, SPEC, NEW, 0.0, 0)
    set_phase(started, "deep", 1.0)
    model = started.trainable
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = [w.copy() for norm in norms for w in norm.get_weights()]
    first = model.get_layer(index=1).get_weights()[0].copy()
    np.testing.assert_array_equal(model(films, training=True), model(films, training=False))
    model.compile(keras.optimizers.AdamW(0.01), loss=MaskedWeightedBinaryCrossentropy())
    model.fit(films, np.ones((6, 3), np.float32), epochs=2, verbose=0)
    for old, new in zip(before, [w for norm in norms for w in norm.get_weights()], strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.array_equal(first, model.get_layer(index=1).get_weights()[0]), "it trained"


def test_another_head_cannot_be_trained(tmp_path: Path) -> None:
    flat = bundle_of(tmp_path, small_classifier(len(OLD), keras.layers.Flatten()))
    with pytest.raises(TrainingError, match=r"start cannot be trained further.*global average pooling"):
        start_network(flat, SPEC, NEW, 0.2, 0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"channels": 3}, "takes 1 channels, not 3"), ({"height": 64}, "inputs of 32 x 32, not 64 x 32")],
)
def test_an_input_that_does_not_fit_raises(small: Bundle, changed: dict[str, int], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        start_network(small, SPEC.model_copy(update=changed), NEW, 0.2, 0)


def test_one_finding_in_two_spellings_raises(small: Bundle) -> None:
    with pytest.raises(TrainingError, match="'Mass' and 'mass'"):
        start_network(small, SPEC, ("Mass", "mass"), 0.2, 0)
    with pytest.raises(TrainingError, match="no finding"):
        start_network(small, SPEC, (), 0.2, 0)
