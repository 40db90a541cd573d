"""The forward pass with heat maps through our runtime, against ONNX Runtime and bare OpenVINO without maps.

    python benchmarks/forward.py [--rounds 160]

Both architectures at 320 pixels, one image a pass, the same random weights. ONNX Runtime, with `onnx` and
`tf2onnx` which Keras exports with, is a development extra; without it the table says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from parts.figures import Figure, conclude
from parts.models import SPEC, random_bundle
from parts.networks import Pass, bare_onnxruntime, bare_openvino, undisturbed

from cxrbatch.bundles.architectures import ARCHITECTURES
from cxrbatch.bundles.network import load_classifier
from cxrbatch.scoring.predictor import load_predictor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=160)
    rounds = parser.parse_args().rounds
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="cxrbatch-forward-") as name:
        for architecture in ARCHITECTURES:
            figures += measure(architecture, Path(name), rounds)
    conclude(figures)


def measure(architecture: str, folder: Path, rounds: int) -> list[Figure]:
    film = (
        np.random.default_rng(0).normal(size=(1, SPEC.height, SPEC.width, SPEC.channels)).astype(np.float32)
    )
    bundle = random_bundle(folder / f"random-{architecture}", architecture)
    classifier = load_classifier(bundle)
    onnx = bare_onnxruntime(classifier, film.shape)
    others: dict[str, Pass] = {"bare OpenVINO": bare_openvino(classifier, film.shape)}
    if onnx is not None:
        others["ONNX Runtime"] = onnx
    seconds = undisturbed({"ours": load_predictor(bundle, batch_size=1), **others}, film, rounds)
    rows = [Figure(f"{architecture}, {name}", 1 / s, "images/s") for name, s in seconds.items()]
    if onnx is None:
        note = "onnxruntime, onnx and tf2onnx are not installed"
        rows.append(Figure(f"{architecture}, ONNX Runtime", None, note=note))
    fastest = min(others, key=lambda name: seconds[name])
    ratio = seconds[fastest] / seconds["ours"]
    return [*rows, Figure(f"{architecture}, ours with maps / {fastest}", ratio, "x", at_least=0.95)]


if __name__ == "__main__":
    main()
