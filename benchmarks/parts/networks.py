"""Networks without anything of ours around them: what the scoring runtime is measured against."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbatch.scoring.openvino_export import import_openvino

if TYPE_CHECKING:
    import keras

Pass = Callable[[np.ndarray], Any]
PAUSE = 0.1
"""Seconds between two networks' turns."""


def bare_openvino(model: keras.Model, shape: tuple[int, ...]) -> Pass:
    """OpenVINO with its own choice of threads, in float32: on some CPUs it would take bfloat16."""
    openvino = import_openvino()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        model.export(str(path), format="openvino", verbose=False)
        weights = np.frombuffer(path.with_suffix(".bin").read_bytes(), np.uint8)
        network = openvino.Core().read_model(path.read_bytes(), openvino.Tensor(weights))
    network.reshape(list(shape))
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(network, "CPU", settings).create_infer_request()
    return lambda film: request.infer({0: film}, share_inputs=True)


def bare_onnxruntime(model: keras.Model, shape: tuple[int, ...]) -> Pass | None:
    """ONNX Runtime on the same weights; None where it, or what Keras exports with, is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import tf2onnx  # noqa: F401
    except ImportError:
        return None
    import keras

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        signature = [keras.InputSpec(shape=shape, dtype="float32")]
        model.export(str(path), format="onnx", verbose=False, input_signature=signature)
        session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda film: session.run(None, {name: film})


def undisturbed(passes: dict[str, Pass], film: np.ndarray, rounds: int, burst: int = 4) -> dict[str, float]:
    """Seconds of a pass of each that a tenth of its passes were quicker than.

    Half of the passes may cost a third more than the rest where others use the machine: a median is then of
    one kind or the other, as it happens. They take turns, so that a machine that grows busy slows down all.

    A turn is `burst` passes, and a pause and two passes before them that do not count: ONNX Runtime's threads
    spin for a while after a pass, and the next in turn would pay for it. Who is next is drawn by lot, too.
    """
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for run in passes.values():
        for _ in range(3):
            run(film)
    lots = np.random.default_rng(0)
    for _ in range(-(-rounds // burst)):
        for name in lots.permutation(list(passes)):
            run = passes[name]
            time.sleep(PAUSE)
            for number in range(2 + burst):
                begun = time.perf_counter()
                run(film)
                if number >= 2:
                    seconds[name].append(time.perf_counter() - begun)
    return {name: float(np.quantile(values, 0.1)) for name, values in seconds.items()}
