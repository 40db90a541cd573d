"""Cohorts for the tests of evaluation: ties, unknown labels, patients with several images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import settings

# A shared machine can stall for longer than hypothesis allows an example by default.
settings.register_profile("evaluation", deadline=None)
settings.load_profile("evaluation")


class SimulatedCohort(NamedTuple):
    y_true: np.ndarray
    y_score: np.ndarray
    patients: np.ndarray
    findings: tuple[str, ...]


@pytest.fixture
def cohort() -> SimulatedCohort:
    """400 images of 150 patients, 3 findings; scores rounded (ties), 10% of labels unknown."""
    rng = np.random.default_rng(5)
    patients = rng.integers(0, 150, 400)
    y_true = (rng.random((400, 3)) < [0.1, 0.3, 0.6]).astype(float)
    y_score = 1 / (1 + np.exp(-(rng.normal(size=(400, 3)) + [1.5, 1.0, 0.3] * y_true)))
    y_true[rng.random((400, 3)) < 0.1] = np.nan
    return SimulatedCohort(y_true, y_score.round(2), patients, ("Effusion", "Mass", "Hernia"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a table; text or bytes."""

    def write(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
