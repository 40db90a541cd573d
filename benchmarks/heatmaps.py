"""What the heat maps cost: one forward pass with them against one without.

    python benchmarks/heatmaps.py [--runtime keras|openvino] [--size 320] [--rounds 30]

Prints the median time of a pass for both architectures and the ratio; the ratio must stay below 1.05.
The two are run in turn, so that a machine that grows busy slows down both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
import tensorflow as tf
from parts.figures import Figure, conclude

from cxrbatch.bundles.architectures import ARCHITECTURES, build_architecture
from cxrbatch.pipeline.input_spec import InputSpec, Scaling
from cxrbatch.scoring.heatmaps import heat_map_model
from cxrbatch.scoring.openvino_export import import_openvino

Pass = Callable[[np.ndarray], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runtime", choices=("keras", "openvino"), default="openvino")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    spec = InputSpec(height=arguments.size, width=arguments.size, channels=3, scaling=Scaling.IMAGENET)
    film = np.random.default_rng(0).normal(size=(1, spec.height, spec.width, 3)).astype(np.float32)
    prepare = _keras_pass if arguments.runtime == "keras" else _openvino_pass
    figures: list[Figure] = []
    for name in ARCHITECTURES:
        classifier = build_architecture(name, spec, 14)
        plain, with_maps = prepare(classifier, film.shape), prepare(heat_map_model(classifier), film.shape)
        without, including = _medians(plain, with_maps, film, arguments.rounds)
        title = f"{name}, {arguments.runtime}"
        figures += [
            Figure(f"{title}, without maps", 1e3 * without, "ms"),
            Figure(f"{title}, with maps / without", including / without, "x", at_most=1.05),
        ]
    conclude(figures)


def _medians(first: Pass, second: Pass, film: np.ndarray, rounds: int) -> tuple[float, float]:
    for run in (first, second):
        for _ in range(5):
            run(film)
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * rounds):
        start = time.perf_counter()
        (first, second)[number % 2](film)
        seconds[number % 2].append(time.perf_counter() - start)
    return float(np.median(seconds[0])), float(np.median(seconds[1]))


def _keras_pass(model: keras.Model, shape: tuple[int, ...]) -> Pass:
    function = tf.function(lambda film: model(film, training=False))
    compiled = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    return lambda film: keras.tree.map_structure(np.asarray, compiled(tf.constant(film)))


def _openvino_pass(model: keras.Model, shape: tuple[int, ...]) -> Pass:
    openvino = import_openvino()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        model.export(str(path), format="openvino", verbose=False)
        network = openvino.Core().read_model(path.read_bytes(), _tensor(openvino, path.with_suffix(".bin")))
    network.reshape(list(shape))
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(network, "CPU", settings).create_infer_request()
    return lambda film: request.infer({0: film}, share_inputs=True)


def _tensor(openvino: object, path: Path) -> object:
    return openvino.Tensor(np.frombuffer(path.read_bytes(), np.uint8))  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
