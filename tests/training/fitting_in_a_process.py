"""Runs of `fit` on a tiny network, in processes that may be killed; started by test_resume.py.

    python fitting_in_a_process.py FOLDER KILL [KILL ...]

TensorFlow takes long to import and must not compute before a fork: so it is imported once, and each run is
a fork of this process that has not computed anything. Prints one line of JSON: exit status by run.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

from cxrbatch.training import backup, checkpoint, fitting, guard, history
from cxrbatch.training.loss import finding_weights
from cxrbatch.training.network import StartedNetwork, trainable_form
from cxrbatch.training.settings import TrainSettings, make_plan

STEPS, BATCH, EPOCHS, WARMUP, FILMS = 4, 4, 8, 2, 96
KILLS = {
    "mid-epoch-of-warmup": ("step", 1, 2),
    "mid-epoch": ("step", 4, 1),
    "first-step-of-the-second-phase": ("step", 2, 0),
    "validation": ("validated", 3),
    "between-checkpoint-and-backup": ("staged", 4),
    "in-the-backup's-writing": ("half-written", 3),
    "between-backup-and-commit": ("recorded", 3),
    "before-the-history-is-written": ("history", 4),
}


def network() -> StartedNetwork:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((12, 12, 1))
    x = inputs
    for filters in (4, 6):
        x = keras.layers.Conv2D(filters, 3, strides=2, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    classifier = keras.Model(inputs, keras.layers.Dense(3, activation="sigmoid")(x))
    return StartedNetwork(classifier, trainable_form(classifier, 0.3, 5), "keras", (), (), ("A", "B", "C"))


def films(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 12, 12, 1)).astype(np.float32)
    y = (x[:, ::4, ::4, 0].reshape(count, -1)[:, :3] + random.normal(0, 0.4, (count, 3)) > 0).astype("f4")
    y[random.random(y.shape) < 0.2] = np.nan
    return x, y


def train(out: Path) -> fitting.Fitted:
    x, y = films(FILMS, 1)
    val_x, val_y = films(40, 2)

    def stream(first_epoch: int) -> tf.data.Dataset:
        whole = tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(BATCH)
        return whole.skip(first_epoch * STEPS)

    # A high rate and little patience, so that the plateau cuts the rate within the run.
    settings = TrainSettings(
        epochs=EPOCHS,
        warmup_epochs=WARMUP,
        batch_size=BATCH,
        learning_rate=0.05,
        warmup_learning_rate=0.05,
        reduce_lr_patience=1,
        early_stopping_patience=3,
        unfreeze=1.0,
    )
    return fitting.fit(
        started=network(),
        stream=stream,
        steps_per_epoch=STEPS,
        validation=tf.data.Dataset.from_tensor_slices(val_x).batch(16),
        validation_labels=val_y,
        weights=finding_weights(y),
        plan=make_plan("full", settings),
        settings=settings,
        out=out,
        identity="the same",
    )


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _plant(kind: str, epoch: int, step: int = 0) -> None:
    """Die at that point of that epoch (from 0) of this process's run."""
    now = {"epoch": -1}
    begin = guard.Guard.on_epoch_begin

    def on_epoch_begin(self, number, logs=None):
        now["epoch"] = number
        begin(self, number, logs)

    guard.Guard.on_epoch_begin = on_epoch_begin

    def then_die(owner: type | object, name: str, before: bool, when=lambda *_: True) -> None:
        original = getattr(owner, name)

        def planted(*args, **kwargs):
            due = now["epoch"] == epoch and when(*args)
            if due and before:
                _die()
            result = original(*args, **kwargs)
            if due:
                _die()
            return result

        setattr(owner, name, planted)

    match kind:
        case "step":
            then_die(guard.Guard, "on_train_batch_begin", True, lambda _, batch, *__: batch == step)
        case "validated":
            then_die(fitting.ValidationScores, "on_epoch_end", False)
        case "staged":
            then_die(backup, "write_state", True)
        case "recorded":
            then_die(backup, "write_state", False)
        case "history":
            then_die(history.HistoryFile, "commit", True)
        case "half-written":

            def half(path: Path, data: bytes) -> None:
                if now["epoch"] == epoch:
                    path.with_name(f"{checkpoint.TEMPORARY_MARK}half").write_bytes(data[: len(data) // 2])
                    _die()
                write_atomic(path, data)

            write_atomic = backup.write_atomic
            backup.write_atomic = half
        case _:
            raise ValueError(kind)


def in_a_fork(out: Path, kill: tuple | None = None) -> int:
    """Exit status of a run in a process of its own; -9 when killed."""
    out.mkdir(exist_ok=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            # One thread: sums are added in one order, and runs can be compared bit by bit.
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            if kill is not None:
                _plant(*kill)
            fitted = train(out)
            account = [fitted.best_epoch, fitted.best_macro_auroc, fitted.epochs, fitted.stopped_early]
            (out / "fitted.json").write_text(json.dumps([*account, fitted.interrupted]))
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    folder = Path(sys.argv[1])
    statuses = {"whole": [in_a_fork(folder / "whole")]}
    for name in sys.argv[2:]:
        statuses[name] = [in_a_fork(folder / name, KILLS[name]), in_a_fork(folder / name)]
    statuses["again"] = [in_a_fork(folder / "whole")]
    print(json.dumps(statuses))


if __name__ == "__main__":
    main()
