from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from cxrbatch.evaluation.groupings import age_band
from cxrbatch.evaluation.subgroups import subgroups


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("63", "60-79"),
        ("059Y", "40-59"),
        ("17.9", "00-17"),
        ("18", "18-39"),
        ("007M", "00-17"),
        ("80", "80+"),
        ("120", "80+"),
        ("411", ""),
        ("", ""),
        ("old", ""),
    ],
)
def test_age_bands(text, band):
    assert age_band(text) == band


def test_a_groups_auroc_is_that_of_its_images(cohort):
    sex = np.where(np.arange(400) % 3, "F", "M")
    found = subgroups(*cohort[:2], cohort.findings, cohort.patients, pd.DataFrame({"Patient Gender": sex}))
    inside = (sex == "F") & ~np.isnan(cohort.y_true[:, 1])
    label = found["sex"]["F"]["labels"]["Mass"]
    expected = roc_auc_score(cohort.y_true[inside, 1], cohort.y_score[inside, 1])
    assert label["auroc"] == pytest.approx(expected, abs=1e-12)
    assert label["n_pos"] == cohort.y_true[inside, 1].sum()
    assert found["sex"]["F"]["n_images"] == (sex == "F").sum()


def test_small_groups_show_no_figure_but_say_why(cohort):
    view = np.array(["PA"] * 371 + ["AP"] * 29)
    found = subgroups(*cohort[:2], cohort.findings, cohort.patients, pd.DataFrame({"View Position": view}))
    assert found["view"]["AP"]["macro_auroc"] is None
    assert "fewer than 30" in found["view"]["AP"]["reason"]
    assert found["view"]["PA"]["macro_auroc"] is not None


def test_a_finding_with_few_positives_in_a_group_is_suppressed(cohort):
    y = cohort.y_true.copy()
    y[np.flatnonzero(y[:, 0] == 1)[9:], 0] = 0
    table = pd.DataFrame({"sex": ["F"] * 400})
    label = subgroups(y, cohort.y_score, cohort.findings, cohort.patients, table)["sex"]["F"]["labels"][
        "Effusion"
    ]
    assert label["auroc"] is None
    assert "fewer than 10" in label["reason"]
    assert label["n_pos"] == 9


def test_unknown_values_are_in_no_group(cohort):
    table = pd.DataFrame({"sex": ["", "unknown", "F", None] * 100})
    assert set(subgroups(*cohort[:2], cohort.findings, cohort.patients, table)["sex"]) == {"F"}
    assert subgroups(*cohort[:2], cohort.findings, cohort.patients, pd.DataFrame({"x": ["a"] * 400})) == {}
