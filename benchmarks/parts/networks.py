"""Networks without anything of ours around them: what the scoring runtime is measured against.

Each is a `Stream`. OpenVINO and ONNX Runtime both come as they are, one pass after the other with the threads
that they choose, and in the arrangement that is their best for many films: several passes at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.scoring.openvino_export import import_openvino
from parts.usage import cores

if TYPE_CHECKING:
    import keras

Pass = Callable[[np.ndarray], Any]
Stream = Callable[[Sequence[np.ndarray]], Any]
"""Takes films, each a batch of one, and returns when all of them are through."""
PAUSE = 0.1
"""Seconds between two networks' turns."""


def one_by_one(run: Pass) -> Stream:
    """The next film when the last one is through."""
    return lambda films: [run(film) for film in films]


def bare_openvino(model: keras.Model, shape: tuple[int, ...]) -> Pass:
    """OpenVINO with its own choice of threads; in float32, since on some CPUs it would take bfloat16."""
    compiled = _compiled(model, shape, {"NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"})
    request = compiled.create_infer_request()
    return lambda film: request.infer({0: film}, share_inputs=True)


def openvino_queue(model: keras.Model, shape: tuple[int, ...]) -> Stream:
    """OpenVINO's own way to many films: its hint for throughput, and as many requests as it wants then."""
    compiled = _compiled(model, shape, {"PERFORMANCE_HINT": "THROUGHPUT"})
    queue = import_openvino().AsyncInferQueue(compiled)

    def run(films: Sequence[np.ndarray]) -> None:
        for film in films:
            queue.start_async({0: film}, share_inputs=True)
        queue.wait_all()

    return run


def bare_onnxruntime(model: keras.Model, shape: tuple[int, ...]) -> dict[str, Stream]:
    """ONNX Runtime on the same weights, by name: as it comes, and with one thread a pass from as many threads
    as processors. Empty where it, or what Keras exports with, is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import tf2onnx  # noqa: F401
    except ImportError:
        return {}
    import keras

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        signature = [keras.InputSpec(shape=shape, dtype="float32")]
        model.export(str(path), format="onnx", verbose=False, input_signature=signature)
        content = path.read_bytes()

    def session(options: onnxruntime.SessionOptions) -> Pass:
        made = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        name = made.get_inputs()[0].name
        return lambda film: made.run(None, {name: film})

    alone = onnxruntime.SessionOptions()
    alone.intra_op_num_threads = 1
    each, callers = session(alone), ThreadPoolExecutor(cores())
    return {
        "ONNX Runtime": one_by_one(session(onnxruntime.SessionOptions())),
        "ONNX Runtime, one thread a pass": lambda films: list(callers.map(each, films)),
    }


def seconds_by_turn(
    streams: Mapping[str, Stream], film: np.ndarray, turns: int
) -> dict[str, NDArray[np.float64]]:
    """Seconds a film of each, turn by turn: (turns,).

    What is compared is a turn's ratio: in one turn all have the same few seconds of the machine, whose speed
    changes from minute to minute. Drawn again from 60 turns, 20 of two copies of one network scatter by 2%
    in the median of these ratios, and by 5 to 6% in the ratio of each one's quickest turns.

    A turn is twelve films a processor, so that beginning and ending one weighs as little as in a night, and a
    pause and two films a processor before them that do not count: ONNX Runtime's threads spin for a while
    after a pass, and the next in turn would pay for it. Who is next is drawn by lot, too.
    """
    warming, films = [film] * (2 * cores()), [film] * (12 * cores())
    seconds = {name: np.empty(turns) for name in streams}
    for run in streams.values():
        run(films)
    lots = np.random.default_rng(0)
    for turn in range(turns):
        for name in lots.permutation(list(streams)):
            time.sleep(PAUSE)
            streams[name](warming)
            begun = time.perf_counter()
            streams[name](films)
            seconds[name][turn] = (time.perf_counter() - begun) / len(films)
    return seconds


def _compiled(model: keras.Model, shape: tuple[int, ...], settings: dict[str, Any]) -> Any:
    """The network in OpenVINO for one shape."""
    openvino = import_openvino()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        model.export(str(path), format="openvino", verbose=False)
        weights = np.frombuffer(path.with_suffix(".bin").read_bytes(), np.uint8)
        network = openvino.Core().read_model(path.read_bytes(), openvino.Tensor(weights))
    network.reshape(list(shape))
    return openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **settings})
