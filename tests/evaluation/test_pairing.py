from __future__ import annotations

import numpy as np
import pytest

from cxrbatch.evaluation.delimited import TableError
from cxrbatch.evaluation.labels import read_labels
from cxrbatch.evaluation.pairing import pair
from cxrbatch.evaluation.tables import read_probabilities


@pytest.fixture
def tables(write):
    def tables(a, b, labels):
        return (
            read_labels(write(labels, "labels.csv")),
            read_probabilities(write(a, "a.csv")),
            read_probabilities(write(b, "b.csv")),
        )

    return tables


LABELS = "image,patient_id,Mass,Edema\n1.png,p,1,0\n2.png,p,0,1\n3.png,q,0,0\n4.png,r,1,1\n"


def test_rows_are_those_of_the_same_image_whatever_their_order(tables):
    a = "image,Mass,Edema\n1.png,.1,.5\n2.png,.2,.6\n3.png,.3,.7\n"
    b = "path,edema,MASS\n/else/3.png,.73,.33\n/else/1.png,.71,.31\n/else/9.png,.1,.1\n"
    found = pair(*tables(a, b, LABELS))
    assert found.findings == ("Mass", "Edema")
    assert found.ids == ("1.png", "3.png")
    np.testing.assert_array_equal(found.score_a, [[0.1, 0.5], [0.3, 0.7]])
    np.testing.assert_array_equal(found.score_b, [[0.31, 0.71], [0.33, 0.73]])
    np.testing.assert_array_equal(found.y_true, [[1, 0], [0, 0]])
    assert found.clusters.tolist() == ["patient p", "patient q"]
    assert found.left_out.only_a == ("2.png",)
    assert found.left_out.unlabelled_b == ("/else/9.png",)
    assert found.left_out.unscored_labels == ("4.png",)
    assert (found.rows_a, found.rows_b, found.rows_labels) == (3, 3, 4)


def test_a_finding_in_one_table_only_is_named(tables):
    a = "image,Mass,Nodule\n1.png,.1,.5\n"
    b = "image,Mass,Edema\n1.png,.2,.5\n"
    found = pair(*tables(a, b, LABELS))
    assert found.findings == ("Mass",)
    assert dict(found.left_out.findings) == {"Nodule": "A", "Edema": "B and labels"}


def test_labels_of_studies_pair_images_by_path(tables):
    labels = "study_uid,Mass\n1.2,1\n1.3,0\n"
    a = "study_uid,path,Mass\n1.2,x/1.dcm,.1\n1.2,x/2.dcm,.2\n1.3,x/3.dcm,.3\n"
    b = "study_uid,path,Mass\n1.3,x/3.dcm,.6\n1.2,x/2.dcm,.5\n"
    found = pair(*tables(a, b, labels))
    assert found.ids == ("x/2.dcm", "x/3.dcm")
    np.testing.assert_array_equal(found.score_b[:, 0], [0.5, 0.6])
    assert found.clusters.tolist() == ["study 1.2", "study 1.3"]


def test_labels_of_studies_pair_moved_images_by_uid(tables):
    labels = "study_uid,Mass\n1.2,1\n1.3,0\n"
    a = "study_uid,image_uid,path,Mass\n1.2,7.1,x/1.dcm,.1\n1.2,7.2,x/2.dcm,.2\n"
    b = "study_uid,image_uid,path,Mass\n1.2,7.2,y/2.dcm,.5\n1.2,7.1,y/1.dcm,.4\n"
    found = pair(*tables(a, b, labels))
    np.testing.assert_array_equal(found.score_b[:, 0], [0.4, 0.5])


def test_studies_whose_images_cannot_be_told_apart(tables):
    labels = "study_uid,Mass\n1.2,1\n1.3,0\n"
    a = "study_uid,image_uid,Mass\n1.2,7,.1\n"
    b = "study_uid,image,Mass\n1.2,x.png,.1\n"
    with pytest.raises(TableError, match="cannot be told apart"):
        pair(*tables(a, b, labels))


def test_patients_of_either_table_are_used(tables):
    labels = "image,Mass\n1.png,1\n2.png,0\n3.png,0\n"
    a = "image,Mass\n1.png,.1\n2.png,.2\n3.png,.2\n"
    b = "image,patient_id,Mass\n1.png,p,.1\n2.png,p,.2\n3.png,,.2\n"
    read = tables(a, b, labels)
    found = pair(*read)
    assert found.clusters.tolist() == ["patient p", "patient p", "row 2"]
    assert pair(read[0], read[2], read[1]).clusters.tolist() == found.clusters.tolist()


@pytest.mark.parametrize(
    ("b", "problem"),
    [
        ("image,Mass\n4.png,.1\n", "shares no labelled image"),
        ("image,Edema\n1.png,.1\n", "no labelled finding in common"),
    ],
)
def test_nothing_in_common(tables, b, problem):
    with pytest.raises(TableError, match=problem):
        pair(*tables("image,Mass\n1.png,.1\n", b, LABELS))
