from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.evaluation.verdict import Verdict, decide, rule

# The table of issue 4, at a margin of 0.02: difference, interval, corrected intervals, verdict.
CASES = [
    (0.010, (0.001, 0.02), {}, Verdict.SUPERIOR),
    (0.010, (0.000, 0.02), {}, Verdict.NON_INFERIOR),
    (0.000, (0.000, 0.00), {}, Verdict.NON_INFERIOR),
    (-0.010, (-0.0199, -0.001), {}, Verdict.NON_INFERIOR),
    (-0.010, (-0.020, -0.001), {}, Verdict.INCONCLUSIVE),
    (-0.030, (-0.040, -0.021), {}, Verdict.INFERIOR),
    (-0.021, (-0.040, -0.001), {}, Verdict.INFERIOR),
    (-0.020, (-0.040, -0.001), {}, Verdict.INCONCLUSIVE),
    (-0.025, (-0.060, 0.001), {}, Verdict.INCONCLUSIVE),
    (None, None, {}, Verdict.INCONCLUSIVE),
    (0.010, (0.001, 0.02), {"Mass": (-0.10, -0.041)}, Verdict.INFERIOR),
    (0.010, (-0.01, 0.02), {"Mass": (-0.10, -0.041)}, Verdict.INFERIOR),
    (0.010, (0.001, 0.02), {"Mass": (-0.10, -0.040)}, Verdict.SUPERIOR),
    (-0.025, (-0.060, 0.001), {"Mass": (-0.10, -0.041)}, Verdict.INCONCLUSIVE),
]


@pytest.mark.parametrize(("difference", "interval", "corrected", "expected"), CASES)
def test_rule(difference, interval, corrected, expected):
    decision = decide(difference, interval, corrected, 0.02)
    assert decision.verdict is expected
    assert decision.verdict.passed == (expected in (Verdict.SUPERIOR, Verdict.NON_INFERIOR))


def test_a_veto_is_named_and_what_it_overruled():
    decision = decide(0.01, (0.001, 0.02), {"Mass": (-0.1, -0.05), "Edema": (-0.1, 0.1)}, 0.02)
    assert decision.vetoed_by == ("Mass",)
    assert decision.without_veto is Verdict.SUPERIOR


@given(
    st.floats(-0.2, 0.2), st.floats(0, 0.1), st.floats(0, 0.1), st.floats(0.001, 0.1), st.floats(0.0001, 0.05)
)
def test_a_better_interval_never_worsens_the_verdict(difference, below, above, margin, shift):
    order = [Verdict.INFERIOR, Verdict.INCONCLUSIVE, Verdict.NON_INFERIOR, Verdict.SUPERIOR]
    here = decide(difference, (difference - below, difference + above), {}, margin).verdict
    moved = difference + shift
    there = decide(moved, (moved - below, moved + above), {}, margin).verdict
    assert order.index(there) >= order.index(here)


@pytest.mark.parametrize("margin", [0.0, -0.1, 0.5])
def test_margin_must_be_one(margin):
    with pytest.raises(ValueError, match="margin"):
        decide(0.0, (-0.1, 0.1), {}, margin)


def test_the_rule_tells_its_numbers():
    text = " ".join(rule(0.03))
    assert "-0.03" in text
    assert "-0.06" in text
