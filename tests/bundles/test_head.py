from __future__ import annotations

import keras
import pytest

from cxrbatch.bundles.head import NoPooledHeadError, final_dense, pooled_head


def _classifier(*head: keras.layers.Layer, features: keras.layers.Layer | None = None) -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    x = (features or keras.layers.Conv2D(4, 3, name="features"))(inputs)
    for layer in head:
        x = layer(x)
    return keras.Model(inputs, x)


layers = keras.layers


@pytest.mark.parametrize(
    "head",
    [
        [layers.GlobalAveragePooling2D(), layers.Dense(2, activation="sigmoid")],
        [layers.GlobalAveragePooling2D(), layers.Dropout(0.5), layers.Dense(2, activation="sigmoid")],
        [layers.GlobalAveragePooling2D(), layers.Dense(2), layers.Activation("sigmoid")],
    ],
)
def test_pooling_and_a_dense_layer_are_recognised(head: list[layers.Layer]) -> None:
    found = pooled_head(_classifier(*head))

    assert found.features.shape == (None, 6, 6, 4)
    assert found.dense.units == 2


def test_a_backbone_that_is_a_model_of_its_own_is_recognised() -> None:
    backbone = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3)])
    model = _classifier(
        layers.GlobalAveragePooling2D(), layers.Dense(2, activation="sigmoid"), features=backbone
    )

    assert pooled_head(model).features.shape == (None, 6, 6, 4)


@pytest.mark.parametrize(
    "head",
    [
        [layers.Flatten(), layers.Dense(2, activation="sigmoid")],
        [layers.GlobalMaxPooling2D(), layers.Dense(2, activation="sigmoid")],
        [
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
            layers.ReLU(),
            layers.Dense(2, activation="sigmoid"),
        ],
    ],
)
def test_other_heads_have_logits_but_no_maps(head: list[layers.Layer]) -> None:
    model = _classifier(*head)

    with pytest.raises(NoPooledHeadError):
        pooled_head(model)
    assert final_dense(model).units == 2


@pytest.mark.parametrize("activation", ["linear", "softmax", "relu"])
def test_a_dense_layer_without_sigmoid_is_no_head(activation: str) -> None:
    with pytest.raises(NoPooledHeadError, match="sigmoid"):
        final_dense(_classifier(layers.GlobalAveragePooling2D(), layers.Dense(2, activation=activation)))
