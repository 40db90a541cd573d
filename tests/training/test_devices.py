"""Several devices that share a batch learn what one device learns from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cxrbatch.training import devices

SCRIPT = Path(__file__).with_name("two_devices.py")


def trained_on(count: int) -> dict[str, Any]:
    command = [sys.executable, str(SCRIPT), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_two_devices_learn_as_one() -> None:
    """Unknown labels lie on one of the two: means over each device's known labels would differ."""
    one, two = trained_on(1), trained_on(2)
    assert one["loss"][0] != pytest.approx(one["loss"][-1], abs=1e-3), "it must have learned something"
    for name in ("loss", "val_loss", "val_macro_auroc", "averaged", "trained", "descended"):
        np.testing.assert_allclose(two[name], one[name], atol=1e-4, err_msg=name)
    assert np.abs(np.subtract(one["averaged"], one["trained"])).max() > 1e-2
    assert np.abs(np.subtract(one["descended"], one["trained"])).max() > 1e-2


def test_one_device_needs_no_strategy_of_its_own() -> None:
    assert devices.choose_strategy(["CPU:0"]).num_replicas_in_sync == 1
    assert devices.choose_strategy() is tf.distribute.get_strategy() or tf.config.list_physical_devices("GPU")


@pytest.mark.parametrize(("size", "replicas", "expected"), [(8, 1, 8), (8, 2, 8), (8, 3, 9), (1, 4, 4)])
def test_every_device_gets_equally_many_films(size: int, replicas: int, expected: int) -> None:
    class Strategy:
        num_replicas_in_sync = replicas

    assert devices.global_batch(size, Strategy()) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "gpus", "policy"),
    [
        ("auto", 0, "float32"),
        ("auto", 1, "mixed_float16"),
        ("on", 0, "mixed_bfloat16"),
        ("on", 1, "mixed_float16"),
        ("off", 1, "float32"),
    ],
)
def test_precision_by_device(setting: Any, gpus: int, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["a GPU"] * gpus)
    assert devices.precision_policy(setting) == policy
