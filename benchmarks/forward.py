"""The forward pass with heat maps through our runtime, against ONNX Runtime and bare OpenVINO without maps.

    python benchmarks/forward.py [--turns 20]

Both architectures at 320 pixels, one image a pass, the same random weights. Ours as a night runs it, several
passes at a time; the others as they come and several passes at a time, too, and the fastest of them counts,
by the median of its turns against ours.
ONNX Runtime, with `onnx` and `tf2onnx` which Keras exports with, is a development extra; without it the table
says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from parts.figures import Figure, conclude
from parts.models import SPEC, random_bundle
from parts.networks import (
    Stream,
    bare_onnxruntime,
    bare_openvino,
    one_by_one,
    openvino_queue,
    seconds_by_turn,
)

from cxrbatch.bundles.architectures import ARCHITECTURES
from cxrbatch.bundles.network import load_classifier
from cxrbatch.pipeline.feed import Batch
from cxrbatch.scoring.prediction import Predictor
from cxrbatch.scoring.predictor import load_predictor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=20, help="of each network, see parts/networks.py")
    turns = parser.parse_args().turns
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="cxrbatch-forward-") as name:
        for architecture in ARCHITECTURES:
            figures += measure(architecture, Path(name), turns)
    conclude(figures)


def measure(architecture: str, folder: Path, turns: int) -> list[Figure]:
    film = (
        np.random.default_rng(0).normal(size=(1, SPEC.height, SPEC.width, SPEC.channels)).astype(np.float32)
    )
    bundle = random_bundle(folder / f"random-{architecture}", architecture)
    classifier = load_classifier(bundle)
    onnx = bare_onnxruntime(classifier, film.shape)
    others: dict[str, Stream] = {
        "bare OpenVINO": one_by_one(bare_openvino(classifier, film.shape)),
        "bare OpenVINO, its queue": openvino_queue(classifier, film.shape),
        **onnx,
    }
    ours = as_in_a_night(load_predictor(bundle, batch_size=1))
    seconds = seconds_by_turn({"ours": ours, **others}, film, turns)
    rows = [Figure(f"{architecture}, {name}", 1 / np.median(s), "images/s") for name, s in seconds.items()]
    if not onnx:
        note = "onnxruntime, onnx and tf2onnx are not installed"
        rows.append(Figure(f"{architecture}, ONNX Runtime", None, note=note))
    ratios = {name: float(np.median(seconds[name] / seconds["ours"])) for name in others}
    fastest = min(ratios, key=ratios.__getitem__)
    return [
        *rows,
        Figure(f"{architecture}, ours with maps / {fastest}", ratios[fastest], "x", at_least=0.95),
    ]


def as_in_a_night(predictor: Predictor) -> Stream:
    """What `LocalScorer` does with its batches, without decoding."""

    def run(films: Sequence[np.ndarray]) -> None:
        for _ in predictor.predict(Batch(film, ()) for film in films):
            pass

    return run


if __name__ == "__main__":
    main()
