"""A film brought to the shape of a network's input: the first half of preprocessing. Without TensorFlow.

Scoring and training do this in the decoding processes, so that a fitted film, and not one twenty times as
large, goes from process to process.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrbatch.pipeline.geometry import content_box, seen_part
from cxrbatch.pipeline.input_spec import Fit, InputSpec
from cxrbatch.radiographs.resample import Filter, resample

_WHITE = np.float32(65535.0)


def fit_film(pixels: NDArray[np.uint16], spec: InputSpec) -> NDArray[np.float32]:
    """A film, uint16 (rows, columns) -> float32 (height, width) in [0, 1].

    Resizing is bilinear with an antialiasing filter, so that a film of any resolution is averaged down and
    not sampled. What `Fit.PAD` leaves free is black, before grey values are scaled (preprocess.py).
    """
    rows, columns = pixels.shape
    if spec.fit is not Fit.PAD:
        seen = seen_part(rows, columns, spec)
        part = pixels[seen.top : seen.top + seen.rows, seen.left : seen.left + seen.columns]
        return _resized(part, spec.height, spec.width)
    box = content_box(rows, columns, spec)
    grey = np.zeros((spec.height, spec.width), np.float32)
    inside = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    grey[inside] = _resized(pixels, box.height, box.width)
    return grey


def _resized(pixels: NDArray[np.uint16], rows: int, columns: int) -> NDArray[np.float32]:
    grey = resample(pixels, rows, columns, Filter.TRIANGLE)
    grey /= _WHITE
    return np.minimum(grey, np.float32(1.0), out=grey)  # weights add up to 1 but for their last bit
