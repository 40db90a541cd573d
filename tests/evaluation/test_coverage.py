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


@pytest.mark.parametrize("truth", [0.7, 0.9])
@pytest.mark.parametrize(
    ("n_patients", "images_each", "prevalence"),
    [(200, 1, 0.2), (80, 4, 0.3), (400, 1, 0.1), (300, 2, 0.1)],
)
def test_both_intervals_cover(truth, n_patients, images_each, prevalence):
    rng = np.random.default_rng(11)
    repeats, covered = 1000, np.zeros(2)
    for _ in range(repeats):
        y, s, patients = simulate(rng, truth, n_patients, images_each, prevalence)
        estimate = delong(y, s, patients)
        area, degrees = estimate.auroc[0], estimate.degrees[0]
        variance = bootstrap_auroc(y[:, None], s[:, None], patients, 400).variance()[0]
        for which, interval in enumerate(
            (
                logit_interval(area, estimate.covariance[0, 0], degrees=degrees),
                logit_bootstrap_interval(area, variance, degrees),
            )
        ):
            # Complete separation gives no interval, and the report says so: nothing was covered.
            covered[which] += interval is not None and interval[0] <= truth <= interval[1]
    # Three standard errors of 0.95 at 1000 repeats are 0.021.
    assert ((covered / repeats >= 0.929) & (covered / repeats <= 0.971)).all(), covered / repeats
