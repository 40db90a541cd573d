"""From a picture to the averaged activation that a film check looks at, through the runtime of CPUs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.film_check import Tap
from cxrbatch.film_check.pictures import Picture
from cxrbatch.pipeline.preprocess import preprocess_one
from cxrbatch.scoring.openvino_export import export, import_openvino

Floats = NDArray[np.float32]


class CellReader:
    """Preprocesses as a night does and runs the bundle's network up to its outputs, one picture at a time."""

    def __init__(self, bundle: Bundle, tap: Tap, threads: int | None = None) -> None:
        """Raises BundleError where the tap does not fit the network."""
        self.tap = tap
        spec = bundle.card.input
        xml, weights = export(bundle, tap)
        openvino = import_openvino()
        core = openvino.Core()
        model = core.read_model(xml, openvino.Tensor(np.frombuffer(weights, np.uint8)))
        model.reshape([1, spec.height, spec.width, spec.channels])
        settings = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY", "NUM_STREAMS": 1}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        compiled = core.compile_model(model, "CPU", settings)
        names = [output.get_names() for output in compiled.outputs]
        self._output = next(i for i, each in enumerate(names) if "cells" in each)
        self._request = compiled.create_infer_request()
        self._spec = spec

    def __call__(self, picture: Picture) -> Floats:
        """(grid, grid, channels) of one picture."""
        pixels = np.round(np.clip(picture, 0.0, 1.0) * 65535.0).astype(np.uint16)
        return self.of_input(preprocess_one(pixels, self._spec))

    def of_input(self, image: Floats) -> Floats:
        """The same of a preprocessed input (height, width, channels)."""
        results = self._request.infer({0: np.ascontiguousarray(image[None], np.float32)})
        return np.array(results[self._output][0], np.float32)


def cells_in_mixed_precision(bundle: Bundle, tap: Tap, images: Floats) -> Floats:
    """(n, grid, grid, channels) of preprocessed inputs (n, height, width, channels), computed in bfloat16."""
    import keras

    from cxrbatch.bundles.network import in_mixed_precision, load_classifier
    from cxrbatch.scoring.heatmaps import scoring_model

    model = scoring_model(in_mixed_precision(load_classifier(bundle), "mixed_bfloat16"), tap)
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)["cells"]), np.float32)
