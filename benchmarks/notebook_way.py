"""A study done as a capable user of notebooks does it; what `night.py` compares with.

    python benchmarks/notebook_way.py WEIGHTS OUT FILE... [--compiled]

pydicom, ``model.predict`` on one image, Grad-CAM for four findings with a ``GradientTape`` (eagerly, or
compiled by ``tf.function``), a matplotlib figure, and a PDF by WeasyPrint. Prints seconds for each file; the
first includes what is done once (tracing, fonts), and is not counted by `night.py`.
"""

from __future__ import annotations

import argparse
import base64
import io
import time
from pathlib import Path

import keras
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pydicom
import tensorflow as tf
from weasyprint import HTML

FINDINGS = [
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia",
    "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
]  # fmt: skip
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SIZE = 320


def load_model(weights: str) -> tuple[keras.Model, keras.Model]:
    base = keras.applications.DenseNet121(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    model = keras.Model(base.input, keras.layers.Dense(len(FINDINGS), activation="sigmoid")(pooled))
    model.load_weights(weights)
    return model, keras.Model(model.input, [model.get_layer("relu").output, model.output])


def load_image(path: str) -> tuple[np.ndarray, np.ndarray]:
    pixels = pydicom.dcmread(path).pixel_array.astype(np.float32)
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    small = tf.image.resize(pixels[..., None], (SIZE, SIZE), antialias=True).numpy()
    return small[..., 0], ((np.repeat(small, 3, axis=-1) - MEAN) / STD)[None].astype(np.float32)


def grad_cam(grad_model: keras.Model, image: tf.Tensor, finding: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
        features, predictions = grad_model(image, training=False)
        score = tf.gather(predictions[0], finding)
    gradients = tape.gradient(score, features)
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1))[0]
    return heat / (tf.reduce_max(heat) + 1e-8)


def figure(grey: np.ndarray, maps: dict[str, np.ndarray]) -> bytes:
    fig, axes = plt.subplots(1, 1 + len(maps), figsize=(4 * (1 + len(maps)), 4))
    axes[0].imshow(grey, cmap="gray")
    for axis, (name, heat) in zip(axes[1:], maps.items(), strict=True):
        axis.imshow(grey, cmap="gray")
        axis.imshow(tf.image.resize(heat[..., None], (SIZE, SIZE)).numpy()[..., 0], cmap="jet", alpha=0.4)
        axis.set_title(name)
    for axis in axes:
        axis.axis("off")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    plt.close(fig)
    return buffer.getvalue()


def report(path: str, probabilities: np.ndarray, picture: bytes, out: Path) -> None:
    rows = "".join(
        f"<tr><td>{n}</td><td>{p:.3f}</td></tr>" for n, p in zip(FINDINGS, probabilities, strict=True)
    )
    image = base64.b64encode(picture).decode()
    shown = f"<img src='data:image/png;base64,{image}' width='650'>"
    page = f"<h1>{Path(path).name}</h1><table>{rows}</table>{shown}"
    out.with_suffix(".html").write_text(page)
    HTML(string=page).write_pdf(out.with_suffix(".pdf"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("out", type=Path)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--compiled", action="store_true")
    arguments = parser.parse_args()
    model, grad_model = load_model(arguments.weights)
    cam = tf.function(grad_cam) if arguments.compiled else grad_cam
    arguments.out.mkdir(parents=True, exist_ok=True)
    for path in arguments.files:
        begun = time.perf_counter()
        grey, image = load_image(path)
        probabilities = model.predict(image, verbose=0)[0]
        maps = {
            FINDINGS[index]: np.asarray(cam(grad_model, tf.constant(image), tf.constant(index)))
            for index in range(4)
        }
        report(path, probabilities, figure(grey, maps), arguments.out / Path(path).stem)
        print(time.perf_counter() - begun, flush=True)


if __name__ == "__main__":
    main()
