"""The maps against automatic differentiation, for both architectures."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from cxrbatch.bundles.architectures import ARCHITECTURES, build_architecture
from cxrbatch.bundles.head import NoPooledHeadError
from cxrbatch.pipeline.input_spec import InputSpec, Scaling
from cxrbatch.scoring.heatmaps import heat_map_model, scoring_model

SPEC = InputSpec(height=96, width=64, channels=3, scaling=Scaling.IMAGENET)
N_FINDINGS = 3


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def classifier(request: pytest.FixtureRequest) -> keras.Model:
    """With a head whose weights and biases are as large as trained ones."""
    keras.utils.set_random_seed(3)
    model = build_architecture(request.param, SPEC, N_FINDINGS)
    random = np.random.default_rng(4)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([random.normal(0, 0.2, kernel.shape), random.normal(0, 1.0, bias.shape)])
    return model


@pytest.fixture(scope="module")
def films() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(2, SPEC.height, SPEC.width, 3)).astype(np.float32)


def test_the_mean_of_a_map_and_the_bias_are_the_logit(classifier: keras.Model, films: np.ndarray) -> None:
    outputs = heat_map_model(classifier)(films, training=False)

    maps, logits = np.asarray(outputs["maps"]), np.asarray(outputs["logits"])
    assert maps.shape == (2, 3, 2, N_FINDINGS)
    np.testing.assert_allclose(
        maps.mean(axis=(1, 2)) + classifier.layers[-1].get_weights()[1], logits, atol=1e-5
    )
    # Independent of our head: the classifier's own probabilities.
    np.testing.assert_allclose(tf.sigmoid(logits), classifier(films, training=False), atol=1e-6)


def test_maps_are_grad_cam_on_the_logit(classifier: keras.Model, films: np.ndarray) -> None:
    """Selvaraju et al. 2017, eq. 1 and 2 without the ReLU, times the number of grid cells."""
    pooling, dense = classifier.layers[-2], classifier.layers[-1]
    to_features = keras.Model(classifier.input, pooling.input)
    kernel, bias = dense.get_weights()
    with tf.GradientTape(persistent=True) as tape:
        features = to_features(films, training=False)
        tape.watch(features)
        logits = tf.reduce_mean(features, axis=(1, 2)) @ kernel + bias
        targets = [tf.reduce_sum(logits[:, k]) for k in range(N_FINDINGS)]
    cells = features.shape[1] * features.shape[2]

    maps = np.asarray(heat_map_model(classifier)(films, training=False)["maps"])

    for k, target in enumerate(targets):
        weights = tf.reduce_mean(tape.gradient(target, features), axis=(1, 2), keepdims=True)
        grad_cam = cells * tf.reduce_sum(weights * features, axis=-1)
        assert np.ptp(grad_cam) > 0.0
        np.testing.assert_allclose(maps[..., k], grad_cam, atol=1e-4)


def test_maps_follow_the_classifiers_weights_when_these_change(films: np.ndarray) -> None:
    model = build_architecture("efficientnet-lite0", SPEC, N_FINDINGS)
    maps = heat_map_model(model)
    model.layers[-1].set_weights([np.zeros((1280, N_FINDINGS)), np.full(N_FINDINGS, 2.0)])

    outputs = maps(films, training=False)

    np.testing.assert_array_equal(outputs["logits"], np.full((2, N_FINDINGS), 2.0))
    assert not np.any(outputs["maps"])


def _with_head(*head: keras.layers.Layer) -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3)(inputs)
    for layer in head:
        x = layer(x)
    return keras.Model(inputs, x)


def test_another_head_has_no_heat_maps_but_logits() -> None:
    model = _with_head(keras.layers.Flatten(), keras.layers.Dense(2, activation="sigmoid"))
    picture = np.random.default_rng(6).normal(size=(1, 8, 8, 1)).astype(np.float32)

    with pytest.raises(NoPooledHeadError):
        heat_map_model(model)
    outputs = scoring_model(model)(picture)

    assert set(outputs) == {"logits"}
    np.testing.assert_allclose(tf.sigmoid(outputs["logits"]), model(picture), atol=1e-6)


def test_a_hidden_head_gives_its_probabilities() -> None:
    hidden = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2, activation="sigmoid")])
    model = _with_head(hidden)
    picture = np.random.default_rng(6).normal(size=(1, 8, 8, 1)).astype(np.float32)

    outputs = scoring_model(model)(picture)

    assert set(outputs) == {"probabilities"}
    np.testing.assert_array_equal(outputs["probabilities"], model(picture))
