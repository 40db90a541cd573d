"""All that a run needs to go on after ``kill -9``, in one file that is replaced at each epoch's end.

Keras' BackupAndRestore saves weights, optimizer and epoch, but no callback's state: after a resume a best
checkpoint of 0.9 is overwritten by one of 0.5, early stopping forgets its count, and the history is lost.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.training.averaging import WeightAverage
from cxrbatch.training.disk import writing
from cxrbatch.training.network import Phase
from cxrbatch.training.records import TrainingError

VERSION = 2

_STOCK: dict[type[keras.callbacks.Callback], tuple[str, ...]] = {
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.EarlyStopping: ("best", "wait", "best_epoch", "stopped_epoch"),
}
"""State of Keras' own callbacks that begin anew with each phase (in ``on_train_begin``)."""


@runtime_checkable
class Remembers(Protocol):
    """A callback of ours with a state that outlives a phase. `state` must be fit for JSON."""

    name: str

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""

    def restore(self, state: dict[str, Any]) -> None:
        """As it was when `state` was taken."""

    def commit(self) -> None:
        """The epoch is recorded: files that show it may be put in place."""


@dataclass(frozen=True)
class State:
    """A run after `epoch` finished epochs.

    `phase` is that of the last one, `stopped` whether early stopping ended the run with it. `callbacks`: name
    -> state. `model` and `optimizer` are their variables in order, `average` averages of weights by their
    place among the model's variables (empty without averaging).
    """

    identity: str
    phase: Phase
    epoch: int
    stopped: bool
    callbacks: dict[str, dict[str, Any]]
    model: list[NDArray[Any]]
    optimizer: list[NDArray[Any]]
    average: dict[int, NDArray[Any]] = field(default_factory=dict)


def read_state(path: Path, identity: str) -> State | None:
    """What a former start left in `path`; None if there is nothing.

    Raises:
        TrainingError: it is of another run (other data, settings or start), of another version, or damaged.
    """
    if not path.exists():
        return None
    fresh = "start in another --out"
    try:
        with np.load(path, allow_pickle=False) as file:
            head = json.loads(file["head"].tobytes())
            model = [file[f"model_{i:05d}"] for i in range(head["model"])]
            optimizer = [file[f"optimizer_{i:05d}"] for i in range(head["optimizer"])]
            average = {i: file[f"average_{i:05d}"] for i in head.get("average", ())}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} is damaged ({error}): {fresh}.") from error
    if head.get("version") != VERSION:
        raise TrainingError(f"{path} is of another version of cxrbatch: go on with that, or {fresh}.")
    if head["identity"] != identity:
        raise TrainingError(
            f"{path.parent.parent} holds a training run on other data, with other settings or from another "
            f"start ({head['identity'][:12]}, asked for is {identity[:12]}), {head['epoch']} epochs long: "
            f"give the same images, labels, settings and --init to go on with it, or {fresh}."
        )
    return State(
        identity=identity,
        phase=head["phase"],
        epoch=head["epoch"],
        stopped=head["stopped"],
        callbacks=head["callbacks"],
        model=model,
        optimizer=optimizer,
        average=average,
    )


def write_state(path: Path, state: State) -> None:
    """Replace `path` in one rename, flushed to disk: a crash leaves the former state or this one.

    Raises:
        TrainingError: the disk is full, or the folder is not writable.
    """
    head = {
        "version": VERSION,
        "identity": state.identity,
        "epoch": state.epoch,
        "phase": state.phase,
        "stopped": state.stopped,
        "callbacks": state.callbacks,
        "model": len(state.model),
        "optimizer": len(state.optimizer),
        "average": list(state.average),
    }
    arrays: dict[str, Any] = {f"model_{i:05d}": array for i, array in enumerate(state.model)}
    arrays |= {f"optimizer_{i:05d}": array for i, array in enumerate(state.optimizer)}
    arrays |= {f"average_{i:05d}": array for i, array in state.average.items()}
    buffer = io.BytesIO()
    np.savez(buffer, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)
    with writing(path, "the backup of this epoch"):
        write_atomic(path, buffer.getvalue())


class BackupAndRestore(keras.callbacks.Callback):
    """Backs up at each epoch's end and, in a new process, puts everything back as it was.

    It must be the last of the callbacks: stock ones forget their state in ``on_train_begin``, and at an
    epoch's end all of them have to be through before they are backed up. `callbacks` are the others; one
    that could be forgotten is refused. `average` is the one among them with arrays to keep.

    Raises:
        TypeError: a callback neither `Remembers`, nor is known, nor says that it has no state
            (``stateless = True``).
    """

    async_safe = True

    def __init__(
        self,
        path: Path,
        identity: str,
        phase: Phase,
        callbacks: Sequence[keras.callbacks.Callback],
        state: State | None = None,
        average: WeightAverage | None = None,
    ) -> None:
        super().__init__()
        for callback in callbacks:
            if not (isinstance(callback, (Remembers, *_STOCK)) or getattr(callback, "stateless", False)):
                raise TypeError(f"{type(callback).__name__} does not say what of it must be backed up")
        self._path, self._identity, self._phase = path, identity, phase
        self._others = tuple(callbacks)
        self._state, self._average = state, average

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Put back what belongs to this phase, if `state` was taken in it."""
        optimizer = self.model.optimizer
        optimizer.build(self.model.trainable_variables)
        if self._state is None or self._state.phase != self._phase:
            return
        assign(optimizer.variables, self._state.optimizer, self._path)
        for callback in self._others:
            for name in _attributes(callback):
                setattr(callback, name, self._state.callbacks[type(callback).__name__][name])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch, then let the others put their files in place."""
        write_state(
            self._path,
            State(
                identity=self._identity,
                phase=self._phase,
                epoch=epoch + 1,
                stopped=bool(self.model.stop_training),
                callbacks=dict(_remembered(callback) for callback in self._others if _has_state(callback)),
                model=_values(self.model.variables),
                optimizer=_values(self.model.optimizer.variables),
                average={} if self._average is None else self._average.arrays(),
            ),
        )
        for callback in self._others:
            if isinstance(callback, Remembers):
                callback.commit()


def assign(variables: Sequence[keras.Variable], values: Sequence[NDArray[Any]], path: Path) -> None:
    """Give `variables` the `values` read from `path`, in order.

    Raises:
        TrainingError: they are of another network.
    """
    if [tuple(v.shape) for v in variables] != [v.shape for v in values]:
        raise TrainingError(
            f"{path} is of another network, or was written by another version of Keras: "
            "start in another --out."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _has_state(callback: keras.callbacks.Callback) -> bool:
    return isinstance(callback, (Remembers, *_STOCK))


def _remembered(callback: keras.callbacks.Callback) -> tuple[str, dict[str, Any]]:
    if isinstance(callback, Remembers):
        return callback.name, callback.state()
    values = {name: getattr(callback, name) for name in _attributes(callback)}
    return type(callback).__name__, {
        name: value if value is None or isinstance(value, int) else float(value)
        for name, value in values.items()
    }


def _attributes(callback: keras.callbacks.Callback) -> tuple[str, ...]:
    return next((names for kind, names in _STOCK.items() if isinstance(callback, kind)), ())


def _values(variables: Sequence[keras.Variable]) -> list[NDArray[Any]]:
    return [keras.ops.convert_to_numpy(variable) for variable in variables]
