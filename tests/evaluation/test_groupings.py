from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxrbatch.evaluation.groupings import SubgroupColumnError, groupings


def by_name(table: dict, columns=None):
    return {g.attribute: g for g in groupings(pd.DataFrame(table), columns)}


def test_any_column_by_any_spelling():
    found = by_name({"Ward_Name": ["a", "b", "a"], "Patient Sex": ["F", "", "M"]}, ["ward name", "SEX"])
    assert found["ward name"].groups == ("a", "b")
    assert found["sex"].groups == ("F", "M")
    assert found["sex"].values.tolist() == ["F", "", "M"]


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(SubgroupColumnError, match=r"'ward'.*sex"):
        groupings(pd.DataFrame({"sex": ["F"]}), ["ward"])


def test_the_column_that_knows_something_is_taken():
    found = by_name({"view": ["unknown", "unknown"], "View Position": ["PA", "AP"]})
    assert found["view"].groups == ("AP", "PA")


def test_many_numbers_become_quarters():
    grouping = by_name({"kVp": [str(v) for v in range(100)]}, ["kVp"])["kVp"]
    assert len(grouping.groups) == 4
    counts = pd.Series(grouping.values).value_counts()
    assert counts.min() >= 24


def test_many_names_show_the_largest_groups():
    names = [f"scanner {i}" for i in range(20) for _ in range(i + 1)]
    grouping = by_name({"scanner": names}, ["scanner"])["scanner"]
    assert len(grouping.groups) == 12
    assert "scanner 19" in grouping.groups
    assert "scanner 0" in grouping.left_out


def test_constant_numbers_stay_what_they_are():
    values = np.repeat([str(i) for i in range(3)], 5)
    assert by_name({"dose": values}, ["dose"])["dose"].groups == ("0", "1", "2")
