from __future__ import annotations

import numpy as np
import pytest

from cxrbatch.evaluation.columns import IdKind
from cxrbatch.evaluation.tables import ProbabilitiesError, read_probabilities

SCORES = """study_key,study_uid,image_uid,path,patient_id,view,bundle,atypicality,notes,Effusion,Mass
k1,1.2,1.2.1,in/a.dcm,p1,PA,cxr-lite,0.5,,0.125,1
k2,1.3,1.3.1,in/b%FF.dcm,,AP,cxr-lite,,"odd, but read",1e-07,0
"""


def test_scores_csv(write):
    table = read_probabilities(write(SCORES))
    assert table.findings == ("Effusion", "Mass")
    np.testing.assert_array_equal(table.probabilities, [[0.125, 1], [1e-7, 0]])
    assert table.ids == {
        IdKind.IMAGE_UID: ("1.2.1", "1.3.1"),
        IdKind.PATH: ("in/a.dcm", "in/b%FF.dcm"),
        IdKind.STUDY_UID: ("1.2", "1.3"),
    }
    assert table.patient_ids == ("p1", "")
    assert list(table.table["view"]) == ["PA", "AP"]


def test_with_a_prefix_only_those_are_findings(write):
    table = read_probabilities(
        write("Image Index,prob_Mass,Prob_Pleural_Thickening,epoch\na.png,0.5,0.25,12\n")
    )
    assert table.findings == ("Mass", "Pleural_Thickening")
    np.testing.assert_array_equal(table.probabilities, [[0.5, 0.25]])


@pytest.mark.parametrize("value", ["1.0001", "-0.1", "nan", "NaN", "inf", "", "high", "0,5", "1_0"])
def test_a_value_that_is_no_probability_names_line_and_column(write, value):
    path = write(f'image,Mass,Effusion\na,0.1,0.2\nb,0.3,"{value}"\n')
    with pytest.raises(ProbabilitiesError, match="from 0 to 1") as raised:
        read_probabilities(path)
    assert (raised.value.path, raised.value.line, raised.value.column) == (path, 3, "Effusion")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Mass\n0.5\n", "no id column"),
        ("image,view\na,PA\n", "no column of probabilities"),
        ("path,Mass\na,0.5\nb,0.5\na,0.5\n", "lines 2 and 4"),
        ("path,Mass\n,0.5\n", "blank"),
        ("image,prob_Mass,prob_mass\na,0.1,0.1\n", "twice"),
        ("image,prob_Mass,prob_\na,0.1,0.1\n", "after the prefix"),
    ],
)
def test_what_is_wrong_is_named(write, content, said):
    with pytest.raises(ProbabilitiesError, match=said):
        read_probabilities(write(content))


def test_one_uid_with_two_files_is_two_rows(write):
    table = read_probabilities(write("image_uid,path,Mass\n1.2,a.dcm,0.5\n1.2,b.dcm,0.4\n"))
    assert table.ids[IdKind.IMAGE_UID] == ("1.2", "1.2")
