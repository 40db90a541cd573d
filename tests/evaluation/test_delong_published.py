"""DeLong's variances and paired test against published figures of another implementation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from cxrbatch.evaluation.delong import delong, paired_difference, structural_components
from cxrbatch.evaluation.paired_auroc import paired_auroc

# Aneurysmal subarachnoid haemorrhage: 41 patients with a poor outcome, 72 with a good one (Turck et al.,
# Intensive Care Medicine 2010;36:107; the data set aSAH of R's pROC, Robin et al., BMC Bioinformatics
# 2011;12:77). pROC's own tests (tests/testthat in its repository: helper-deLongPlacementsCpp-expected.R,
# test-var.R, test-cov.R, test-roc.test.R) print the structural components of three markers and what follows
# from them; numbers only are taken from there. For each marker, patients in the same order: of every poor
# outcome the good outcomes below it, a tie counted half, in 144ths of all; of every good outcome the poor
# outcomes above it, in 82nds.
PLACEMENTS = {
    "wfns": (
        """
        117 94 128 140 140 140 140 94 140 94 37 94 140 128 128 94 140 140 140 94 140 94 140 94 128 140 128
        128 37 128 128 94 94 140 140 94 94 140 140 140 140
        """,
        """
        80 80 80 80 18 80 66 66 80 66 66 80 80 80 66 80 66 80 80 53 44 80 44 80 18 18 80 80 66 44 80 80 66
        66 80 66 80 66 66 80 80 80 80 66 80 66 80 80 53 66 44 66 80 44 80 80 18 44 66 66 80 80 80 53 80 66
        66 44 44 80 80 80
        """,
    ),
    "ndka": (
        """
        116 90 98 110 6 40 74 134 140 134 134 58 104 124 24 36 102 2 144 124 62 74 80 102 128 93 124 36
        142 109 6 49 124 6 48 134 76 104 138 74 110
        """,
        """
        82 68 72 58 74 33 74 26 42 26 28 6 66 74 48 74 74 2 46 62 62 26 80 72 74 63 44 72 34 8 72 74 48 66
        72 44 16 18 60 50 4 74 28 62 58 58 34 80 28 48 66 58 26 58 50 72 62 58 16 68 48 45 8 52 48 66 16
        60 38 18 74 42
        """,
    ),
    "s100b": (
        """
        81 63 103 78 130 144 140 26 123 50 26 128 126 139 144 118 144 144 144 26 144 120 0 50 116 144 118
        144 38 118 81 63 74 116 144 88 144 121 144 144 130
        """,
        """
        58 55 66 80 28 52 66 66 80 73 80 70 63 77 52 77 63 58 52 80 53 55 36 70 24 28 53 77 32 28 63 73 70
        73 80 58 66 55 54 80 80 70 80 70 73 53 70 73 37 63 42 77 66 39 77 80 48 34 66 54 73 55 66 77 80 52
        54 28 52 54 24 27
        """,
    ),
}
MARKERS = ("wfns", "ndka", "s100b")
Y = np.repeat([1.0, 0.0], [41, 72])


def placements(marker):
    return tuple(np.array([int(number) for number in text.split()]) for text in PLACEMENTS[marker])


def scores(marker):
    """Scores with these placements: they fix the order of the patients, and nothing else counts."""
    poor, good = placements(marker)
    levels, size = np.unique(-good, return_counts=True)
    below = np.concatenate([[0], np.cumsum(size)])
    # A poor outcome lies between two levels of good ones, or on one of them.
    places = np.sort(np.concatenate([2 * below, below[:-1] + below[1:]]))
    assert set(poor) <= set(places)
    return np.concatenate([np.searchsorted(places, poor), 2 * np.searchsorted(levels, -good) + 1]).astype(
        float
    )


SCORES = {marker: scores(marker) for marker in MARKERS}


@pytest.mark.parametrize("marker", MARKERS)
def test_structural_components(marker):
    poor, good = placements(marker)
    v10, v01 = structural_components(Y == 1, SCORES[marker][:, None])
    np.testing.assert_allclose(v10[:, 0], poor / 144, rtol=0, atol=1e-14)
    np.testing.assert_allclose(v01[:, 0], good / 82, rtol=0, atol=1e-14)


def test_areas_variances_and_covariances():
    estimate = delong(Y, np.column_stack([SCORES[marker] for marker in MARKERS]))
    np.testing.assert_allclose(
        estimate.auroc, [0.823678861788618, 0.611957994579946, 0.731368563685637], rtol=1e-13
    )
    expected = np.diag([0.00146991470882363, 0.0031908105493913, 0.00266868245717244])
    between = (-0.000532967856762438, 0.00119615567376754, -0.000756164938056579)
    for (i, j), covariance in zip(combinations(range(3), 2), between, strict=True):
        expected[i, j] = expected[j, i] = covariance
    np.testing.assert_allclose(estimate.covariance, expected, rtol=1e-12)


# The difference is the first marker's area less the second's; two-sided, plain Wald interval.
@pytest.mark.parametrize(
    ("first", "second", "z", "p_value", "low", "high"),
    [
        ("wfns", "s100b", 2.20898359144091, 0.0271757822291882, 0.0104061769564846, 0.174214419249478),
        ("wfns", "ndka", 2.79777591868904, 0.00514557970691098, 0.0634011709339876, 0.3600405634833566),
        ("ndka", "s100b", -1.39077002573558, 0.164295175223054, -0.2876917446341914, 0.0488706064228094),
    ],
)
def test_paired_test(first, second, z, p_value, low, high):
    a, b = SCORES[second], SCORES[first]
    found = paired_difference(Y, a, b)
    # The macro difference of a single finding is that finding's.
    macro = paired_auroc(Y[:, None], a[:, None], b[:, None], np.arange(len(Y)), rounds=10)[1].delong
    for each in (found, macro):
        assert each.difference / each.standard_error == pytest.approx(z, rel=1e-12)
        assert (each.p_value, each.low, each.high) == pytest.approx((p_value, low, high), rel=1e-11)
