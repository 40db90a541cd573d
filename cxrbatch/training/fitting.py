"""The training run itself: a warm-up of the head, then of the backbone's top too, resumable at any moment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.ledger.atomic import sweep_temporaries
from cxrbatch.stopping import StopNow, StopRequested
from cxrbatch.training.averaging import WeightAverage
from cxrbatch.training.backup import BackupAndRestore, Remembers, State, assign, read_state
from cxrbatch.training.checkpoint import AtomicCheckpoint
from cxrbatch.training.disk import writing
from cxrbatch.training.epoch_bar import EpochBar
from cxrbatch.training.guard import Guard
from cxrbatch.training.history import HistoryFile
from cxrbatch.training.loss import MaskedWeightedBinaryCrossentropy
from cxrbatch.training.network import Phase, StartedNetwork, set_phase
from cxrbatch.training.records import History, TrainingError
from cxrbatch.training.settings import Plan, TrainSettings
from cxrbatch.training.tensorboard_log import TensorBoardLog
from cxrbatch.training.validation_scores import ValidationScores, macro_auroc

Floats = NDArray[np.float32]

CHECKPOINTS, BACKUP, TENSORBOARD, HISTORY = "checkpoints", "backup", "tensorboard", "history.csv"
BEST, LAST, STATE = "best.weights.h5", "last.weights.h5", "state.npz"
LEAST_LEARNING_RATE = 1e-7
_log = logging.getLogger("cxrbatch")


@dataclass(frozen=True)
class Fitted:
    """How a run stands when `fit` returns.

    `best_weights` are of `StartedNetwork.classifier` in the epoch `best_epoch` (from 1; 0, and no file yet,
    when the run was interrupted in its first epoch), `best_macro_auroc` on the validation set is None when no
    finding there has both classes: then the best epoch is the one of least validation loss. With `keep`
    "last" the best epoch is the last finished one, and has no figure. `epochs` are finished ones, over all
    starts. `stopped_early`: validation stood still. `interrupted`: a stop was asked for, and the same call
    goes on from the last finished epoch.
    """

    best_weights: Path
    history: History
    best_epoch: int
    best_macro_auroc: float | None
    epochs: int
    stopped_early: bool
    interrupted: bool


@dataclass(frozen=True)
class _Stage:
    """Epochs [first, end) in which the same layers learn."""

    phase: Phase
    first: int
    end: int


def fit(
    started: StartedNetwork,
    stream: Callable[[int], tf.data.Dataset],
    steps_per_epoch: int,
    validation: tf.data.Dataset,
    validation_labels: Floats,
    weights: tuple[Floats, Floats] | None,
    plan: Plan,
    settings: TrainSettings,
    out: Path,
    identity: str,
    stop: StopRequested | None = None,
) -> Fitted:
    """Train `started` as `plan` says, writing checkpoints, history, logs and the backup below `out`.

    `stream(first_epoch)` is the endless dataset of (inputs, targets) as an uninterrupted run sees it from
    that epoch (from 0) on, in batches over all devices; targets (n, k) in [0, 1], NaN where unknown.
    `validation` gives the inputs (with or without targets) of `validation_labels` (m, k), in order. `weights`
    are those of `loss.finding_weights`. `identity` stands for data, settings and start: a run that finds a
    backup in `out` goes on from it, and only if it has the same. A finished run returns at once.

    What is judged and kept is the moving average of the weights (`WeightAverage`), if the settings ask for
    one; `started` is left with those of the last step.

    Early stopping begins with the last phase: during a warm-up it would measure the head's plateau, which
    the next phase is there to leave. Plateau and early stopping begin anew with it.

    Raises:
        TrainingError: the loss is NaN, the disk is full, `out` holds another run, or the validation set has
            no known label. What was trained up to the last finished epoch is kept.
    """
    run = _Run(started, plan, settings, out, identity, stop, steps_per_epoch)
    run.prepare(stream, validation, validation_labels, weights)
    interrupted = False
    try:
        for stage in run.stages_left():
            run.train(stage, stream(stage.first))
    except StopNow:
        interrupted = True
    finally:
        run.close()
    return run.fitted(interrupted)


def _stages(plan: Plan) -> Iterator[_Stage]:
    if plan.warmup_epochs:
        yield _Stage("head", 0, plan.warmup_epochs)
    if plan.epochs > plan.warmup_epochs:
        yield _Stage("deep", plan.warmup_epochs, plan.epochs)


class _Run:
    """What the stages of a run have in common."""

    def __init__(
        self,
        started: StartedNetwork,
        plan: Plan,
        settings: TrainSettings,
        out: Path,
        identity: str,
        stop: StopRequested | None,
        steps: int,
    ) -> None:
        self._started, self._plan, self._settings = started, plan, settings
        self._out, self._identity, self._steps = out, identity, steps
        self._guard = Guard(stop, out / CHECKPOINTS)
        self._state: State | None = None
        self._stopped_early = False
        self._chooses = settings.keep == "best"

    def prepare(
        self,
        stream: Callable[[int], tf.data.Dataset],
        validation: tf.data.Dataset,
        labels: Floats,
        weights: tuple[Floats, Floats] | None,
    ) -> None:
        """Folders, callbacks, and what a former start left."""
        if not np.isfinite(labels).any():
            raise TrainingError(
                f"None of the {len(labels)} validation films has a known label: training cannot tell its "
                "best epoch. Label some, or choose a larger validation_fraction."
            )
        self._judged = macro_auroc(labels, np.zeros_like(labels)) is not None
        if not self._judged and self._chooses:
            _log.warning(
                "No finding has both classes among the %d validation films: the best epoch is chosen by "
                "validation loss, as there is no AUROC.",
                len(labels),
            )
        for folder in (CHECKPOINTS, BACKUP, TENSORBOARD):
            with writing(self._out, "a folder"):
                (self._out / folder).mkdir(parents=True, exist_ok=True)
        sweep_temporaries(self._out / BACKUP)
        self._state = read_state(self._out / BACKUP / STATE, self._identity)
        self._loss = MaskedWeightedBinaryCrossentropy(*(weights or (None, None)))
        images = self._settings.batch_size
        self._history = HistoryFile(self._out / HISTORY, self._guard, images)
        self._bar = EpochBar(self._plan.epochs, self._steps, images)
        self._scores = ValidationScores(validation, labels, self._loss, self._guard)
        self._board = TensorBoardLog(self._out / TENSORBOARD, self._guard)
        monitor, mode = self._monitored()
        checkpoints, classifier = self._out / CHECKPOINTS, self._started.classifier
        kept_by = monitor if self._chooses else None
        self._best = AtomicCheckpoint(checkpoints / BEST, classifier, kept_by, mode)
        self._last = AtomicCheckpoint(checkpoints / LAST, classifier, None, mode)
        decay, share = self._settings.averaging, self._plan.start_share
        is_asked = decay > 0.0 or share > 0.0
        self._average = WeightAverage(self._started.trainable, decay, share) if is_asked else None
        self._restore()
        if self._state is None:
            inputs = next(iter(stream(0).take(1)))[0]
            self._board.images(inputs.numpy())

    def stages_left(self) -> Iterator[_Stage]:
        """What a former start did not finish."""
        for stage in _stages(self._plan):
            done = 0 if self._state is None else self._state.epoch
            if self._stopped_early:
                return
            if done < stage.end:
                yield _Stage(stage.phase, max(stage.first, done), stage.end)

    def train(self, stage: _Stage, films: tf.data.Dataset) -> None:
        """Epochs of one phase, by Keras' own loop."""
        model = self._started.trainable
        set_phase(self._started, stage.phase, self._settings.unfreeze)
        with model.distribute_strategy.scope():
            model.compile(optimizer=self._optimizer(stage.phase), loss=self._loss)
        self._history.phase = stage.phase
        callbacks = self._callbacks(stage)
        state = self._out / BACKUP / STATE
        backup = BackupAndRestore(state, self._identity, stage.phase, callbacks, self._state, self._average)
        model.fit(
            _undivided(films),
            epochs=stage.end,
            initial_epoch=stage.first,
            steps_per_epoch=self._steps,
            verbose=0,
            shuffle=False,
            callbacks=[*callbacks, backup],
        )
        self._stopped_early = bool(model.stop_training)

    def fitted(self, interrupted: bool) -> Fitted:
        """The account of the run so far."""
        best = self._best.best if self._judged and self._chooses else None
        return Fitted(
            best_weights=self._best.path,
            history=self._history.history,
            best_epoch=self._best.epoch,
            best_macro_auroc=None if best is None else float(best),
            epochs=len(self._history.history.rows),
            stopped_early=self._stopped_early,
            interrupted=interrupted,
        )

    def close(self) -> None:
        """The bar's line and the log's file."""
        self._bar.close()
        self._board.close()

    def _restore(self) -> None:
        """Weights, and the callbacks whose state outlives a phase; the backup does the others."""
        lasting: list[Remembers] = [self._guard, self._history, self._best, self._last]
        if self._state is None:
            self._best.discard_staged()
            self._last.discard_staged()
            return
        path = self._out / BACKUP / STATE
        assign(self._started.trainable.variables, self._state.model, path)
        for callback in lasting:
            callback.restore(self._state.callbacks[callback.name])
        if self._average is not None:
            self._average.restore(self._state.callbacks[self._average.name])
            self._average.put_back(self._state.average)
        self._stopped_early = self._state.stopped
        _log.info("Going on after epoch %d of %d.", self._state.epoch, self._plan.epochs)

    def _callbacks(self, stage: _Stage) -> list[keras.callbacks.Callback]:
        """In the order in which an epoch ends: judge, decide, stage files, write logs."""
        settings = self._settings
        monitor, mode = self._monitored()
        plateau = keras.callbacks.ReduceLROnPlateau(
            monitor=monitor,
            mode=mode,
            factor=settings.reduce_lr_factor,
            patience=settings.reduce_lr_patience,
            min_delta=0.0,
            min_lr=LEAST_LEARNING_RATE,
        )
        stopping = keras.callbacks.EarlyStopping(
            monitor=monitor, mode=mode, patience=settings.early_stopping_patience
        )
        last_phase = [stopping] if stage.end == self._plan.epochs else []
        steered = [plateau, *last_phase] if self._chooses else []
        written = [self._best, self._last, self._history, self._board, self._bar]
        judging = [self._scores, *steered, *written]
        if self._average is not None:
            judging = [self._average, *judging, self._average.trained_again]
        return [self._guard, *judging]

    def _monitored(self) -> tuple[str, Literal["min", "max"]]:
        return ("val_macro_auroc", "max") if self._judged else ("val_loss", "min")

    def _optimizer(self, phase: Phase) -> keras.optimizers.Optimizer:
        """AdamW (Loshchilov and Hutter, arXiv:1711.05101); biases do not decay."""
        settings = self._settings
        rate = settings.warmup_learning_rate if phase == "head" else settings.learning_rate
        optimizer = keras.optimizers.AdamW(learning_rate=rate, weight_decay=settings.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        # The policy is the layers', not the model's, and Keras would ask the model.
        if any(layer.compute_dtype == "float16" for layer in self._started.trainable.layers):
            return keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer


def _undivided(films: tf.data.Dataset) -> tf.data.Dataset:
    """Every device gets its part of each batch, not batches of its own from a part of the files."""
    options: Any = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return films.with_options(options)
