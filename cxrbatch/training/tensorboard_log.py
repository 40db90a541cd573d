"""TensorBoard's files: scalars of each epoch, and one grid of training images as the network sees them.

TensorFlow 2.21 comes without the tensorboard package, and ``tf.summary.scalar`` with Keras' TensorBoard
callback live in that. The files need only ``tf.summary.write`` and the names of TensorBoard's plugins; who
looks at them brings TensorBoard.
"""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.training.disk import writing
from cxrbatch.training.guard import Guard

GRID_SIDE = 4
_SCALARS = ("loss", "val_loss", "val_macro_auroc")


class TensorBoardLog(keras.callbacks.Callback):
    """Writes below `folder`, flushed at each epoch's end; steps are epochs from 1.

    A run that goes on writes a further file: an epoch repeated after a kill stands there twice, with one
    step, of which TensorBoard draws both on the same spot.
    """

    async_safe = True
    stateless = True

    def __init__(self, folder: Path, guard: Guard) -> None:
        super().__init__()
        self._folder, self._guard = folder, guard
        with writing(folder, "the TensorBoard log"):
            self._writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises TrainingError when the disk is full."""
        values = {name: (logs or {}).get(name, math.nan) for name in _SCALARS}
        values["learning_rate"] = self._guard.learning_rate
        with writing(self._folder, "the TensorBoard log"), self._writer.as_default():
            for name, value in values.items():
                if math.isfinite(value):
                    scalar = tf.constant(value, tf.float32)
                    tf.summary.write(name, scalar, step=epoch + 1, metadata=_metadata("scalars"))
            self._writer.flush()

    def images(self, batch: NDArray[np.float32]) -> None:
        """Write a grid of up to 16 of `batch` (n, height, width, channels), as fed to the network."""
        grid = image_grid(batch)
        height, width = grid.shape
        png = tf.io.encode_png(grid[:, :, None])
        content = tf.stack([tf.as_string(width), tf.as_string(height), png])
        with writing(self._folder, "the TensorBoard log"), self._writer.as_default():
            tf.summary.write("training images", content, step=0, metadata=_metadata("images"))
            self._writer.flush()

    def close(self) -> None:
        """Close the file. All epochs are flushed: trouble here, as with a full disk, costs nothing more."""
        with suppress(tf.errors.OpError):
            self._writer.close()


def image_grid(batch: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Up to 16 images side by side, 4 a row: (rows, columns) grey; the first channel, each from its darkest
    to its brightest value, as the network's scaling has no display range of its own."""
    shown = np.asarray(batch, np.float32)[: GRID_SIDE * GRID_SIDE, :, :, 0]
    low = shown.min(axis=(1, 2), keepdims=True)
    span = np.maximum(shown.max(axis=(1, 2), keepdims=True) - low, 1e-9)
    grey = np.round((shown - low) / span * 255.0).astype(np.uint8)
    count, height, width = grey.shape
    columns = min(GRID_SIDE, count)
    rows = -(-count // columns)
    tiles = np.zeros((rows * columns, height, width), np.uint8)
    tiles[:count] = grey
    tiles = tiles.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    return tiles.reshape(rows * height, columns * width)


def _metadata(plugin: str) -> Any:
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    # TensorBoard sorts by it (summary.proto): DATA_CLASS_SCALAR is 1, DATA_CLASS_BLOB_SEQUENCE is 3.
    metadata.data_class = 1 if plugin == "scalars" else 3
    return metadata
