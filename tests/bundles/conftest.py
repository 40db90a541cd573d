"""Small networks and bundles, so that these tests take seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.pipeline.input_spec import InputSpec, Scaling

FINDINGS = ("Effusion", "Mass", "Nodule")
SPEC = InputSpec(height=32, width=32, channels=3, scaling=Scaling.UNIT)


def tiny_network(n_findings: int = 3, **head: Any) -> keras.Model:
    """Two convolutions, global average pooling, a dense layer: 32 x 32 x 3 -> n sigmoids."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(n_findings, **({"activation": "sigmoid"} | head))(x))


def card_fields(**changed: Any) -> dict[str, Any]:
    fields = {
        "name": "tiny",
        "version": "1",
        "architecture": "keras",
        "findings": FINDINGS,
        "input": SPEC,
        "thresholds": dict.fromkeys(FINDINGS, 0.5),
        "thresholds_method": "none",
        "intended_use": "a test",
        "limits": "random weights",
        "licence": "none",
    }
    return fields | changed


@pytest.fixture(autouse=True)
def _own_model_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or adds to, the models of the account it runs in."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("CXRBATCH_MODELS", raising=False)


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.keras"
    tiny_network().save(path)
    return path


@pytest.fixture
def tiny_bundle(tmp_path: Path, tiny_file: Path) -> Bundle:
    return save_bundle(tmp_path / "site" / "tiny", tiny_file, card_fields())


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(3).random((2, 32, 32, 3), dtype=np.float32)
