"""OpenVINO on a CPU. Needs neither TensorFlow nor Keras once the bundle's export is cached."""

from __future__ import annotations

from typing import Any

import numpy as np

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.film_check import read_film_check
from cxrbatch.scoring.openvino_export import exported_model, import_openvino
from cxrbatch.scoring.prediction import Floats, Prediction, check_shape, prediction_from_outputs


class OpenVinoPredictor:
    """The exported scoring model, compiled for batches of one fixed shape."""

    runtime = "openvino"
    precision = "float32"

    def __init__(self, bundle: Bundle, batch_size: int, threads: int | None) -> None:
        openvino = import_openvino()
        spec = bundle.card.input
        self.batch_size = batch_size
        self._shape = (batch_size, spec.height, spec.width, spec.channels)
        xml, weights = exported_model(bundle)
        core = openvino.Core()
        model = core.read_model(xml, openvino.Tensor(np.frombuffer(weights, np.uint8)))
        model.reshape(list(self._shape))
        compiled = core.compile_model(model, "CPU", _settings(threads))
        self.threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        device = core.get_property("CPU", "FULL_DEVICE_NAME")
        self.runtime_version = f"openvino {openvino.get_version()}, {device}"
        self._names = [_name(output.get_names()) for output in compiled.outputs]
        self._request = compiled.create_infer_request()
        self._check = read_film_check(bundle)

    def __call__(self, batch: Floats) -> Prediction:
        """Score one batch; see `Predictor`."""
        check_shape(batch, self._shape)
        batch = np.ascontiguousarray(batch, np.float32)
        results = self._request.infer({0: batch}, share_inputs=True, share_outputs=False)
        outputs = {name: np.asarray(results[index]) for index, name in enumerate(self._names)}
        return prediction_from_outputs(outputs, batch, self._check)


def _settings(threads: int | None) -> dict[str, Any]:
    """One stream, float32 throughout, and a fixed number of threads.

    Without the precision hint OpenVINO computes in bfloat16 on processors that have AMX.
    """
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32",
        "EXECUTION_MODE_HINT": "ACCURACY",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
        # Whoever says how many has other uses for the rest, such as a second model of this machine: pinned,
        # both would be held to the first processors.
        settings["ENABLE_CPU_PINNING"] = False
    return settings


def _name(names: set[str]) -> str:
    """The name `heatmaps.scoring_model` gave an output, among those that the conversion added."""
    return next(name for name in ("logits", "maps", "probabilities", "cells") if name in names)
