from __future__ import annotations

import numpy as np

from cxrbatch.evaluation.failures import most_confident_failures


def test_the_most_confident_of_each_kind_come_first():
    y = np.array([[0.0], [0], [0], [1], [1], [1], [np.nan]])
    s = np.array([[0.9], [0.6], [0.5], [0.4], [0.1], [0.8], [0.99]])
    found = most_confident_failures(y, s, ["Mass"], {"Mass": 0.5}, each=2)
    assert [(f.row, f.false_positive) for f in found] == [(0, True), (1, True), (4, False), (3, False)]
    assert found[0].score == 0.9
    assert found[0].threshold == 0.5


def test_a_finding_without_a_threshold_has_no_failures():
    assert most_confident_failures(np.zeros((3, 1)), np.ones((3, 1)), ["Mass"], {}) == []
