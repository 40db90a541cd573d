from __future__ import annotations

import numpy as np
import pytest

from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.bundles.card import Card, OperatingPointCurve, PlattCurve
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.prevalence import at_prevalence


@pytest.fixture
def card() -> Card:
    """cxr-lite's for two findings, calibrated at known prevalences."""
    names = ("Effusion", "Mass")
    curve = PlattCurve(slope=1.0, intercept=0.0)
    return open_bundle("cxr-lite").card.model_copy(
        update={
            "findings": names,
            "calibration": dict.fromkeys(names, curve),
            "calibration_prevalence": {"Effusion": 0.3, "Mass": 0.2},
            "calibration_method": "Platt.",
        }
    )


def test_it_is_bayes_theorem_on_a_population_of_another_prevalence(card):
    """Scores of the two classes stay, their share changes: the frequency at a score is counted."""
    random = np.random.default_rng(0)
    bins = np.array([0.2, 0.35, 0.5, 0.65, 0.8, 0.9])
    n = 4_000_000

    def share(prevalence: float) -> np.ndarray:
        positive = random.random(n) < prevalence
        score = np.where(positive, random.beta(4, 2, n), random.beta(2, 4, n))
        where = np.digitize(score, np.linspace(0.0, 1.0, 101)) - 1
        hits = np.bincount(where, positive, minlength=100) / np.maximum(np.bincount(where, minlength=100), 1)
        return hits[(bins * 100).astype(int)]

    calibrated, expected = share(0.3), share(0.05)
    moved = at_prevalence(card, {"Effusion": 0.05}).calibration["Effusion"]
    np.testing.assert_allclose([moved(float(p)) for p in calibrated], expected, atol=0.02)


def test_other_findings_thresholds_and_weights_stay(card):
    moved = at_prevalence(card, {"Effusion": 0.05})
    assert moved.calibration["Mass"] == card.calibration["Mass"]
    assert (moved.thresholds, moved.weights) == (card.thresholds, card.weights)
    assert "Effusion 0.05" in moved.calibration_method
    assert "Mass" not in moved.calibration_method


def test_there_and_back_is_the_same(card):
    back = at_prevalence(at_prevalence(card, {"Mass": 0.01}), {"Mass": 0.2})
    assert back.calibration["Mass"].intercept == pytest.approx(0.0, abs=1e-12)
    assert at_prevalence(card, {}) is card


def test_what_cannot_be_done_is_told(card):
    with pytest.raises(BundleError, match="Hernia"):
        at_prevalence(card, {"Hernia": 0.1})
    with pytest.raises(BundleError, match="does not tell"):
        at_prevalence(card.model_copy(update={"calibration_prevalence": None}), {"Mass": 0.1})


def test_values_scaled_to_an_operating_point_have_no_prevalence(card):
    scaled = card.model_copy(
        update={"calibration": dict.fromkeys(card.findings, OperatingPointCurve(operating_point=0.3))}
    )
    with pytest.raises(BundleError, match="Mass are scaled to its operating point and are no frequencies"):
        at_prevalence(scaled, {"Mass": 0.01})
