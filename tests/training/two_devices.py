"""Train the same network on the same global batches on COUNT logical CPUs; prints losses and weights.

python two_devices.py COUNT
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

from cxrbatch.training import devices, fitting
from cxrbatch.training.loss import MaskedWeightedBinaryCrossentropy, finding_weights
from cxrbatch.training.network import StartedNetwork, trainable_form
from cxrbatch.training.settings import TrainSettings, make_plan

BATCH, STEPS = 8, 6


def main() -> None:
    count = int(sys.argv[1])
    names = devices.logical_cpu_devices(count)
    strategy = devices.choose_strategy(names)
    assert strategy.num_replicas_in_sync == count
    random = np.random.default_rng(0)
    x = random.normal(size=(BATCH * STEPS, 12, 12, 1)).astype(np.float32)
    y = (random.random((len(x), 3)) < 0.3).astype(np.float32)
    # One device gets the first half of each batch: nearly all unknown there, and all known in the other.
    first_half = (np.arange(len(x)) % BATCH) < BATCH // 2
    y[first_half] = np.where(random.random((int(first_half.sum()), 3)) < 0.8, np.nan, y[first_half])
    keras.utils.set_random_seed(1)
    with strategy.scope():
        inputs = keras.Input((12, 12, 1))
        h = keras.layers.Conv2D(4, 3, strides=2, use_bias=False)(inputs)
        h = keras.layers.ReLU()(keras.layers.BatchNormalization()(h))
        h = keras.layers.GlobalAveragePooling2D()(h)
        classifier = keras.Model(inputs, keras.layers.Dense(3, activation="sigmoid")(h))
        trainable = trainable_form(classifier, 0.0, 0)
    started = StartedNetwork(classifier, trainable, "keras", (), (), ("A", "B", "C"))
    settings = TrainSettings(
        epochs=4, warmup_epochs=1, batch_size=BATCH, learning_rate=0.01, warmup_learning_rate=0.01, unfreeze=1
    )
    with tempfile.TemporaryDirectory() as folder:
        fitted = fitting.fit(
            started,
            lambda _: tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(BATCH, drop_remainder=True),
            STEPS,
            # 19 films in batches of 8: the last one does not divide evenly.
            tf.data.Dataset.from_tensor_slices(x[:19]).batch(BATCH),
            y[:19],
            finding_weights(y),
            make_plan("full", settings),
            settings,
            Path(folder),
            "devices",
        )
        averaged = keras.models.clone_model(classifier)
        averaged.load_weights(Path(folder) / "checkpoints" / "last.weights.h5")
    columns = {name: fitted.history.column(name).tolist() for name in ("loss", "val_loss", "val_macro_auroc")}
    columns["averaged"] = np.concatenate([w.ravel() for w in averaged.get_weights()]).tolist()
    trained = np.concatenate([w.ravel() for w in classifier.get_weights()]).tolist()
    # AdamW does not care by what factor a gradient is wrong: plain descent does.
    with strategy.scope():
        trainable.compile(
            keras.optimizers.SGD(0.5), loss=MaskedWeightedBinaryCrossentropy(*finding_weights(y))
        )
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH, drop_remainder=True)
    trainable.fit(batches, epochs=2, verbose=0, shuffle=False)
    columns["descended"] = np.concatenate([w.ravel() for w in classifier.get_weights()]).tolist()
    print(json.dumps({**columns, "trained": trained}))


if __name__ == "__main__":
    main()
