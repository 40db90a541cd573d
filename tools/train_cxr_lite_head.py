"""Build-time: train the head of the default bundle, judge it, and write ``models/cxr-lite``.

    python -m tools.train_cxr_lite_head NIH_FOLDER models/cxr-lite

NIH_FOLDER holds ``images/``, ``labels.csv`` (as NIH's Data_Entry) and ``published_probabilities.csv``
(a teacher's, one ``prob_`` column a finding). Needs the extra ``torch``. Films are decoded, resized and
normalised by the very code that scores them. How and why: ``models/cxr-lite/README.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxrbatch.bundles.architectures import build_architecture
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.input_spec import Fit, InputSpec, Scaling
from cxrbatch.pipeline.preprocess import preprocess_one
from cxrbatch.radiographs.read import read_radiograph
from cxrbatch.scoring.heatmaps import heat_map_model
from tools import linear_head
from tools.convert_efficientnet_lite0 import imagenet_state, load_imagenet_backbone
from tools.cxr_lite_card import card_fields
from tools.linear_head import Array, Cohort, LinearHead

SPEC = InputSpec(height=320, width=320, channels=3, scaling=Scaling.IMAGENET, fit=Fit.PAD)
SEED = 2026
SALT = "cxr-lite"
THRESHOLD_SPECIFICITY = 0.85


def main() -> None:
    """Read, train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("nih", type=Path)
    parser.add_argument("bundle", type=Path)
    arguments = parser.parse_args()
    table = _table(arguments.nih)
    findings = tuple(name.removeprefix("prob_") for name in table if name.startswith("prob_"))
    network = build_architecture("efficientnet-lite0", SPEC, len(findings))
    load_imagenet_backbone(network, imagenet_state())

    cohort = _cohort(table, findings, _pooled_features(network, arguments.nih / "images", table))
    held_out, head, settings = _train(cohort)
    network.layers[-1].set_weights([head.weights.astype(np.float32), head.bias.astype(np.float32)])

    fields = card_fields(
        findings=findings,
        spec=SPEC,
        labels=cohort.labels,
        logits=held_out,
        specificity=THRESHOLD_SPECIFICITY,
        settings=settings,
        map_scale=_map_scale(network, arguments.nih / "images", table),
        patient_hashes=_patient_hashes(table["Patient ID"]),
        salt=SALT,
        seed=SEED,
    )
    readme = arguments.bundle / "README.md"
    kept = readme.read_text(encoding="utf-8") if readme.is_file() else None
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "cxr-lite.weights.h5"
        network.save_weights(weights)
        bundle = save_bundle(arguments.bundle, weights, fields, replace=True)
    if kept is not None:
        readme.write_text(kept, encoding="utf-8")
    _report(bundle.card.model_dump(mode="json"), settings)


def _table(folder: Path) -> pd.DataFrame:
    """One row a film and, so that splitting films splits patients, one film a patient."""
    labels = pd.read_csv(folder / "labels.csv", dtype={"Patient ID": str})
    table = labels.merge(
        pd.read_csv(folder / "published_probabilities.csv"), on="Image Index", validate="1:1"
    )
    if len(table) != len(labels) or table["Patient ID"].duplicated().any():
        raise SystemExit("Every film needs published probabilities, and every patient exactly one film.")
    return table


def _film(folder: Path, name: str) -> NDArray[np.uint16]:
    return read_radiograph((folder / name).read_bytes(), FileKind.PNG).pixels


def _pooled_features(network: keras.Model, folder: Path, table: pd.DataFrame) -> Array:
    """(n, 2, 1280): each film, and its mirror image."""
    pooled = keras.Model(network.input, network.get_layer("pooling").output)
    features = []
    for name in table["Image Index"]:
        pixels = _film(folder, name)
        batch = np.stack([preprocess_one(view, SPEC) for view in (pixels, pixels[:, ::-1])])
        features.append(np.asarray(pooled(batch, training=False), np.float64))
    return np.stack(features)


def _cohort(table: pd.DataFrame, findings: tuple[str, ...], features: Array) -> Cohort:
    named = [set(cell.split("|")) for cell in table["Finding Labels"]]
    labels = np.array([[finding in names for finding in findings] for names in named], np.float64)
    teacher = table[[f"prob_{finding}" for finding in findings]].to_numpy(np.float64)
    return Cohort(features, labels, np.clip(teacher, 1e-5, 1.0 - 1e-5))


def _train(cohort: Cohort) -> tuple[Array, LinearHead, linear_head.Settings]:
    """Out-of-fold logits, the head fitted to all films, and its settings.

    Ridge scores become logits by one slope common to all findings and an intercept each, fitted to the
    out-of-fold scores and folded into the head.
    """
    scores = linear_head.nested_scores(cohort, SEED)
    slope, intercepts = linear_head.shared_scale(cohort.labels, scores)
    settings = linear_head.choose_settings(cohort, SEED + 1)
    head = linear_head.fit_head(cohort, settings).rescaled(slope, intercepts)
    return slope * scores + intercepts, head, settings


def _map_scale(network: keras.Model, folder: Path, table: pd.DataFrame) -> Array:
    """Per finding, the 99th percentile over the films of a film's highest heat-map value (logits)."""
    maps = heat_map_model(network)
    highest = []
    for name in table["Image Index"]:
        batch = preprocess_one(_film(folder, name), SPEC)[None]
        highest.append(np.asarray(maps(batch, training=False)["maps"])[0].max(axis=(0, 1)))
    return np.maximum(np.percentile(highest, 99.0, axis=0), 1e-3)


def _patient_hashes(patients: pd.Series[str]) -> tuple[str, ...]:
    return tuple(sorted(hashlib.sha256((SALT + patient).encode()).hexdigest() for patient in patients))


def _report(card: dict[str, Any], settings: linear_head.Settings) -> None:
    validation = card["validation"]
    print(f"{settings}; macro AUROC {validation['macro_auroc']}, 95% CI {validation['macro_auroc_ci95']}")
    for name, figures in validation["findings"].items():
        print(f"{name:20s} {figures['auroc']:.3f} {figures['auroc_ci95']} n+ {figures['n_pos']}", end="  ")
        print(f"threshold {card['thresholds'][name]}  {card['calibration'][name]}  {card['map_scale'][name]}")


if __name__ == "__main__":
    main()
