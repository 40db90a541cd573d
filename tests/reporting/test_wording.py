"""DICOM's values as a reader wants them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.reporting import wording


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田 太郎, やまだ たろう)"),
        ("Doe^Jane^Anne^Dr^PhD", "Doe, Jane Anne Dr PhD"),
        ("=山田^太郎", "山田 太郎"),
        ("ANONYMOUS", "ANONYMOUS"),
        ("Doe^", "Doe"),
        ("^Jane", "Jane"),
        ("", ""),
        ("==", ""),
        ("Иванов^Пётр", "Иванов, Пётр"),
    ],
)
def test_person(value: str, shown: str) -> None:
    assert wording.person(value) == shown


@pytest.mark.parametrize(
    ("function", "value", "shown"),
    [
        (wording.date, "20261123", "2026-11-23"),
        (wording.date, "2026.11.23", "2026-11-23"),
        (wording.date, "last week", "last week"),
        (wording.time, "235901.123", "23:59"),
        (wording.time, "", ""),
        (wording.age, "061Y", "61 years"),
        (wording.age, "001M", "1 month"),
        (wording.age, "old", "old"),
        (wording.sex, "f", "female"),
        (wording.sex, "X", "X"),
        (wording.moment, "2026-11-22T23:00:04+01:00", "2026-11-22 23:00 +01:00"),
        (wording.moment, "2026-11-22T23:00:04", "2026-11-22 23:00"),
        (wording.moment, "tonight", "tonight"),
        (wording.finding, "Pleural_Thickening", "Pleural thickening"),
        (wording.finding, "Lung_NOS", "Lung NOS"),
        (wording.file_name, "/inbox/a b.dcm", "a b.dcm"),
        (wording.file_name, "/", "/"),
    ],
)
def test_values(function: object, value: str, shown: str) -> None:
    assert callable(function)
    assert function(value) == shown


@given(st.floats(0, 1))
def test_a_probability_is_never_rounded_to_certainty(value: float) -> None:
    shown = wording.probability(value)
    assert (shown == "0.000") == (value == 0.0)
    assert (shown == "1.000") == (value == 1.0)
    if shown[0] not in "<>":
        assert abs(float(shown) - value) <= 0.0005 + 1e-12


@given(st.text())
def test_no_header_text_breaks_the_words(value: str) -> None:
    for function in (wording.person, wording.date, wording.time, wording.age, wording.sex, wording.moment):
        assert isinstance(function(value), str)
