"""The loss against scikit-learn, torch and a numerical gradient; weights and targets by their formulas."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from cxrbatch.training.loss import MaskedWeightedBinaryCrossentropy, blend_targets, finding_weights

NAN = np.nan


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


def some_films(random: np.random.Generator, unknown: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    labels = (random.random((40, 3)) < (0.5, 0.2, 0.1)).astype(np.float32)
    labels[random.random(labels.shape) < unknown] = NAN
    return labels, random.normal(0.0, 3.0, labels.shape).astype(np.float32)


def test_without_weights_it_is_the_log_loss(random: np.random.Generator) -> None:
    labels, logits = some_films(random)
    known = ~np.isnan(labels)
    probabilities = 1.0 / (1.0 + np.exp(-logits[known].astype(np.float64)))
    expected = log_loss(labels[known], probabilities)
    assert float(MaskedWeightedBinaryCrossentropy()(labels, logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.torch
def test_with_weights_and_soft_targets_it_is_torchs(random: np.random.Generator) -> None:
    import torch

    labels, logits = some_films(random)
    soft = blend_targets(labels, random.random(labels.shape).astype(np.float32), 0.4)
    positive, negative = finding_weights(labels)
    target, logit = torch.tensor(soft), torch.tensor(logits, requires_grad=True)
    known = ~torch.isnan(target)
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        logit,
        torch.nan_to_num(target),
        weight=torch.tensor(negative).expand_as(target),
        pos_weight=torch.tensor(positive / negative),
        reduction="none",
    )
    expected = each[known].sum() / known.sum()
    expected.backward()
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        found = MaskedWeightedBinaryCrossentropy(positive, negative)(soft, variable)
    assert float(found) == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(tape.gradient(found, variable), logit.grad, atol=1e-7)


def test_gradient_is_the_slope(random: np.random.Generator) -> None:
    labels, logits = some_films(random)
    loss = MaskedWeightedBinaryCrossentropy([2.0, 1.0, 3.0], [0.5, 1.0, 0.2], dtype="float64")
    variable = tf.Variable(logits.astype(np.float64))
    with tf.GradientTape() as tape:
        value = loss(labels, variable)
    gradient = tape.gradient(value, variable).numpy()
    for place in [(0, 0), (5, 1), (17, 2), (33, 0)]:
        shift = np.zeros_like(logits, np.float64)
        shift[place] = 1e-5
        slope = (float(loss(labels, logits + shift)) - float(loss(labels, logits - shift))) / 2e-5
        assert gradient[place] == pytest.approx(slope, abs=1e-8)


def test_unknown_entries_neither_count_nor_spoil_the_gradient() -> None:
    labels = np.array([[1.0, NAN], [NAN, NAN], [0.0, 1.0]], np.float32)
    logits = tf.Variable([[0.3, 1e30], [NAN, -NAN], [500.0, -500.0]])
    with tf.GradientTape() as tape:
        value = MaskedWeightedBinaryCrossentropy()(labels, logits)
    # -log sigmoid(0.3), and 500 twice: no overflow, no log 0.
    assert float(value) == pytest.approx((np.log1p(np.exp(-0.3)) + 500.0 + 500.0) / 3.0, rel=1e-6)
    gradient = tape.gradient(value, logits).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[np.isnan(labels)] == 0.0).all()
    assert (gradient[~np.isnan(labels)] != 0.0).all()


def test_nothing_known_is_no_loss() -> None:
    logits = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        value = MaskedWeightedBinaryCrossentropy()(np.full((1, 2), NAN, np.float32), logits)
    assert float(value) == 0.0
    assert (tape.gradient(value, logits).numpy() == 0.0).all()


def test_loss_survives_serialisation(random: np.random.Generator) -> None:
    labels, logits = some_films(random)
    loss = MaskedWeightedBinaryCrossentropy(*finding_weights(labels))
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(again(labels, logits)) == float(loss(labels, logits))
    assert float(loss(labels, logits)) != float(MaskedWeightedBinaryCrossentropy()(labels, logits))


def test_classes_of_a_finding_weigh_the_same(random: np.random.Generator) -> None:
    """CheXNet's ratio, which is also scikit-learn's "balanced", and a mean weight of 1 in all."""
    labels, _ = some_films(random)
    positive, negative = finding_weights(labels)
    for j in range(labels.shape[1]):
        column = labels[~np.isnan(labels[:, j]), j]
        balanced = compute_class_weight("balanced", classes=np.array([0.0, 1.0]), y=column)
        assert positive[j] / negative[j] == pytest.approx(balanced[1] / balanced[0], rel=1e-5)
    weight = np.where(labels == 1, positive, negative)[~np.isnan(labels)]
    assert weight.mean() == pytest.approx(1.0, abs=1e-5)
    # Relative to each other as in CheXNet: w+ = N- / N.
    shares = [np.nanmean(labels[:, j] == 0) / np.mean(~np.isnan(labels[:, j])) for j in range(3)]
    np.testing.assert_allclose(positive / positive[0], np.array(shares) / shares[0], rtol=1e-5)


def test_a_finding_without_both_classes_weighs_one() -> None:
    labels = np.array([[0, 1, NAN, 1], [0, 1, NAN, 0], [0, NAN, NAN, 0]], np.float32)
    positive, negative = finding_weights(labels)
    assert positive[:3].tolist() == negative[:3].tolist() == [1.0, 1.0, 1.0]
    assert positive[3] == pytest.approx(2.0 * negative[3])
    assert (positive[3] + 2.0 * negative[3]) / 3.0 == pytest.approx(1.0)


def test_targets_are_blended_where_both_are_known() -> None:
    labels = np.array([[1, 0, 1, NAN, NAN]], np.float32)
    soft = np.array([[0.2, 0.6, NAN, 0.3, NAN]], np.float32)
    np.testing.assert_allclose(
        blend_targets(labels, soft, 0.25), [[0.75 + 0.05, 0.15, 1.0, 0.3, NAN]], rtol=1e-6
    )
    assert blend_targets(labels, soft, 0.25).dtype == np.float32
    np.testing.assert_array_equal(blend_targets(labels, None, 0.25), labels)


@pytest.mark.parametrize(("shape", "weight"), [((1, 4), 0.5), ((1, 5), 1.5), ((1, 5), NAN)])
def test_targets_that_do_not_fit_raise(shape: tuple[int, int], weight: float) -> None:
    with pytest.raises(ValueError, match="must"):
        blend_targets(np.zeros((1, 5), np.float32), np.full(shape, 0.5, np.float32), weight)
