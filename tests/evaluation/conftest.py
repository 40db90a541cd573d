"""Cohorts for the tests of evaluation: ties, unknown labels, patients with several images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
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


@pytest.fixture
def simulated_pair() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Two binormal models of known AUROC whose errors correlate; a patient's images share labels and errors.

    Called with a generator, patients, images each, prevalences (k,) and both models' true AUROCs (k,), it
    gives labels, both models' probabilities, each (n, k), and the patients (n,).
    """

    def simulate(rng, patients, images_each, prevalence, aurocs_a, aurocs_b, shared=0.6):
        patient = np.repeat(np.arange(patients), images_each)
        n, k = len(patient), len(prevalence)
        y = (rng.random((patients, k)) < prevalence)[patient].astype(float)

        def noise():
            return np.sqrt(0.5) * (rng.normal(size=(patients, k))[patient] + rng.normal(size=(n, k)))

        common, scores = np.sqrt(shared) * noise(), []
        for aurocs in (aurocs_a, aurocs_b):
            shift = np.sqrt(2) * np.array([NormalDist().inv_cdf(value) for value in aurocs])
            logits = common + np.sqrt(1 - shared) * noise() + y * shift
            scores.append(1 / (1 + np.exp(-logits)))
        return y, scores[0], scores[1], patient

    return simulate
