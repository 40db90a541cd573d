"""The scoring core on an accelerator, under any Keras backend: what heat maps cost, by batch size.

    KERAS_BACKEND=tensorflow|jax|torch python benchmarks/gpu.py [--size 320] [--batches 1,8,32,128] [--cpu]

DenseNet121 and EfficientNet-Lite0 with random weights, in float32 and in mixed precision: images a second
with maps against the bare forward pass, and the largest difference of a probability in mixed precision.
Without an accelerator the table says so and holds no figure; ``--cpu`` runs all the same, to test the code.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from parts.figures import Figure, conclude
from parts.models import random_network

from cxrbatch.bundles.architectures import ARCHITECTURES
from cxrbatch.bundles.network import in_mixed_precision
from cxrbatch.pipeline.input_spec import InputSpec, Scaling
from cxrbatch.scoring.heatmaps import heat_map_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batches", default="1,8,32,128")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--cpu", action="store_true")
    arguments = parser.parse_args()
    backend, device = keras.backend.backend(), accelerator()
    if device is None and not arguments.cpu:
        note = f"no accelerator here (backend {backend})"
        conclude([Figure("with maps / bare forward pass", None, note=note)])
    print(f"{backend} on {device or 'the CPU'}", flush=True)
    spec = InputSpec(height=arguments.size, width=arguments.size, channels=3, scaling=Scaling.IMAGENET)
    batches = [int(size) for size in arguments.batches.split(",")]
    figures: list[Figure] = []
    for architecture in ARCHITECTURES:
        classifier = random_network(architecture, spec)
        mixed = in_mixed_precision(classifier, "mixed_float16" if device else "mixed_bfloat16")
        for name, model in (("float32", classifier), ("mixed", mixed)):
            title = f"{backend}, {architecture}, {name}"
            figures += [
                row for size in batches for row in measure(title, model, spec, size, arguments.rounds)
            ]
        change = largest_change(classifier, mixed, spec)
        figures.append(Figure(f"{backend}, {architecture}: largest change by mixed precision", change))
    conclude(figures if device else [Figure(f.name, f.value, f.unit, note="on the CPU") for f in figures])


def accelerator() -> str | None:
    """The name of the device that the backend computes on, None for a CPU."""
    match keras.backend.backend():
        case "torch":
            import torch

            return torch.cuda.get_device_name() if torch.cuda.is_available() else None
        case "jax":
            import jax

            return None if jax.default_backend() == "cpu" else str(jax.devices()[0].device_kind)
        case _:
            import tensorflow as tf

            gpus = tf.config.list_physical_devices("GPU")
            return (
                str(tf.config.experimental.get_device_details(gpus[0]).get("device_name")) if gpus else None
            )


def measure(title: str, classifier: keras.Model, spec: InputSpec, batch: int, rounds: int) -> list[Figure]:
    films = keras.ops.convert_to_tensor(random_films(batch, spec))
    bare, maps = compiled(classifier), compiled(heat_map_model(classifier))
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * (rounds + 3)):
        begun = time.perf_counter()
        on_host((bare, maps)[number % 2](films))
        seconds[number % 2].append(time.perf_counter() - begun)
    without, including = (float(np.median(values[3:])) for values in seconds)
    return [
        Figure(f"{title}, batch {batch}", batch / including, "images/s"),
        Figure(f"{title}, batch {batch}: with maps / bare", without / including, "x", at_least=0.95),
    ]


def largest_change(classifier: keras.Model, mixed: keras.Model, spec: InputSpec) -> float:
    films = keras.ops.convert_to_tensor(random_films(8, spec))
    logits = [on_host(compiled(heat_map_model(model))(films))["logits"] for model in (classifier, mixed)]
    full, half = (1 / (1 + np.exp(-values.astype(np.float64))) for values in logits)
    return float(np.abs(full - half).max())


def compiled(model: keras.Model) -> Callable[[Any], Any]:
    """The forward pass as each backend runs it for inference."""

    def forward(films: Any) -> Any:
        return model(films, training=False)

    match keras.backend.backend():
        case "torch":
            import torch

            return torch.inference_mode()(forward)
        case "jax":
            import jax

            parts = (model.trainable_variables, model.non_trainable_variables)
            trainable, fixed = ([variable.value for variable in part] for part in parts)
            run = jax.jit(lambda t, f, films: model.stateless_call(t, f, films, training=False)[0])
            return lambda films: run(trainable, fixed, films)
        case _:
            import tensorflow as tf

            return tf.function(forward)


def on_host(outputs: Any) -> Any:
    """Fetched, so that the clock stops after the computation and not after its submission."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def random_films(batch: int, spec: InputSpec) -> np.ndarray:
    shape = (batch, spec.height, spec.width, spec.channels)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


if __name__ == "__main__":
    main()
