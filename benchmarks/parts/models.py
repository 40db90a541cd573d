"""Models to measure with: the shipped bundle, and DenseNet121 at 320 pixels with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cxrbatch.bundles.architectures import build_architecture
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.evaluation.columns import NIH_FINDINGS
from cxrbatch.pipeline.input_spec import InputSpec, Scaling

if TYPE_CHECKING:
    import keras

SPEC = InputSpec(height=320, width=320, channels=3, scaling=Scaling.IMAGENET)
FOUR = NIH_FINDINGS[:4]
"""The findings that reports draw with ``--findings top:4``, and that the notebook's way draws."""


def random_network(architecture: str, spec: InputSpec = SPEC, findings: int = 14) -> keras.Model:
    """The architecture with random weights, and batch norms as training would leave them: not the identity.

    A fresh batch norm has mean 0 and variance 1, which a compiler may fold away more easily than a real one.
    """
    import keras
    import numpy as np

    keras.utils.set_random_seed(1)
    model = build_architecture(architecture, spec, findings)
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            layer.gamma.assign(random.uniform(0.8, 1.2, size))
            layer.beta.assign(random.normal(0.0, 0.1, size))
            layer.moving_mean.assign(random.normal(0.0, 0.1, size))
            layer.moving_variance.assign(random.uniform(0.5, 1.5, size))
    return model


def random_bundle(folder: Path, architecture: str = "densenet121") -> Bundle:
    """A bundle of `random_network` with 14 findings. Its validated figures are made up, for ``top:4``."""
    weights = folder.parent / "random.weights.h5"
    folder.parent.mkdir(parents=True, exist_ok=True)
    random_network(architecture).save_weights(weights)
    figures = {name: {"auroc": 0.9 if name in FOUR else 0.6} for name in NIH_FINDINGS}
    fields = {
        "name": folder.name,
        "version": "0",
        "architecture": architecture,
        "findings": NIH_FINDINGS,
        "input": SPEC,
        "thresholds": dict.fromkeys(NIH_FINDINGS, 0.5),
        "thresholds_method": "None: random weights, for a benchmark.",
        "validation": {"method": "None: random weights, for a benchmark.", "findings": figures},
        "intended_use": "To measure speed. Its figures mean nothing.",
        "limits": "Random weights.",
        "licence": "none",
    }
    return save_bundle(folder, weights, fields)
