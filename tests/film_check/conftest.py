"""A small bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.pipeline.input_spec import InputSpec, Scaling

SIDE = 40


@pytest.fixture(autouse=True)
def _own_model_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or adds to, the models and limits of the account it runs in."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("CXRBATCH_MODELS", raising=False)


def _bundle(folder: Path) -> Bundle:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(12, 5, strides=2, padding="same", activation="relu", name="middle")(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="upper")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="sigmoid", name="findings")(x))
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "net.keras")
    fields = {
        "name": "tiny",
        "version": "1",
        "architecture": "keras",
        "findings": ("Effusion", "Mass"),
        "input": InputSpec(height=SIDE, width=SIDE, channels=3, scaling=Scaling.UNIT),
        "thresholds": {"Effusion": 0.5, "Mass": 0.5},
        "thresholds_method": "none",
        "intended_use": "a test",
        "limits": "random weights",
        "licence": "none",
    }
    return save_bundle(folder / "tiny", folder / "net.keras", fields)


@pytest.fixture
def tiny(tmp_path: Path) -> Bundle:
    return _bundle(tmp_path / "models")


@pytest.fixture(scope="session")
def make_bundle() -> Callable[[Path], Bundle]:
    """Makes the same bundle in a folder."""
    return _bundle
