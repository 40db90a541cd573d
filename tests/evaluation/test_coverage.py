"""Do the intervals cover the truth as often as they say? By simulation, so `long`."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from cxrbatch.evaluation.bootstrap import bootstrap_auroc, logit_bootstrap_interval
from cxrbatch.evaluation.delong import delong
from cxrbatch.evaluation.intervals import logit_interval

pytestmark = pytest.mark.long


def simulate(rng, truth, n_patients, images_each, prevalence):
    """Binormal scores; a patient's images share a random effect and, mostly, the label."""
    patients = np.repeat(np.arange(n_patients), images_each)
    share = 0.6
    ill = (rng.random(n_patients) < prevalence)[patients]
    flip = rng.random(len(patients)) < 0.1
    y = np.where(flip, rng.random(len(patients)) < prevalence, ill).astype(float)
    effect = np.sqrt(share) * rng.normal(size=n_patients)[patients]
    noise = effect + np.sqrt(1 - share) * rng.normal(size=len(patients))
    return y, noise + y * np.sqrt(2) * NormalDist().inv_cdf(truth), patients


def thirty_positives(rng, truth, n_images):
    """Exactly 30 positives among independent images."""
    y = np.repeat([1.0, 0.0], [30, n_images - 30])
    return y, rng.normal(size=n_images) + y * np.sqrt(2) * NormalDist().inv_cdf(truth), np.arange(n_images)


def fifty_patients(rng, truth, images_each, ill, flipped):
    """Exactly 50 patients with several images each, at least 30 of them positive.

    `ill` patients have the finding; on a share `flipped` of the images it is the other way round.
    """
    patients = np.repeat(np.arange(50), images_each)
    has = patients < ill
    while True:
        y = np.where(rng.random(len(patients)) < flipped, ~has, has).astype(float)
        if y.sum() >= 30:
            break
    effect = np.sqrt(0.6) * rng.normal(size=50)[patients]
    noise = effect + np.sqrt(0.4) * rng.normal(size=len(patients))
    return y, noise + y * np.sqrt(2) * NormalDist().inv_cdf(truth), patients


def coverage(design, truth, repeats, rounds):
    """Share of the repeats in which DeLong's and the bootstrap's interval hold the truth.

    Complete separation gives no interval, and the report says so: nothing was covered.
    """
    rng = np.random.default_rng(11)
    covered = np.zeros(2)
    for _ in range(repeats):
        y, s, patients = design(rng, truth)
        estimate = delong(y, s, patients)
        area, degrees = estimate.auroc[0], estimate.degrees[0]
        draws = int(rng.integers(2**31))
        variance = bootstrap_auroc(y[:, None], s[:, None], patients, rounds, draws).variance()[0]
        intervals = (
            logit_interval(area, estimate.covariance[0, 0], degrees=degrees),
            logit_bootstrap_interval(area, variance, degrees),
        )
        covered += [each is not None and each[0] <= truth <= each[1] for each in intervals]
    return covered / repeats


@pytest.mark.parametrize("truth", [0.7, 0.9])
@pytest.mark.parametrize("design", [(200, 1, 0.2), (80, 4, 0.3), (400, 1, 0.1), (300, 2, 0.1)], ids=str)
def test_both_intervals_cover(truth, design):
    covered = coverage(lambda rng, area: simulate(rng, area, *design), truth, 1000, 400)
    # Three standard errors of 0.95 at 1000 repeats are 0.021.
    assert ((covered >= 0.929) & (covered <= 0.971)).all(), covered


# The smallest cohorts of which the report does not say that the intervals may cover too little.
SMALLEST = {
    "30 positives of 90": lambda rng, truth: thirty_positives(rng, truth, 90),
    "30 positives of 150": lambda rng, truth: thirty_positives(rng, truth, 150),
    "30 positives of 300": lambda rng, truth: thirty_positives(rng, truth, 300),
    "30 positives of 1000": lambda rng, truth: thirty_positives(rng, truth, 1000),
    "50 patients, 25 ill, labels vary": lambda rng, truth: fifty_patients(rng, truth, 3, 25, 0.1),
    "50 patients, 15 ill, labels vary": lambda rng, truth: fifty_patients(rng, truth, 4, 15, 0.1),
    "50 patients, labels vary much": lambda rng, truth: fifty_patients(rng, truth, 3, 15, 0.35),
    "50 patients, 30 ill, labels the same": lambda rng, truth: fifty_patients(rng, truth, 4, 30, 0.0),
}


@pytest.mark.parametrize("truth", [0.7, 0.8, 0.9])
@pytest.mark.parametrize("design", SMALLEST)
def test_smallest_cohorts_that_count_as_reliable(design, truth):
    covered = coverage(SMALLEST[design], truth, 2000, 300)
    # A standard error of 0.95 at 2000 repeats is 0.005.
    assert ((covered >= 0.93) & (covered <= 0.97)).all(), covered
