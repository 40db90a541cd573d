"""DeLong's own example."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from cxrbatch.evaluation.delong import delong, paired_difference
from cxrbatch.evaluation.paired_auroc import paired_auroc

# DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837: patients with ovarian cancer and an obstructed
# bowel; albumin, total protein, Krebs-Goplerud score, outcome. The 43 patients with all three are those of
# SAS/STAT User's Guide, The LOGISTIC Procedure, "Comparing Receiver Operating Characteristic Curves" (read
# there). The expected figures were written down from memory of that example and have not been held against
# the printed page yet: until then the independent check of this code is the brute force in test_delong.py.
TABLE = """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
    3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
    2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
    3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
    3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
    3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""
PATIENTS = np.array([float(cell) for cell in TABLE.split()]).reshape(-1, 4)
Y = PATIENTS[:, 3]
ALBUMIN, PROTEIN, KG = PATIENTS[:, 0], PATIENTS[:, 1], 10 - PATIENTS[:, 2]


def test_areas_and_their_errors():
    estimate = delong(Y, np.column_stack([ALBUMIN, KG, PROTEIN]))
    np.testing.assert_allclose(estimate.auroc, [0.7366, 0.7258, 0.6478], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(estimate.covariance)), [0.0927, 0.1028, 0.1000], atol=5e-5)


def test_global_contrast():
    estimate = delong(Y, np.column_stack([ALBUMIN, KG, PROTEIN]))
    contrast = np.array([[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]])
    step = contrast @ estimate.auroc
    statistic = step @ np.linalg.inv(contrast @ estimate.covariance @ contrast.T) @ step
    assert statistic == pytest.approx(2.5340, abs=5e-5)
    assert chi2.sf(statistic, 2) == pytest.approx(0.2817, abs=5e-5)


@pytest.mark.parametrize(
    ("score", "difference", "error", "low", "high", "p_value"),
    [
        (ALBUMIN, 0.0108, 0.0953, -0.1761, 0.1976, 0.9102),
        (PROTEIN, -0.0780, 0.1046, -0.2830, 0.1271, 0.4561),
    ],
    ids=["albumin", "protein"],
)
def test_paired_differences_from_the_kg_score(score, difference, error, low, high, p_value):
    found = paired_difference(Y, KG, score)
    expected = (difference, error, low, high, p_value)
    np.testing.assert_allclose(
        (found.difference, found.standard_error, found.low, found.high, found.p_value), expected, atol=5e-5
    )
    # The macro difference of a single finding is that finding's.
    macro = paired_auroc(Y[:, None], KG[:, None], score[:, None], np.arange(len(Y)), rounds=10)[1].delong
    np.testing.assert_allclose(
        (macro.difference, macro.standard_error, macro.p_value),
        (found.difference, found.standard_error, found.p_value),
        atol=1e-12,
    )
