"""The table of findings: order, calibration, and bars."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.bundles.card import Card
from cxrbatch.reporting.findings_table import BAR_WIDTH, bar_position, finding_lines

VALUES = (0.5, 0.1, 0.9, 0.02, 0.04)


def test_those_above_come_first_by_margin(card: Card) -> None:
    lines = finding_lines(card, VALUES)
    assert [line.name for line in lines][:2] == ["Pleural_Thickening", "Effusion"]
    assert [line.above for line in lines] == [True, True, False, False, False]
    assert [line.margin for line in lines] == sorted((line.margin for line in lines), reverse=True)


def test_without_calibration_raw_values_are_shown(card: Card) -> None:
    for line in finding_lines(card, VALUES):
        assert (line.value, line.threshold) == (line.raw, line.raw_threshold)


def test_value_and_threshold_go_through_the_same_curve(calibrated_card: Card) -> None:
    for line in finding_lines(calibrated_card, VALUES):
        for raw, shown in ((line.raw, line.value), (line.raw_threshold, line.threshold)):
            z = 1.5 * math.log(raw / (1 - raw)) - 0.7
            assert shown == pytest.approx(1 / (1 + math.exp(-z)))
        assert line.above == (line.value >= line.threshold)


@given(st.floats(0.011, 0.989), st.floats(0.011, 0.989))
def test_distance_on_a_bar_is_the_margin(one: float, other: float) -> None:
    unit = BAR_WIDTH / (2 * math.log(99))  # from 0.01 to 0.99
    expected = unit * (math.log(one / (1 - one)) - math.log(other / (1 - other)))
    assert bar_position(one) - bar_position(other) == pytest.approx(expected, abs=0.11)


@given(st.floats(0, 1))
def test_bars_stay_in_their_place(value: float) -> None:
    assert 0 <= bar_position(value) <= BAR_WIDTH
