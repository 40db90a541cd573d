from __future__ import annotations

import numpy as np
import pytest

from cxrbatch.evaluation.cohort import join
from cxrbatch.evaluation.labels import LabelsError, read_labels
from cxrbatch.evaluation.tables import read_probabilities

SCORES = """study_uid,path,patient_id,view,Mass,Pleural_Thickening,Fracture
1.1,x/a.png,s1,PA,0.9,0.2,0.1
1.2,x/b.png,s2,AP,0.8,0.3,0.1
1.2,x/c.png,,AP,0.7,0.4,0.1
1.3,x/d.png,s4,PA,0.6,0.5,0.1
"""


def joined(write, labels, scores=SCORES):
    table = read_probabilities(write(scores, "scores.csv"))
    return join(read_labels(write(labels, "labels.csv"), table.findings), table)


def test_rows_and_findings_come_together(write):
    cohort = joined(write, "image,pleural thickening,Mass,Hernia,Sex\nb,1,0,0,F\nz,1,1,1,M\na,,1,0,M\n")
    assert cohort.findings == ("Mass", "Pleural_Thickening")
    np.testing.assert_array_equal(cohort.y_true, [[1, np.nan], [0, 1]])
    np.testing.assert_array_equal(cohort.y_score, [[0.9, 0.2], [0.8, 0.3]])
    assert cohort.ids == ("x/a.png", "x/b.png")
    assert list(cohort.attributes["Sex"]) == ["M", "F"]
    assert list(cohort.attributes["view"]) == ["PA", "AP"]


def test_what_was_left_out_is_counted_and_listed(write):
    flow = joined(write, "image,Mass,Hernia\nb,1,0\nz,1,1\na,1,0\n").flow
    assert (flow.rows_scored, flow.rows_labels, flow.matched) == (4, 3, 2)
    assert flow.unmatched_scored == ("x/c.png", "x/d.png")
    assert flow.unmatched_labels == ("z",)
    assert flow.findings_scored_only == ("Pleural_Thickening", "Fracture")
    assert flow.findings_labels_only == ("Hernia",)


def test_patients_are_the_labels_else_the_scores_else_the_study(write):
    cohort = joined(write, "image,Mass,Patient ID\na,1,7\nb,1,\nc,0,\nd,0,7\n")
    assert list(cohort.clusters) == ["patient 7", "patient s2", "study 1.2", "patient 7"]


def test_nothing_known_makes_every_image_its_own(write):
    cohort = joined(write, "image,Mass\na,1\nb,0\n", "image,Mass\na,0.1\nb,0.2\n")
    assert len(set(cohort.clusters)) == 2


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("image,Mass\nz,1\n", r"none of its 1 ids \(such as 'z'\)"),
        ("image,Hernia\na,1\n", "no finding in common"),
        ("image,Mass\na,3\n", r"line 2, column 'Mass'"),
    ],
)
def test_nothing_in_common_is_an_error(write, labels, said):
    with pytest.raises(LabelsError, match=said):
        joined(write, labels)
