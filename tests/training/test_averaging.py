"""What is judged and kept is the moving average of the weights, over all steps of both phases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss, roc_auc_score

from cxrbatch.stopping import StopNow
from cxrbatch.training import fitting, guard
from cxrbatch.training.averaging import decay_after
from cxrbatch.training.network import StartedNetwork, trainable_form
from cxrbatch.training.settings import TrainSettings, make_plan

STEPS, BATCH, COUNT, DECAY = 3, 4, 30, 0.6
Weights = list[np.ndarray]


def network() -> StartedNetwork:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((8, 8, 1))
    x = inputs
    for filters in (4, 5):
        x = keras.layers.Conv2D(filters, 3, strides=2, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    classifier = keras.Model(inputs, keras.layers.Dense(3, activation="sigmoid")(x))
    return StartedNetwork(classifier, trainable_form(classifier, 0.0, 0), "keras", (), (), ("A", "B", "C"))


def films() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(COUNT, 8, 8, 1)).astype(np.float32)
    return x, (x.mean((1, 2)) + random.normal(0, 0.1, (COUNT, 3)) > 0).astype(np.float32)


def run(
    out: Path, averaging: float, started: StartedNetwork, start_share: float = 0.0, **changed: Any
) -> fitting.Fitted:
    x, y = films()
    settings = TrainSettings(
        epochs=5,
        warmup_epochs=2,
        batch_size=BATCH,
        learning_rate=0.05,
        warmup_learning_rate=0.05,
        # The first convolution never learns, the second from the third epoch on.
        unfreeze=0.5,
        averaging=averaging,
        start_share=start_share,
        **changed,
    )
    return fitting.fit(
        started,
        lambda epoch: tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(BATCH).skip(epoch * STEPS),
        STEPS,
        tf.data.Dataset.from_tensor_slices(x).batch(7),
        y,
        None,
        make_plan("full", settings),
        settings,
        out,
        "one",
    )


@pytest.fixture
def after_each_step(monkeypatch: pytest.MonkeyPatch) -> list[Weights]:
    """All weights of the network being trained, before its first step and after each."""
    found: list[Weights] = []
    begin, end = guard.Guard.on_train_batch_begin, guard.Guard.on_epoch_end

    def note_begin(self: guard.Guard, batch: int, logs: Any = None) -> None:
        if batch or not found:
            found.append([np.array(w) for w in self.model.get_weights()])
        begin(self, batch, logs)

    def note_end(self: guard.Guard, epoch: int, logs: Any = None) -> None:
        found.append([np.array(w) for w in self.model.get_weights()])
        end(self, epoch, logs)

    monkeypatch.setattr(guard.Guard, "on_train_batch_begin", note_begin)
    monkeypatch.setattr(guard.Guard, "on_epoch_end", note_end)
    return found


def averages(steps: list[Weights], decay: float) -> list[Weights]:
    """By the definition, in double precision."""
    now = [w.astype(np.float64) for w in steps[0]]
    found = [now]
    for n, weights in enumerate(steps[1:]):
        d = min(decay, (1 + n) / (10 + n))
        now = [d * a + (1 - d) * w for a, w in zip(now, weights, strict=True)]
        found.append(now)
    return found


def kept(path: Path) -> Weights:
    classifier = network().classifier
    classifier.load_weights(path)
    return classifier.get_weights()


def require_close(one: Weights, other: Weights) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_checkpoints_are_the_average_of_all_steps(tmp_path: Path, after_each_step: list[Weights]) -> None:
    started = network()
    fitted = run(tmp_path, DECAY, started)
    assert len(after_each_step) == 1 + 5 * STEPS
    expected = averages(after_each_step, DECAY)
    require_close(kept(tmp_path / "checkpoints/last.weights.h5"), expected[-1])
    require_close(kept(fitted.best_weights), expected[fitted.best_epoch * STEPS])
    # The network itself is left as it was trained; a second convolution learned, the first did not.
    for weights, last in zip(started.trainable.get_weights(), after_each_step[-1], strict=True):
        np.testing.assert_array_equal(weights, last)
    moved = [np.abs(a - b).max() > 1e-3 for a, b in zip(after_each_step[-1], expected[-1], strict=True)]
    assert sum(moved) == 3
    # What was judged are the averages of each epoch.
    x, y = films()
    judge = network().classifier
    for epoch in range(1, 6):
        judge.set_weights(expected[epoch * STEPS])
        scores = judge(x).numpy().astype(np.float64)
        row = epoch - 1
        assert fitted.history.column("val_loss")[row] == pytest.approx(
            log_loss(y.ravel(), scores.ravel()), rel=1e-4
        )
        area = np.mean([roc_auc_score(y[:, j], scores[:, j]) for j in range(3)])
        assert fitted.history.column("val_macro_auroc")[row] == pytest.approx(area, abs=1e-6)


@pytest.mark.parametrize("decay", [DECAY, 0.0])
def test_a_share_of_the_start_is_kept(tmp_path: Path, after_each_step: list[Weights], decay: float) -> None:
    run(tmp_path, decay, network(), start_share=0.25)
    average = averages(after_each_step, decay)[-1]
    pairs = zip(after_each_step[0], average, strict=True)
    require_close(kept(tmp_path / "checkpoints/last.weights.h5"), [0.25 * a + 0.75 * b for a, b in pairs])


def test_a_resumed_run_has_the_same_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped before its fourth epoch, and begun again from a network as it was at first."""
    begin = guard.Guard.on_epoch_begin

    def stopped(self: guard.Guard, epoch: int, logs: Any = None) -> None:
        if epoch == 3:
            raise StopNow
        begin(self, epoch, logs)

    run(tmp_path / "whole", DECAY, network(), start_share=0.5)
    with monkeypatch.context() as patched:
        patched.setattr(guard.Guard, "on_epoch_begin", stopped)
        assert run(tmp_path / "parted", DECAY, network(), start_share=0.5).interrupted
    assert run(tmp_path / "parted", DECAY, network(), start_share=0.5).epochs == 5
    last = "checkpoints/last.weights.h5"
    require_close(kept(tmp_path / "parted" / last), kept(tmp_path / "whole" / last))


def test_training_does_not_notice(tmp_path: Path) -> None:
    """The trajectory is bit by bit the one without an average (plateaus do not cut in 3 epochs)."""
    one, other = network(), network()
    with_average, without = run(tmp_path / "a", DECAY, one), run(tmp_path / "b", 0.0, other)
    assert with_average.history.column("loss").tolist() == without.history.column("loss").tolist()
    for a, b in zip(one.trainable.get_weights(), other.trainable.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert with_average.history.column("val_loss").tolist() != without.history.column("val_loss").tolist()


@pytest.mark.parametrize("steps", [0, 1, 7, 100, 5000])
def test_the_decay_rises_as_in_tensorflow(steps: int) -> None:
    variable = tf.Variable(0.0)
    oracle = tf.train.ExponentialMovingAverage(0.99, num_updates=steps)
    oracle.apply([variable])
    variable.assign(1.0)
    oracle.apply([variable])
    assert 1.0 - decay_after(steps, 0.99) == pytest.approx(float(oracle.average(variable)), abs=1e-6)
