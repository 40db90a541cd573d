from __future__ import annotations

import keras
import numpy as np
import pytest

from cxrbatch.bundles.network import in_mixed_precision
from cxrbatch.training.network import StartedNetwork
from cxrbatch.training.run import _weights_file


def classifier() -> keras.Model:
    inputs = keras.layers.Input((16, 16, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="sigmoid")(x))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_whole_model_is_kept_with_the_best_epochs_weights_in_float32(tmp_path, policy):
    best = classifier()
    best.save_weights(tmp_path / "best.weights.h5")
    trained = classifier()
    if policy != "float32":
        trained = in_mixed_precision(trained, policy)
    started = StartedNetwork(trained, trained, "keras", (), (), ("a", "b"))
    kept = keras.saving.load_model(_weights_file(started, tmp_path / "best.weights.h5"), safe_mode=True)
    films = np.random.default_rng(0).normal(size=(3, 16, 16, 1)).astype(np.float32)
    np.testing.assert_allclose(kept(films), best(films), atol=1e-6)
    assert {layer.compute_dtype for layer in kept.layers} == {"float32"}


def test_weights_of_a_named_architecture_are_taken_as_they_are(tmp_path):
    started = StartedNetwork(classifier(), classifier(), "efficientnet-lite0", (), (), ("a", "b"))
    assert _weights_file(started, tmp_path / "best.weights.h5") == tmp_path / "best.weights.h5"
