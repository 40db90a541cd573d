from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2

from cxrbatch.evaluation.mcnemar import EXACT_BELOW, PairedCalls, mcnemar, newcombe_interval


@given(st.integers(0, EXACT_BELOW - 1), st.data())
def test_few_discordant_pairs_are_the_exact_binomial_test(discordant, data):
    only_b = data.draw(st.integers(0, discordant))
    expected = binomtest(only_b, discordant).pvalue if discordant else 1.0
    assert mcnemar([1] * only_b + [-1] * (discordant - only_b)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("only_a", "only_b"), [(10, 15), (5, 40), (100, 100), (121, 59)])
def test_many_are_mcnemars_chi_squared(only_a, only_b):
    statistic = (only_b - only_a) ** 2 / (only_a + only_b)
    assert mcnemar([1] * only_b + [-1] * only_a) == pytest.approx(chi2.sf(statistic, 1), rel=1e-9)


@given(st.lists(st.integers(-4, 4).filter(bool), min_size=1, max_size=8))
def test_clusters_are_flipped_as_wholes(discordance):
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, discordance, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(discordance))
    ]
    expected = np.mean([s >= abs(sum(discordance)) for s in sums])
    assert mcnemar(discordance) == pytest.approx(expected, rel=1e-9)


def test_copies_of_an_image_are_no_more_evidence():
    a, b = np.array([1, 0, 0, 0, 0, 0, 1]), np.array([0, 1, 1, 1, 1, 1, 1])
    once = PairedCalls.of(a, b, np.arange(7))
    copied = PairedCalls.of(np.repeat(a, 3), np.repeat(b, 3), np.repeat(np.arange(7), 3))
    assert copied.p_value == pytest.approx(once.p_value)
    assert copied.clustered
    assert not once.clustered
    assert "by patients" in copied.test
    assert copied.difference == once.difference


def test_counts_and_shares():
    calls = PairedCalls.of([1, 1, 0, 0, 0], [1, 0, 1, 1, 0], list("vwxyz"))
    assert (calls.both, calls.only_a, calls.only_b, calls.neither) == (1, 1, 2, 1)
    assert (calls.share_a, calls.share_b) == (0.4, 0.6)
    assert calls.difference == pytest.approx(0.2)


def test_no_image_no_figure():
    calls = PairedCalls.of([], [], [])
    assert (calls.share_a, calls.difference, calls.p_value, calls.ci95()) == (None, None, None, None)


# Newcombe, Statistics in Medicine 1998;17:2635, Table III, method 10: both, first only, second only, neither,
# and the printed limits. Taken from transcriptions of that table in the tests of other, unrelated projects,
# which agree with one another in every row; the printed page itself was not at hand.
TABLE_III = """
    36 12 2 0 0.0569 0.3404   20 12 2 16 0.0562 0.3292   18 12 2 18 0.0562 0.3290   36 14 0 0 0.1528 0.4167
    35 14 0 1 0.1461 0.4175   18 14 0 18 0.1441 0.3963   2 97 1 0 0.8721 0.9854     0 29 1 0 0.6666 0.9882
    2 98 0 0 0.9178 0.9945    1 98 0 1 0.9171 0.9916     0 30 0 0 0.8395 1.0000     54 0 0 0 -0.0664 0.0664
    53 0 0 1 -0.0729 0.0729   30 0 0 24 -0.0358 0.0358   29 0 0 25 -0.0354 0.0354   28 0 0 26 -0.0352 0.0352
    27 0 0 27 -0.0351 0.0351
"""


@pytest.mark.parametrize("row", np.array(TABLE_III.split(), dtype=float).reshape(-1, 6).tolist(), ids=str)
def test_newcombes_table(row):
    assert newcombe_interval(*(int(cell) for cell in row[:4])) == pytest.approx(row[4:], abs=5e-5)


def test_newcombes_table_where_it_does_not_round():
    """1, 97, 1, 1: the table has 0.8736 for method 10 and 0.8737 for method 8, which are the same there."""
    assert newcombe_interval(1, 97, 1, 1) == pytest.approx((0.8736, 0.9850), abs=1e-4)


def test_example_of_fagerland_lydersen_and_laake():
    """Complete response before and after consolidation (Cavo et al. 2012), 59, 6, 16 and 80 patients.

    Statistical Analysis of Contingency Tables, 2017, chapter 8; figures from the tests of the R package to
    that book, contingencytables: its "square-and-add" interval and its exact conditional test.
    """
    assert newcombe_interval(59, 6, 16, 80) == pytest.approx((-0.1186, -0.0046), abs=5e-5)
    assert mcnemar([1] * 6 + [-1] * 16) == pytest.approx(0.052479, abs=5e-7)


@given(*[st.integers(0, 30)] * 4)
def test_interval_holds_the_difference_and_mirrors(both, first, second, neither):
    interval = newcombe_interval(both, first, second, neither)
    n = both + first + second + neither
    if n == 0:
        assert interval is None
        return
    assert interval[0] <= (first - second) / n + 1e-12
    assert interval[1] >= (first - second) / n - 1e-12
    assert newcombe_interval(both, second, first, neither) == pytest.approx((-interval[1], -interval[0]))
