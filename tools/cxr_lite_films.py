"""The films that the default bundle is made of: labels, soft targets, folds, and their ImageNet features.

DATA holds `nih/` (471 films, one a patient: `images/`, `labels.csv` as NIH's Data_Entry, and
`published_probabilities.csv`) and `nih64/` (films of other patients, but for two, at 64 x 64).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.bundles.architectures import build_architecture
from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.fit import fit_film
from cxrbatch.pipeline.input_spec import Fit, InputSpec, Scaling
from cxrbatch.pipeline.preprocess import make_scale
from cxrbatch.radiographs.read import read_radiograph
from cxrbatch.training.augmentation import make_augment
from cxrbatch.training.records import Side
from cxrbatch.training.settings import Augmentation
from cxrbatch.training.splits import group_patients, split_patients
from tools.convert_efficientnet_lite0 import imagenet_state, load_imagenet_backbone
from tools.linear_head import Array, Cohort

SPEC = InputSpec(height=320, width=320, channels=3, scaling=Scaling.IMAGENET, fit=Fit.PAD)
SALT = "cxr-lite"
AUGMENTED = 4
CHANGES = Augmentation(rotation=12.0, shift=0.08, scale=0.25, contrast=0.3)
VIEWS = 2 + AUGMENTED
"""Of a film: itself, its mirror image, and random changes, as wide as the recipe's, of each in turn."""
_LABELS, _SOFT, _FEATURES = "labels.csv", "published_probabilities.csv", "features.npz"
_CERTAIN = 1e-5
_FIRST_DRAW = 100


@dataclass(frozen=True)
class Films:
    """The films of `nih`, one a patient: `table` is NIH's (n rows, as text), `labels` (n, k) of 0 and 1,
    `teacher` (n, k) the published probabilities."""

    table: pd.DataFrame
    findings: tuple[str, ...]
    labels: Array
    teacher: Array

    def cohort(self, features: Array) -> Cohort:
        """For `linear_head`; features (n, views, channels)."""
        return Cohort(features, self.labels, self.teacher)


def soft_targets(data: Path) -> Path:
    """The table of published probabilities."""
    return data / "nih" / _SOFT


def read_films(data: Path) -> Films:
    """Raises SystemExit where a film lacks probabilities or a patient has several."""
    labels = _table(data / "nih")
    table = labels.merge(pd.read_csv(soft_targets(data)), on="Image Index", validate="1:1")
    if len(table) != len(labels) or table["Patient ID"].duplicated().any():
        raise SystemExit("Every film needs published probabilities, and every patient exactly one film.")
    findings = tuple(name.removeprefix("prob_") for name in table if name.startswith("prob_"))
    teacher = table[[f"prob_{finding}" for finding in findings]].to_numpy(np.float64)
    return Films(labels, findings, _matrix(labels, findings), np.clip(teacher, _CERTAIN, 1.0 - _CERTAIN))


def small_films(data: Path, films: Films) -> pd.DataFrame:
    """NIH's rows of one 64-pixel film each of the patients whom `nih` has not, in order of the file names."""
    table = _table(data / "nih64").sort_values("Image Index")
    both = group_patients([*films.table["Patient ID"], *table["Patient ID"]])
    known, patients = set(both[: len(films.table)]), pd.Series(both[len(films.table) :], index=table.index)
    return table[~patients.isin(known) & ~patients.duplicated()]


def deal(films: Films, folds: int, seed: int) -> NDArray[np.int64]:
    """(n,) from 0: patients alike in every finding, one fold after the other as `cxrbatch train` splits off
    its test patients. Of the two patients that `nih64` shares no small film is used (`small_films`)."""
    patients = np.array(group_patients(films.table["Patient ID"].tolist()))
    fold = np.full(len(patients), folds - 1)
    for number in range(folds - 1):
        rest = np.flatnonzero(fold == folds - 1)
        share = 1.0 / (folds - number)
        sides = split_patients(patients[rest].tolist(), films.labels[rest], 0.0, share, seed)
        fold[rest[sides == Side.TEST]] = number
    return fold


def imagenet_network(findings: int) -> keras.Model:
    """EfficientNet-Lite0 with ImageNet's weights, but for its head."""
    network = build_architecture("efficientnet-lite0", SPEC, findings)
    load_imagenet_backbone(network, imagenet_state())
    return network


def imagenet_features(data: Path, films: Films, cache: Path) -> Array:
    """(n, VIEWS, 1280): pooled activations; kept in the folder `cache`, as they take minutes."""
    kept = cache / _FEATURES
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        network = imagenet_network(len(films.findings))
        pooled = tf.function(keras.Model(network.input, network.get_layer("pooling").output))
        views = _make_views()
        features = []
        for row, name in enumerate(films.table["Image Index"]):
            pixels = read_radiograph((data / "nih" / "images" / name).read_bytes(), FileKind.PNG).pixels
            features.append(np.asarray(pooled(views(pixels, row), training=False)))
        np.savez(kept, features=np.stack(features))
    with np.load(kept) as arrays:
        return np.asarray(arrays["features"], np.float64)


def _make_views():  # type: ignore[no-untyped-def]
    """(film uint16, its number) -> (VIEWS, height, width, channels), the same for the same number."""
    scale, augment = make_scale(SPEC), make_augment(CHANGES)

    def views(pixels: NDArray[np.uint16], row: int) -> tf.Tensor:
        grey = tf.constant(fit_film(pixels, SPEC)[..., np.newaxis])
        sides = (grey, grey[:, ::-1])
        changed = [
            augment(sides[draw % 2], tf.constant((row, _FIRST_DRAW + draw), tf.int64))
            for draw in range(AUGMENTED)
        ]
        return tf.stack([scale(view) for view in (*sides, *changed)])

    return views


def _table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / _LABELS, dtype=str, keep_default_na=False)


def _matrix(table: pd.DataFrame, findings: tuple[str, ...]) -> Array:
    named = [set(cell.split("|")) for cell in table["Finding Labels"]]
    return np.array([[finding in names for finding in findings] for names in named], np.float64)
