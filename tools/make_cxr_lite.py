"""Make the default bundle: train on all films, judge by the cross-validation, write the bundle.

    python -m tools.cross_validate_cxr_lite DATA CV
    python -m tools.make_cxr_lite DATA CV OUT models/cxr-lite

OUT keeps the training, and the same command goes on where it was stopped. What else lies in the bundle's
folder (README.md, the recipe, the notebook) stays. Needs the extra `torch`.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.bundle import CARD_FILE, GOLDEN_FILE, Bundle, open_bundle
from cxrbatch.bundles.digests import SUMS_FILE
from cxrbatch.bundles.film_check import FILM_CHECK_FILE
from cxrbatch.bundles.network import load_classifier
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.evaluation.leaks import training_hashes
from cxrbatch.film_check.fit import FitError, take_over
from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.preprocess import preprocess_one
from cxrbatch.radiographs.read import read_radiograph
from cxrbatch.scoring.heatmaps import heat_map_model
from tools.cross_validate_cxr_lite import LINEAR, TRAINED
from tools.cxr_lite_card import card_fields, read_cross_validated
from tools.cxr_lite_films import SALT, SPEC, Films, imagenet_features, read_films
from tools.cxr_lite_start import save_start
from tools.cxr_lite_training import run_training

VERSION = "0.2.0"
_MADE_HERE = {CARD_FILE, GOLDEN_FILE, SUMS_FILE, FILM_CHECK_FILE, "weights.weights.h5"}


def main() -> None:
    """Train, describe, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cross_validation", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--train-only", action="store_true", help="leave the bundle as it is")
    arguments = parser.parse_args()
    films = read_films(arguments.data)
    trained = train_on_all(arguments.data, films, arguments.cross_validation, arguments.out)
    if arguments.train_only:
        return
    fields = card_fields(
        read_cross_validated(arguments.cross_validation, TRAINED, LINEAR),
        version=VERSION,
        findings=films.findings,
        spec=SPEC,
        map_scale=map_scale(trained, arguments.data, films),
        patients=len(films.table),
        patient_hashes=training_hashes(films.table["Patient ID"], SALT),
        salt=SALT,
    )
    with tempfile.TemporaryDirectory() as temporary:
        before = Path(temporary) / "before"
        shutil.copytree(arguments.bundle, before)
        bundle = with_film_check(write(arguments.bundle, trained, fields), open_bundle(before))
    print(f"{bundle.card.name} {bundle.card.version}, SHA-256 {bundle.sha256}\n{bundle.card.limits}")


def train_on_all(data: Path, films: Films, cross_validation: Path, out: Path) -> Bundle:
    """The command's own bundle."""
    rows = np.arange(len(films.table))
    if not (out / "start" / CARD_FILE).is_file():
        save_start(out / "start", films, imagenet_features(data, films, cross_validation), rows)
    return open_bundle(run_training(data, films, rows >= 0, out, out / "start") / "bundle")


def map_scale(bundle: Bundle, data: Path, films: Films) -> NDArray[np.float32]:
    """(k,): per finding, the 99th percentile over the films of a film's highest heat-map value (logits)."""
    maps = heat_map_model(load_classifier(bundle))
    highest = []
    for name in films.table["Image Index"]:
        pixels = read_radiograph((data / "nih" / "images" / name).read_bytes(), FileKind.PNG).pixels
        batch = preprocess_one(pixels, SPEC)[None]
        highest.append(np.asarray(maps(batch, training=False)["maps"])[0].max(axis=(0, 1)))
    return np.maximum(np.percentile(highest, 99.0, axis=0), 1e-3)


def write(folder: Path, trained: Bundle, fields: dict[str, object]) -> Bundle:
    """The bundle in place of the old one, all but what is no part of a bundle."""
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(temporary)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_file() and path.name not in _MADE_HERE:
                shutil.copy2(path, kept / path.name)
        bundle = save_bundle(folder, trained.weights_path, fields, replace=True)
        for path in kept.iterdir():
            shutil.copy2(path, folder / path.name)
    return bundle


def with_film_check(bundle: Bundle, before: Bundle) -> Bundle:
    """The last step: the film check of the bundle that was here before, where the network is still the same
    up to the layer that it looks at. Else it is fitted anew by hand (README.md)."""
    try:
        return take_over(bundle, before)
    except FitError as error:
        print(f"No film check yet: {error}")
        return bundle


if __name__ == "__main__":
    main()
