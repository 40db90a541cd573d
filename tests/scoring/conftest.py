"""A bundle that loads in a second, for what does not depend on the network."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.pipeline.input_spec import InputSpec, Scaling

FINDINGS = ("Effusion", "Mass", "Nodule")
SPEC = InputSpec(height=32, width=32, channels=3, scaling=Scaling.UNIT)


def tiny_network(*head: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(7)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(x)
    sigmoids = keras.layers.Dense(3, activation="sigmoid", bias_initializer="random_normal")
    for layer in head or (keras.layers.GlobalAveragePooling2D(), sigmoids):
        x = layer(x)
    return keras.Model(inputs, x)


def make_bundle(folder: Path, model: keras.Model) -> Bundle:
    weights = folder.parent / f"{folder.name}.keras"
    folder.parent.mkdir(parents=True, exist_ok=True)
    model.save(weights)
    fields = {
        "name": folder.name,
        "version": "1",
        "architecture": "keras",
        "findings": FINDINGS,
        "input": SPEC,
        "thresholds": dict.fromkeys(FINDINGS, 0.5),
        "thresholds_method": "none",
        "intended_use": "a test",
        "limits": "random weights",
        "licence": "none",
    }
    return save_bundle(folder, weights, fields)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Shared, its OpenVINO cache too: tests that damage it make their own."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny", tiny_network())


@pytest.fixture
def own_bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundles" / "own", tiny_network())


@pytest.fixture
def flat_bundle(tmp_path: Path) -> Bundle:
    """Its head is not pooling and a dense layer."""
    dense = keras.layers.Dense(3, activation="sigmoid")
    return make_bundle(tmp_path / "bundles" / "flat", tiny_network(keras.layers.Flatten(), dense))


@pytest.fixture
def batch() -> np.ndarray:
    return np.random.default_rng(5).random((1, 32, 32, 3), dtype=np.float32)
