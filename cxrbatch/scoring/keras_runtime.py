"""Keras on TensorFlow: for GPUs, and the reference that OpenVINO is compared with."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from importlib.metadata import version

import keras
import numpy as np
import tensorflow as tf

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.film_check import read_film_check
from cxrbatch.bundles.network import in_mixed_precision, load_classifier
from cxrbatch.scoring.heatmaps import scoring_model
from cxrbatch.scoring.prediction import B, Floats, Prediction, check_shape, prediction_from_outputs


class KerasPredictor:
    """One compiled function with a fixed input shape, traced once (``traces`` counts, for the test)."""

    runtime = "keras"
    at_once = 1

    def __init__(
        self,
        bundle: Bundle,
        batch_size: int,
        threads: int | None,
        mixed_precision: bool,
        processors: int | None = None,
    ) -> None:
        """`processors` is how many threads there are where `threads` leaves that open."""
        self.threads = _set_threads(threads or processors)
        self._pass = threading.Lock()
        self.batch_size = batch_size
        self.precision = "mixed" if mixed_precision else "float32"
        self.traces = 0
        spec = bundle.card.input
        self._shape = (batch_size, spec.height, spec.width, spec.channels)
        gpus = tf.config.list_physical_devices("GPU")
        # TensorFlow would multiply in TF32 (10 bits of mantissa) on recent GPUs and still say float32.
        tf.config.experimental.enable_tensor_float_32_execution(mixed_precision)
        classifier = load_classifier(bundle)
        if mixed_precision:
            # CPUs compute bfloat16 in hardware and emulate float16; GPUs have both, float16 is finer.
            classifier = in_mixed_precision(classifier, "mixed_float16" if gpus else "mixed_bfloat16")
        device = gpus[0].name.removeprefix("/physical_device:") if gpus else "CPU"
        self.runtime_version = (
            f"keras {version('keras')}, tensorflow {tf.__version__}, {device}"
            f"{', mixed precision' if mixed_precision else ''}"
        )
        self._check = read_film_check(bundle)
        self._run = self._compile(scoring_model(classifier, None if self._check is None else self._check.tap))

    def __call__(self, batch: Floats) -> Prediction:
        """Score one batch; see `Predictor`."""
        check_shape(batch, self._shape)
        with self._pass:  # a batch is as large as a GPU's memory allows
            outputs = self._run(tf.constant(batch, tf.float32))
            named = {name: np.asarray(value) for name, value in outputs.items()}
        return prediction_from_outputs(named, batch, self._check)

    def predict(self, batches: Iterable[B]) -> Iterator[tuple[B, Prediction]]:
        """One after the other; see `Predictor`."""
        for batch in batches:
            yield batch, self(batch.inputs)

    def _compile(self, model: keras.Model) -> tf.types.experimental.ConcreteFunction:
        def forward(batch: tf.Tensor) -> dict[str, tf.Tensor]:
            self.traces += 1
            outputs: dict[str, tf.Tensor] = model(batch, training=False)
            return outputs

        signature = tf.TensorSpec(self._shape, tf.float32)
        return tf.function(forward, input_signature=[signature], jit_compile=False).get_concrete_function()


def _set_threads(threads: int | None) -> int:
    """Fix TensorFlow's threads before its first computation; returns the number in force.

    Raises:
        ValueError: TensorFlow already computes in this process with another number.
    """
    wanted = threads or len(os.sched_getaffinity(0))
    current = tf.config.threading.get_intra_op_parallelism_threads()
    if current != wanted:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(wanted)
        except RuntimeError as error:
            # Already running: its default, 0, is one thread for each processor.
            in_force = current or len(os.sched_getaffinity(0))
            if threads is not None and in_force != threads:
                raise ValueError(
                    f"TensorFlow already runs with {in_force} threads in this process; asked for {threads}. "
                    "Load the predictor before anything else computes."
                ) from error
            return in_force
    return wanted
