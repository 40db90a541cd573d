"""run.json as lines of text."""

from __future__ import annotations

from cxrbatch.reporting.run_summary import count_lines, flat_lines


def test_nested_tables_become_lines_in_their_own_order() -> None:
    table = {"b": 1, "a_key": {"x": 2.0, "y": {"z": None}}, "c": [1, "two"], "d": True, "e": "", "f": 0}
    assert flat_lines(table) == [("b", "1"), ("a key, x", "2"), ("c", "1, two"), ("d", "yes"), ("f", "0")]


def test_a_run_without_counts_has_no_lines() -> None:
    assert count_lines({}) == []
    assert count_lines({"counts": 3}) == []
