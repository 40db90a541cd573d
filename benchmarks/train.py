"""Training throughput: `cxrbatch train`'s own loop on its own stream, against a bare `model.fit`.

    python benchmarks/train.py [--size 320] [--batch-size 8] [--steps 20] [--rounds 3] [--phase deep|head]

Both train the same network with the same loss and optimizer, batch size and number of steps: the one through
`fitting.fit` with its callbacks, films read from a warm cache and augmented; the other by Keras alone on the
tensors of the first batches, held in memory. An epoch's own training is timed, without validation and
without the first epoch, in which the network is compiled. The two take turns, so that a machine that grows
busy slows down both. The ratio of the medians should be at least 0.85.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from parts.figures import Figure, conclude

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from PIL import Image

from cxrbatch.chatter import imports_kept_quiet

with imports_kept_quiet():  # here and in the decoding processes, which import this file too
    import keras

    from cxrbatch.bundles.bundle import open_bundle
    from cxrbatch.intake.records import FileKind
    from cxrbatch.pipeline.decoder_pool import FilmFile
    from cxrbatch.pipeline.input_spec import InputSpec
    from cxrbatch.training.devices import precision_policy
    from cxrbatch.training.film_store import FilmStore
    from cxrbatch.training.fitting import fit
    from cxrbatch.training.loss import MaskedWeightedBinaryCrossentropy
    from cxrbatch.training.network import StartedNetwork, set_phase, start_network
    from cxrbatch.training.settings import KNOWN_START_SHARE, Plan, TrainSettings
    from cxrbatch.training.stream import evaluation_batches, training_stream

TARGET = 0.85
FINDINGS = ("Effusion", "Mass", "Nodule")
EPOCHS = 4
"""Of each turn; the first compiles."""


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="cxrbatch-bench-") as name:
        bench = Bench(arguments, Path(name))
        ours, bare = [], []
        for number in range(arguments.rounds):
            ours += bench.ours(number)
            bare += bench.bare()
    one, other = float(np.median(ours)), float(np.median(bare))
    for what, rates in (("cxrbatch train", ours), ("bare model.fit", bare)):
        spread = f"{min(rates):.1f} to {max(rates):.1f}"
        print(f"{what}: {np.median(rates):.1f} images/s (median of {len(rates)} epochs, {spread})")
    learns = "the head alone" if arguments.phase == "head" else "the top of the backbone too"
    name = f"training throughput against a bare model.fit, {learns} learning"
    conclude([Figure(name, one / other, "x", at_least=TARGET)])


class Bench:
    """Films in a warm cache, and the two ways to train on them."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self._batch, self._steps, self._folder = arguments.batch_size, arguments.steps, folder
        self._init = open_bundle("cxr-lite")
        size = {"height": arguments.size, "width": arguments.size}
        self._spec: InputSpec = self._init.card.input.model_copy(update=size)
        self._settings = TrainSettings(batch_size=self._batch)
        self._phase = arguments.phase
        warmup = EPOCHS if arguments.phase == "head" else 0
        self._plan = Plan(
            mode="full",
            epochs=EPOCHS,
            warmup_epochs=warmup,
            steps_per_epoch=self._steps,
            validation_steps=None,
            start_share=KNOWN_START_SHARE,
        )
        films = _films(folder / "films", 8 * self._batch)
        random = np.random.default_rng(0)
        self._targets = (random.random((len(films), len(FINDINGS))) < 0.3).astype(np.float32)
        self._films = films
        self._store = FilmStore(folder / "cache", self._spec)
        assert not self._store.prepare(films, 2)

    def ours(self, number: int) -> list[float]:
        """Images a second of each epoch but the first."""
        started = self._start()
        judged = self._films[: self._batch]
        fitted = fit(
            started,
            self._stream,
            self._steps,
            evaluation_batches(self._store, judged, self._targets[: self._batch], self._spec, self._batch),
            self._targets[: self._batch],
            None,
            self._plan,
            self._settings,
            self._folder / f"out{number}",
            "bench",
        )
        return fitted.history.column("images_per_second")[1:].tolist()

    def bare(self) -> list[float]:
        """The same of Keras alone."""
        started = self._start()
        set_phase(started, self._phase, self._settings.unfreeze)
        batches = list(self._stream(0).take(8).as_numpy_iterator())
        inputs = np.concatenate([batch[0] for batch in batches])
        targets = np.concatenate([batch[1] for batch in batches])
        rows = np.resize(np.arange(len(inputs)), self._steps * self._batch)
        inputs, targets = inputs[rows], targets[rows]
        model, timer = started.trainable, _Timer(len(inputs))
        rate = self._settings.warmup_learning_rate if self._phase == "head" else self._settings.learning_rate
        optimizer: keras.optimizers.Optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-4)
        if model.compute_dtype == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer=optimizer, loss=MaskedWeightedBinaryCrossentropy())
        model.fit(inputs, targets, batch_size=self._batch, epochs=EPOCHS, verbose=0, callbacks=[timer])
        return timer.rates[1:]

    def _start(self) -> StartedNetwork:
        keras.backend.clear_session()
        policy = precision_policy("auto")
        return start_network(self._init, self._spec, FINDINGS, self._settings.dropout, 0, policy)

    def _stream(self, first_epoch: int):
        return training_stream(
            self._store,
            self._films,
            self._targets,
            self._spec,
            self._settings.augmentation,
            self._batch,
            self._steps,
            0,
            first_epoch,
        )


class _Timer(keras.callbacks.Callback):
    def __init__(self, images: int) -> None:
        super().__init__()
        self.rates: list[float] = []
        self._images = images

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.rates.append(self._images / (time.perf_counter() - self._begun))


def _films(folder: Path, count: int) -> list[FilmFile]:
    """Noise under a soft gradient, 512 x 448, as 16-bit PNG: no film's content matters here."""
    folder.mkdir()
    random = np.random.default_rng(1)
    films = []
    for number in range(count):
        grey = np.linspace(0.2, 0.8, 448)[None, :] + random.normal(0.0, 0.05, (512, 448))
        path = folder / f"{number:04}.png"
        Image.fromarray((np.clip(grey, 0.0, 1.0) * 65535.0).astype(np.uint16)).save(path)
        films.append(FilmFile(number, str(path), FileKind.PNG, 512, 448))
    return films


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--phase", choices=("deep", "head"), default="deep")
    return parser.parse_args()


if __name__ == "__main__":
    main()
