"""What is judged, kept and served: an average of the weights over the last steps, not those of the last step.

The weights after a step carry the noise of its few films; their exponential moving average is steadier from
epoch to epoch and mostly better (Polyak and Juditsky 1992; Tarvainen and Valpola, arXiv:1703.01780;
Morales-Brotons et al., arXiv:2411.18704). Training itself goes on with the weights as they are.

Keras' own average (`use_ema` of optimizers) would not do: it belongs to one optimizer, so that it is lost
when the backbone begins to learn; it has no gentle beginning for short runs; and it overwrites the trained
weights at the end of each phase.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_Update = Callable[[tf.Tensor], None]


def decay_after(steps: int, decay: float) -> float:
    """The share of the former average that stays when `steps` (from 0) were averaged before.

    It rises to `decay`, so that an average of few steps does not consist of the start (the schedule of
    `tf.train.ExponentialMovingAverage`).
    """
    return min(decay, (1 + steps) / (10 + steps))


class WeightAverage(keras.callbacks.Callback):
    """After each step: average = d average + (1 - d) weights, with d = `decay_after`, over the whole run.

    Weights that do not learn yet are their own average; once they learn, theirs goes on from there. At an
    epoch's end the averages take the weights' place, for the callbacks between this one and `trained_again`,
    which must come after all that judge or keep weights, and before the backup.

    With `start_share` s what takes the weights' place is s start + (1 - s) average, the start being the
    network's weights when this is made: halfway between them a network does better than at either end, if
    little data moved it from a good start (WiSE-FT: Wortsman et al., arXiv:2109.01903).

    It runs between two steps, on the device, in one graph: nothing waits for it.
    """

    async_safe = True
    name = "averaging"

    def __init__(self, network: keras.Model, decay: float, start_share: float = 0.0) -> None:
        super().__init__()
        self.steps = 0
        self._start_share = start_share
        self._start = [_value(variable) for variable in network.variables] if start_share else []
        self.trained_again = _TrainedAgain(self)
        self._network, self._decay = network, decay
        self._averages: dict[int, keras.Variable] = {}
        self._trained: dict[int, NDArray[np.float32]] = {}
        self._update: _Update = _nothing
        self._is_due = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Another phase: follow what learns in it."""
        strategy = self._network.distribute_strategy
        weights = [self._network.variables[place] for place in self._learning()]
        with strategy.scope():
            for place, weight in zip(self._learning(), weights, strict=True):
                if place not in self._averages:
                    self._averages[place] = _like(keras.ops.convert_to_numpy(weight))
        averages = [self._averages[place] for place in self._learning()]
        self._update = _make_update(strategy, averages, weights)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """No step was made yet."""
        self._is_due = False

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Average the step before. Not in ``on_train_batch_end``: that runs beside the steps."""
        if self._is_due:
            self._average()
        self._is_due = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Average the last step; from here to `trained_again` the network has the averages as weights."""
        self._average()
        self._trained = {place: _value(self._network.variables[place]) for place in self._averages}
        self._assign({place: self._towards_start(place, mean) for place, mean in self.arrays().items()})

    def go_on(self) -> None:
        """Put the trained weights back."""
        self._assign(self._trained)
        self._trained = {}

    def arrays(self) -> dict[int, NDArray[np.float32]]:
        """The averages by place among the network's variables, for the backup."""
        return {place: _value(average) for place, average in self._averages.items()}

    def put_back(self, arrays: Mapping[int, NDArray[np.float32]]) -> None:
        """As they were when `arrays` was taken."""
        with self._network.distribute_strategy.scope():
            self._averages = {place: _like(array) for place, array in arrays.items()}

    def state(self) -> dict[str, Any]:
        """For the backup."""
        return {"steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        """As it was."""
        self.steps = state["steps"]

    def commit(self) -> None:
        """No file shows it."""

    def _learning(self) -> list[int]:
        learning = {id(variable) for variable in self._network.trainable_variables}
        return [i for i, variable in enumerate(self._network.variables) if id(variable) in learning]

    def _average(self) -> None:
        with self._network.distribute_strategy.scope():
            self._update(tf.constant(1.0 - decay_after(self.steps, self._decay), tf.float32))
        self.steps += 1

    def _towards_start(self, place: int, average: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._start_share:
            return average
        return self._start_share * self._start[place] + (1.0 - self._start_share) * average

    def _assign(self, arrays: Mapping[int, NDArray[np.float32]]) -> None:
        for place, array in arrays.items():
            self._network.variables[place].assign(array)


class _TrainedAgain(keras.callbacks.Callback):
    """The end of an epoch's judging."""

    async_safe = True
    stateless = True

    def __init__(self, average: WeightAverage) -> None:
        super().__init__()
        self._average = average

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """The trained weights are the network's again."""
        self._average.go_on()


def _nothing(_: tf.Tensor) -> None:
    """Before the first phase there is nothing to average."""


def _like(value: NDArray[np.float32]) -> keras.Variable:
    return keras.Variable(value, trainable=False, dtype="float32")


def _value(variable: keras.Variable) -> NDArray[np.float32]:
    """A copy: on a CPU an array could be the variable's own memory."""
    return np.array(keras.ops.convert_to_numpy(variable))


def _make_update(
    strategy: tf.distribute.Strategy, averages: list[keras.Variable], weights: list[keras.Variable]
) -> _Update:
    """share -> every average moves that share of the way to its weight, on each device."""
    pairs = [(average.value, weight.value) for average, weight in zip(averages, weights, strict=True)]

    def approach(average: tf.Variable, weight: tf.Variable, share: tf.Tensor) -> tf.Tensor:
        return average.assign_add(share * (weight - average))

    @tf.function
    def update(share: tf.Tensor) -> None:
        for average, weight in pairs:
            strategy.extended.update(average, approach, args=(weight, share), group=True)

    return update
