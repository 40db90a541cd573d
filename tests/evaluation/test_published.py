from __future__ import annotations

import pytest

from cxrbatch.evaluation.checklist import TO_BE_PROVIDED, checklist
from cxrbatch.evaluation.columns import NIH_FINDINGS
from cxrbatch.evaluation.published import SOURCES, published_aurocs


def test_columns_have_the_means_their_authors_print():
    table = published_aurocs(NIH_FINDINGS)
    assert len(table) == 14
    for source, mean, digits in zip(
        SOURCES, (0.738, 0.841, 0.838, 0.774), (1e-3, 1e-3, 1e-3, 1e-3), strict=True
    ):
        column = [values[SOURCES.index(source)] for values in table.values()]
        assert sum(column) / 14 == pytest.approx(mean, abs=digits)


def test_names_match_in_any_spelling_and_others_are_left_out():
    assert list(published_aurocs(["pleural thickening", "Fracture"])) == ["pleural thickening"]


def test_checklist_fills_what_is_known_and_lists_the_rest():
    items = checklist({"model": "net 1.0", "training": ""})
    known = [item for item in items if item.known]
    assert [item.text for item in known] == ["net 1.0"]
    assert all(item.text == TO_BE_PROVIDED for item in items if not item.known)
    with pytest.raises(KeyError, match="nonsense"):
        checklist({"nonsense": "x"})
