"""One of the network's own activations, averaged over a coarse grid: what the film check looks at.

It leaves the network beside probabilities and heat maps, in the same pass. Unlike global pooling, cells keep
where in the picture something lies: without that a film is hardly told from its upside-down self.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.film_check import Tap


class CellMeans(keras.layers.Layer):
    """(n, h, w, c) -> float32 (n, grid, grid, c): the mean over each cell, cells of equal size."""

    def __init__(self, grid: int, **options: Any) -> None:
        super().__init__(dtype="float32", trainable=False, **options)
        self.grid = grid

    def call(self, features: Any) -> Any:
        rows, columns, channels = features.shape[1:]
        # One matrix product, which every backend and OpenVINO have, and which need not divide evenly.
        means = np.kron(cell_weights(rows, self.grid), cell_weights(columns, self.grid))
        flat = keras.ops.reshape(keras.ops.cast(features, "float32"), (-1, rows * columns, channels))
        cells = keras.ops.matmul(keras.ops.convert_to_tensor(means), flat)
        return keras.ops.reshape(cells, (-1, self.grid, self.grid, channels))


def cell_weights(length: int, grid: int) -> NDArray[np.float32]:
    """(grid, length): each row averages one of `grid` equal stretches of `length` pixels, shared pixels by
    their share."""
    edges = np.arange(grid + 1) * length / grid
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(overlap, 0.0, None) * grid / length).astype(np.float32)


def cell_means(classifier: keras.Model, tap: Tap) -> keras.KerasTensor:
    """The output of `classifier`'s layer `tap.layer`, averaged over `tap.grid` x `tap.grid` cells.

    Raises:
        BundleError: no such layer, or its output is not (n, rows, columns, channels) of a fixed size.
    """
    try:
        features = classifier.get_layer(tap.layer).output
    except ValueError as error:
        raise BundleError(
            f"The network has no layer '{tap.layer}', which its film check looks at."
        ) from error
    shape = getattr(features, "shape", ())
    if len(shape) != 4 or None in shape[1:] or min(shape[1:3]) < tap.grid:
        raise BundleError(
            f"The film check needs an activation of fixed size, at least {tap.grid} x {tap.grid} cells; "
            f"the layer '{tap.layer}' gives {tuple(shape)}."
        )
    return CellMeans(tap.grid, name="cell_means")(features)
