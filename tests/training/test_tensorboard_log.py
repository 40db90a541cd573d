"""TensorBoard's files, read back record by record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from cxrbatch.training.guard import Guard
from cxrbatch.training.tensorboard_log import TensorBoardLog, image_grid


def values(folder: Path) -> list[tuple[int, str, str, np.ndarray]]:
    """(step, tag, plugin, value) of every record; damaged records raise."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                found.append((event.step, value.tag, plugin, tf.make_ndarray(value.tensor)))
    return found


def test_scalars_and_images_are_read_back(tmp_path: Path) -> None:
    guard = Guard(None, tmp_path)
    guard.learning_rate = 0.125
    log = TensorBoardLog(tmp_path, guard)
    batch = np.random.default_rng(0).normal(size=(5, 6, 8, 3)).astype(np.float32)
    log.images(batch)
    log.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.75, "val_macro_auroc": float("nan")})
    # Flushed at once: a run that is killed has written what it finished.
    found = values(tmp_path)
    assert [(step, tag, plugin) for step, tag, plugin, _ in found] == [
        (0, "training images", "images"),
        (1, "loss", "scalars"),
        (1, "val_loss", "scalars"),
        (1, "learning_rate", "scalars"),
    ]
    assert [float(value) for *_, value in found[1:]] == [0.5, 0.75, 0.125]
    width, height, png = found[0][3]
    picture = tf.io.decode_png(png).numpy()
    assert (int(width), int(height)) == (32, 12) == (picture.shape[1], picture.shape[0])
    np.testing.assert_array_equal(picture[:, :, 0], image_grid(batch))
    log.close()


def test_the_grid_shows_each_image_in_its_place() -> None:
    batch = np.zeros((6, 4, 4, 1), np.float32)
    for i in range(6):
        batch[i, i % 4, i // 4, 0] = 3.0 + i
    grid = image_grid(batch)
    assert grid.shape == (8, 16)
    bright = {(int(r), int(c)) for r, c in np.argwhere(grid == 255)}
    assert bright == {(4 * (i // 4) + i % 4, 4 * (i % 4) + i // 4) for i in range(6)}
    assert image_grid(np.full((1, 4, 4, 1), 7.0, np.float32)).max() == 0, "a blank image is no division by 0"
