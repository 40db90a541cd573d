"""What a finding may be called: anything that can stand on a page, but not nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from cxrbatch.bundles.card import FindingName

NAME = TypeAdapter(FindingName)


@pytest.mark.parametrize("name", ["", " ", "\t", " \u2003 ", "\u00a0", "Mass\n", "a\x00b", "x" * 101])
def test_blank_and_unprintable_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        NAME.validate_python(name)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=100))
def test_any_other_name_is_kept_as_it_is(name: str) -> None:
    if not name.strip():
        with pytest.raises(ValidationError):
            NAME.validate_python(name)
    else:
        assert NAME.validate_python(name) == name
