"""From a bundle to a predictor: choose the runtime, load, and check the golden output through it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.film_check import Look, read_film_check
from cxrbatch.bundles.golden import check_golden, read_golden
from cxrbatch.scoring.prediction import Floats, Prediction, Predictor

__all__ = ["Prediction", "Predictor", "Runtime", "has_gpu", "load_predictor"]

Runtime = Literal["auto", "keras", "openvino"]

GPU_BATCH = 32
CPU_BATCH = 1
"""One image a pass: as fast as eight on a CPU, and a score cannot depend on a neighbour (contract 3.3)."""
CPU_THREADS = 1
"""Of a pass: as many passes at a time as processors use these better than one pass with as many threads, of
which the one that the system puts aside for a decoder keeps all the others waiting."""


def load_predictor(
    bundle: Bundle,
    runtime: Runtime = "auto",
    batch_size: int | None = None,
    threads: int | None = None,
    mixed_precision: bool = False,
    processors: int | None = None,
) -> Predictor:
    """A predictor for `bundle`, after its golden output was checked through the very runtime.

    Args:
        bundle: from `open_bundle`.
        runtime: ``auto`` is Keras on TensorFlow where there is a GPU, OpenVINO on a CPU.
        batch_size: fixed number of images in a batch; by default 1 on a CPU, 32 on a GPU.
        threads: CPU threads of one forward pass; by default one with OpenVINO, so that scores are the same
            on any number of processors, and all `processors` with Keras.
        mixed_precision: 16-bit arithmetic; Keras only.
        processors: how many to keep busy; by default all that this process may use. With OpenVINO as many
            passes are under way at a time as their threads leave room for.

    Raises:
        BundleError: the weights do not fit, or the golden output is missed.
        ValueError: an argument is out of range, or mixed precision was asked of OpenVINO.
    """
    if any(number is not None and number < 1 for number in (batch_size, threads, processors)):
        raise ValueError(
            "Batch size, threads and processors must be at least 1; "
            f"received {batch_size}, {threads} and {processors}."
        )
    if runtime not in ("auto", "keras", "openvino"):
        raise ValueError(f"The runtime must be auto, keras or openvino; received '{runtime}'.")
    on_gpu = runtime != "openvino" and has_gpu()
    if runtime == "keras" or (runtime == "auto" and (on_gpu or mixed_precision)):
        from cxrbatch.scoring.keras_runtime import KerasPredictor

        size = batch_size or (GPU_BATCH if on_gpu else CPU_BATCH)
        predictor: Predictor = KerasPredictor(bundle, size, threads, mixed_precision, processors)
    else:
        if mixed_precision:
            raise ValueError("Mixed precision needs the runtime 'keras'; OpenVINO computes in float32.")
        from cxrbatch.scoring.openvino_runtime import OpenVinoPredictor

        predictor = OpenVinoPredictor(bundle, batch_size or CPU_BATCH, threads or CPU_THREADS, processors)
    check_golden(_GoldenView(predictor), bundle)
    check_golden_looks(predictor, bundle)
    return predictor


def check_golden_looks(predictor: Predictor, bundle: Bundle) -> None:
    """Hold the film check's figures for the golden input against those it was made with.

    Raises:
        BundleError: they differ by more than the check's tolerance for the predictor's precision.
    """
    check = read_film_check(bundle)
    if check is None:
        return
    found = golden_looks(predictor, bundle)
    difference = float(np.max(np.abs(found - check.golden)))
    allowed = check.tolerance[predictor.precision]
    # Written so that NaN fails.
    if not difference <= allowed:
        raise BundleError(
            f"The film check of the model '{bundle.card.name}' does not give its golden output on this "
            f"machine: it differs by {difference:.2g}, allowed is {allowed:.2g} in {predictor.precision}. "
            "Nothing was scored."
        )


def golden_looks(predictor: Predictor, bundle: Bundle) -> NDArray[np.float64]:
    """(n, 2): `wrong` and `atypicality` of the golden input's n pictures."""
    inputs, size = read_golden(bundle).input, predictor.batch_size
    batch = np.zeros((-(-len(inputs) // size) * size, *inputs.shape[1:]), np.float32)
    batch[: len(inputs)] = inputs
    looks: list[Look] = []
    for at in range(0, len(batch), size):
        looks.extend(predictor(batch[at : at + size]).looks or ())
    return np.array([(look.wrong, look.atypicality) for look in looks[: len(inputs)]])


def has_gpu() -> bool:
    """Whether TensorFlow can compute on a GPU. TensorFlow is imported only where a driver shows itself."""
    if not any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")):
        return False
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


class _GoldenView:
    """A predictor as the golden check wants it: the room of bundles knows nothing of predictions."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.batch_size = predictor.batch_size
        self.precision = predictor.precision

    def probabilities(self, batch: Floats) -> Floats:
        return np.asarray(self._predictor(batch).probabilities)
