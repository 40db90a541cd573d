"""OpenVINO on a CPU. Needs neither TensorFlow nor Keras once the bundle's export is cached."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.film_check import read_film_check
from cxrbatch.scoring.openvino_export import exported_model, import_openvino
from cxrbatch.scoring.prediction import B, Floats, Prediction, check_shape, prediction_from_outputs


class OpenVinoPredictor:
    """The exported scoring model, compiled for batches of one fixed shape."""

    runtime = "openvino"
    precision = "float32"

    def __init__(self, bundle: Bundle, batch_size: int, threads: int, processors: int | None = None) -> None:
        """`threads` of one pass, and as many passes at a time as `processors` hold; None: all there are."""
        openvino = import_openvino()
        spec = bundle.card.input
        self.batch_size = batch_size
        self._shape = (batch_size, spec.height, spec.width, spec.channels)
        xml, weights = exported_model(bundle)
        core = openvino.Core()
        model = core.read_model(xml, openvino.Tensor(np.frombuffer(weights, np.uint8)))
        model.reshape(list(self._shape))
        passes = max(1, (processors or len(os.sched_getaffinity(0))) // threads)
        self._compiled = core.compile_model(model, "CPU", _settings(threads, passes))
        # Asked back: there are never more of both than processors.
        self.at_once = int(self._compiled.get_property("NUM_STREAMS"))
        self.threads = max(1, int(self._compiled.get_property("INFERENCE_NUM_THREADS")) // self.at_once)
        device = core.get_property("CPU", "FULL_DEVICE_NAME")
        self.runtime_version = f"openvino {openvino.get_version()}, {device}"
        self._names = [_name(output.get_names()) for output in self._compiled.outputs]
        self._idle: deque[Any] = deque()  # requests; a new one for every pass costs a tenth of it
        self._check = read_film_check(bundle)

    def __call__(self, batch: Floats) -> Prediction:
        """Score one batch; see `Predictor`."""
        return self._finish(self._begin(batch))

    def predict(self, batches: Iterable[B]) -> Iterator[tuple[B, Prediction]]:
        """Several passes at a time; see `Predictor`."""
        under_way: deque[tuple[B, _Pass]] = deque()
        try:
            for batch in batches:
                under_way.append((batch, self._begin(batch.inputs)))
                if len(under_way) > self.at_once:  # one lies ready: no processor waits for who takes results
                    first, its_pass = under_way.popleft()
                    yield first, self._finish(its_pass)
            while under_way:
                first, its_pass = under_way.popleft()
                yield first, self._finish(its_pass)
        finally:
            for _, its_pass in under_way:
                its_pass.end()
                self._idle.append(its_pass.request)

    def _begin(self, batch: Floats) -> _Pass:
        check_shape(batch, self._shape)
        try:
            request = self._idle.popleft()
        except IndexError:
            request = self._compiled.create_infer_request()
        return _Pass(request, np.ascontiguousarray(batch, np.float32))

    def _finish(self, its_pass: _Pass) -> Prediction:
        outputs = dict(zip(self._names, its_pass.outputs(), strict=True))
        prediction = prediction_from_outputs(outputs, its_pass.inputs, self._check)
        self._idle.append(its_pass.request)  # not before: its outputs have been copied now
        return prediction


class _Pass:
    """A forward pass under way. OpenVINO reads its input where that lies, so this holds on to it."""

    def __init__(self, request: Any, inputs: Floats) -> None:
        self.inputs = inputs
        self.request = request
        request.start_async({0: inputs}, share_inputs=True)

    def outputs(self) -> list[Floats]:
        """Wait for them; they are good until the request is used again. Raises RuntimeError if it failed."""
        self.request.wait()
        return [tensor.data for tensor in self.request.output_tensors]

    def end(self) -> None:
        """Wait until it reads and writes no more; what it gives is not wanted."""
        with suppress(RuntimeError):
            self.request.wait()


def _settings(threads: int, passes: int) -> dict[str, Any]:
    """`passes` at a time of `threads` each, float32 throughout.

    Without the precision hint OpenVINO computes in bfloat16 on processors that have AMX. Threads are held to
    no processor: decoders and reports have other uses for them, and a second model of this machine would be
    held to the same ones.
    """
    return {
        "INFERENCE_PRECISION_HINT": "f32",
        "EXECUTION_MODE_HINT": "ACCURACY",
        "NUM_STREAMS": passes,
        "INFERENCE_NUM_THREADS": passes * threads,
        "ENABLE_CPU_PINNING": False,
    }


def _name(names: set[str]) -> str:
    """The name `heatmaps.scoring_model` gave an output, among those that the conversion added."""
    return next(name for name in ("logits", "maps", "probabilities", "cells") if name in names)
