"""A run of `fit` on a tiny network: its files, its decisions, and what it does in trouble."""

from __future__ import annotations

import csv
import errno
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss, roc_auc_score

from cxrbatch.bundles.network import in_mixed_precision
from cxrbatch.stopping import StopNow, StopRequested
from cxrbatch.training import checkpoint, fitting, guard
from cxrbatch.training.network import StartedNetwork, trainable_form
from cxrbatch.training.records import TrainingError
from cxrbatch.training.settings import TrainSettings, make_plan

STEPS, BATCH, COUNT = 3, 4, 30
Stream = Callable[[int], tf.data.Dataset]


def network() -> StartedNetwork:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(keras.layers.BatchNormalization()(x)))
    classifier = keras.Model(inputs, keras.layers.Dense(3, activation="sigmoid")(x))
    return StartedNetwork(classifier, trainable_form(classifier, 0.1, 0), "keras", (), (), ("A", "B", "C"))


@pytest.fixture
def films() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(COUNT, 8, 8, 1)).astype(np.float32)
    y = (x.mean((1, 2)) + random.normal(0, 0.1, (COUNT, 3)) > 0).astype(np.float32)
    y[random.random(y.shape) < 0.2] = np.nan
    return x, y


def run(
    out: Path,
    films: tuple[np.ndarray, np.ndarray],
    stream: Stream | None = None,
    labels: np.ndarray | None = None,
    started: StartedNetwork | None = None,
    identity: str = "one",
    stop: StopRequested | None = None,
    **changed: Any,
) -> fitting.Fitted:
    x, y = films
    rates = {"learning_rate": 0.05, "warmup_learning_rate": 0.05}
    settings = TrainSettings(**({"epochs": 4, "warmup_epochs": 2, "batch_size": BATCH, **rates} | changed))
    return fitting.fit(
        started or network(),
        stream or (lambda _: tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(BATCH)),
        STEPS,
        tf.data.Dataset.from_tensor_slices((x, y)).batch(7),
        y if labels is None else labels,
        None,
        make_plan("full", settings),
        settings,
        out,
        identity,
        stop,
    )


def table(out: Path) -> list[dict[str, str]]:
    with (out / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_its_files_and_figures(
    tmp_path: Path, films: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = []
    begin = guard.Guard.on_epoch_begin

    def noted(self: guard.Guard, epoch: int, logs: Any = None) -> None:
        begin(self, epoch, logs)
        rates.append((float(self.model.optimizer.learning_rate), len(self.model.trainable_variables)))

    monkeypatch.setattr(guard.Guard, "on_epoch_begin", noted)
    started = network()
    asked = {"learning_rate": 0.01, "unfreeze": 1.0, "averaging": 0.0}
    fitted = run(tmp_path, films, started=started, **asked)
    assert rates == [(pytest.approx(0.05), 2)] * 2 + [(pytest.approx(0.01), 3)] * 2
    rows = table(tmp_path)
    assert [(r["epoch"], r["step"], r["deep"]) for r in rows] == [
        ("1", "3", "0"),
        ("2", "6", "0"),
        ("3", "9", "1"),
        ("4", "12", "1"),
    ]
    assert fitted.history.column("learning_rate") == pytest.approx([0.05, 0.05, 0.01, 0.01])
    assert fitted.epochs == 4
    assert not fitted.stopped_early
    assert not fitted.interrupted
    # The last weights are those in memory, and validation is of all films at once, unknown labels left out.
    x, y = films
    last = network().classifier
    last.load_weights(tmp_path / "checkpoints/last.weights.h5")
    scores = last(x).numpy()
    np.testing.assert_array_equal(scores, started.classifier(x).numpy())
    known = ~np.isnan(y)
    areas = [roc_auc_score(y[known[:, j], j], scores[known[:, j], j]) for j in range(3)]
    assert float(rows[-1]["val_macro_auroc"]) == pytest.approx(np.mean(areas), abs=1e-6)
    assert float(rows[-1]["val_loss"]) == pytest.approx(log_loss(y[known], scores[known]), rel=1e-5)
    # The best ones belong to the best epoch.
    best = int(np.argmax([float(r["val_macro_auroc"]) for r in rows]))
    assert fitted.best_epoch == best + 1
    last.load_weights(fitted.best_weights)
    scores = last(x).numpy()
    areas = [roc_auc_score(y[known[:, j], j], scores[known[:, j], j]) for j in range(3)]
    assert fitted.best_macro_auroc == pytest.approx(np.mean(areas), abs=1e-6)
    # A finished run is finished.
    again = run(tmp_path, films, stream=_no_stream, **asked)
    assert again == fitted
    assert table(tmp_path) == rows
    with pytest.raises(TrainingError, match=r"other data, with other settings.*4 epochs"):
        run(tmp_path, films, identity="another")


def _no_stream(_: int) -> tf.data.Dataset:
    raise AssertionError("nothing is left to train")


def test_early_stopping_counts_after_the_warmup(tmp_path: Path, films: tuple[np.ndarray, np.ndarray]) -> None:
    """Nothing ever improves: the weights do not move."""
    fitted = run(
        tmp_path,
        films,
        epochs=12,
        warmup_epochs=4,
        early_stopping_patience=2,
        reduce_lr_patience=2,
        reduce_lr_factor=0.5,
        learning_rate=1e-7,
        warmup_learning_rate=1e-7,
        weight_decay=0.0,
    )
    assert fitted.stopped_early
    assert fitted.epochs == 4 + 1 + 2
    assert fitted.best_epoch == 1


def test_plateaus_cut_the_rate(tmp_path: Path, films: tuple[np.ndarray, np.ndarray]) -> None:
    """Constant inputs: AUROC stays at 0.5."""
    x, y = films
    fitted = run(tmp_path, (np.zeros_like(x), y), epochs=5, warmup_epochs=5, reduce_lr_patience=2)
    assert fitted.history.column("val_macro_auroc").tolist() == [0.5] * 5
    assert fitted.history.column("learning_rate") == pytest.approx([0.05] * 3 + [0.015] * 2)


def test_with_epochs_fixed_beforehand_validation_decides_nothing(
    tmp_path: Path, films: tuple[np.ndarray, np.ndarray]
) -> None:
    """Labels of validation turned upside down: the same weights, and the last."""
    _, y = films
    changed = {"keep": "last", "epochs": 5, "early_stopping_patience": 1, "reduce_lr_patience": 1}
    started = [network(), network()]
    fitted = [
        run(tmp_path / str(i), films, labels=labels, started=started[i], averaging=0.0, **changed)
        for i, labels in enumerate((y, 1.0 - y))
    ]
    assert [one.best_epoch for one in fitted] == [one.epochs for one in fitted] == [5, 5]
    assert [one.best_macro_auroc for one in fitted] == [None, None]
    assert fitted[0].history.column("learning_rate") == pytest.approx([0.05] * 5)
    last = [weight.copy() for weight in started[0].classifier.get_weights()]
    for one, other in zip(started, fitted, strict=True):
        one.classifier.load_weights(other.best_weights)
        for kept, wanted in zip(one.classifier.get_weights(), last, strict=True):
            np.testing.assert_allclose(kept, wanted, atol=1e-6)


def test_a_finding_with_one_class_is_left_out(tmp_path: Path, films: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = films
    labels = y.copy()
    labels[labels[:, 1] == 1, 1] = np.nan
    started = network()
    fitted = run(tmp_path, films, labels=labels, started=started, epochs=1, warmup_epochs=1)
    scores, known = started.classifier(x).numpy(), ~np.isnan(labels)
    areas = [roc_auc_score(labels[known[:, j], j], scores[known[:, j], j]) for j in (0, 2)]
    assert fitted.best_macro_auroc == pytest.approx(np.mean(areas))


def test_without_any_auroc_the_least_loss_is_best(
    tmp_path: Path, films: tuple[np.ndarray, np.ndarray]
) -> None:
    fitted = run(tmp_path, films, labels=np.zeros((COUNT, 3), np.float32), epochs=3, warmup_epochs=3)
    losses = fitted.history.column("val_loss")
    assert fitted.best_macro_auroc is None
    assert fitted.best_epoch == 1 + int(np.argmin(losses))
    assert [row["val_macro_auroc"] for row in table(tmp_path)] == [""] * 3


def test_validation_without_labels_is_refused(tmp_path: Path, films: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(TrainingError, match="None of the 30 validation films"):
        run(tmp_path, films, labels=np.full((COUNT, 3), np.nan, np.float32))


def test_loss_that_is_no_number_stops_and_keeps_what_was(
    tmp_path: Path, films: tuple[np.ndarray, np.ndarray]
) -> None:
    """The second step of the second epoch meets a film that holds infinity."""
    x, y = films

    def stream(first_epoch: int) -> tf.data.Dataset:
        long, targets = np.tile(x, (3, 1, 1, 1)), np.nan_to_num(np.tile(y, (3, 1)))
        long[(STEPS + 1) * BATCH] = np.inf
        whole = tf.data.Dataset.from_tensor_slices((long, targets)).batch(BATCH).repeat()
        return whole.skip(first_epoch * STEPS)

    with pytest.raises(TrainingError, match=r"epoch 2, step 2 \(5 in all\).*rate of 0\.05.*Try") as caught:
        run(tmp_path, films, stream=stream)
    assert str(tmp_path / "checkpoints") in str(caught.value)
    assert len(table(tmp_path)) == 1
    kept = network().classifier
    for name in ("best", "last"):
        kept.load_weights(tmp_path / f"checkpoints/{name}.weights.h5")
        assert np.isfinite(kept(x)).all()


def test_a_stop_leaves_the_run_to_go_on(
    tmp_path: Path, films: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, begin = StopRequested(), guard.Guard.on_epoch_begin

    def pressed(self: guard.Guard, epoch: int, logs: Any = None) -> None:
        begin(self, epoch, logs)
        if epoch == 1:
            stop._signal = 15

    monkeypatch.setattr(guard.Guard, "on_epoch_begin", pressed)
    fitted = run(tmp_path, films, stop=stop)
    assert fitted.interrupted
    assert fitted.epochs == 1
    monkeypatch.undo()
    on = run(tmp_path, films, stop=StopRequested())
    assert not on.interrupted
    assert on.history.column("epoch").tolist() == [1, 2, 3, 4]
    assert on.history.column("step").tolist() == [3, 6, 9, 12]


FULL = (
    OSError(errno.ENOSPC, "No space left on device"),
    OSError("Can't synchronously write data (file write failed: errno = 28, error message = '...')"),
    RuntimeError("Can't decrement id ref count (errno = 28, error message = 'No space left on device')"),
)


@pytest.mark.parametrize("error", FULL, ids=["errno", "text", "while closing"])
def test_full_disk_at_a_checkpoint(
    tmp_path: Path,
    films: tuple[np.ndarray, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    path = tmp_path / "checkpoints" / "best.weights.h5"
    path.parent.mkdir()
    path.write_bytes(b"the one before")

    def half(self: keras.Model, filepath: str, overwrite: bool = True) -> None:
        Path(filepath).write_bytes(b"half")
        raise error

    monkeypatch.setattr(keras.Model, "save_weights", half)
    keeping = checkpoint.AtomicCheckpoint(path, network().classifier, None, "max")
    keeping.set_model(network().trainable)
    with pytest.raises(TrainingError, match=r"The disk is full.*checkpoint.*same command again"):
        keeping.on_epoch_end(0, {"val_loss": 1.0})
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == b"the one before"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_learns_and_goes_on(
    tmp_path: Path, films: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    def mixed() -> StartedNetwork:
        exact = network()
        classifier = in_mixed_precision(exact.classifier, policy)
        return replace(exact, classifier=classifier, trainable=trainable_form(classifier, 0.0, 0))

    scaled = []
    begin = guard.Guard.on_epoch_begin

    def stop_after_three(self: guard.Guard, epoch: int, logs: Any = None) -> None:
        begin(self, epoch, logs)
        scaled.append(isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer))
        if epoch == 3:
            raise StopNow

    monkeypatch.setattr(guard.Guard, "on_epoch_begin", stop_after_three)
    assert run(tmp_path, films, started=mixed()).epochs == 3
    assert scaled == [policy == "mixed_float16"] * 4
    monkeypatch.undo()
    fitted = run(tmp_path, films, started=mixed())
    assert fitted.epochs == 4
    loss = fitted.history.column("loss")
    assert loss[-1] < loss[0]
    assert keras.ops.dtype(mixed().trainable(films[0])) == "float32"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs may be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_really_full_disk(
    tiny_disk: Path, films: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, ballast = guard.Guard.on_epoch_begin, tiny_disk / "ballast"

    def fill(self: guard.Guard, epoch: int, logs: Any = None) -> None:
        begin(self, epoch, logs)
        if epoch == 2:
            with suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

    monkeypatch.setattr(guard.Guard, "on_epoch_begin", fill)
    with pytest.raises(TrainingError, match="The disk is full"):
        run(tiny_disk / "train", films)
    assert len(table(tiny_disk / "train")) == 2
    assert not list(tiny_disk.rglob(".cxrbatch-tmp-*"))
    monkeypatch.undo()
    ballast.unlink()
    fitted = run(tiny_disk / "train", films)
    assert fitted.history.column("epoch").tolist() == [1, 2, 3, 4]


def test_a_checkpoint_that_was_removed_is_missed(
    tmp_path: Path, films: tuple[np.ndarray, np.ndarray]
) -> None:
    fitted = run(tmp_path, films, epochs=1, warmup_epochs=1)
    fitted.best_weights.unlink()
    with pytest.raises(TrainingError, match=r"best\.weights\.h5 is gone"):
        run(tmp_path, films, epochs=1, warmup_epochs=1)
