from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxrbatch.evaluation.columns import NIH_FINDINGS, IdKind
from cxrbatch.evaluation.labels import LabelsError, read_labels

NIH = """Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,\
OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],
1.png,No Finding,0,7,58,M,PA,2682,2749,0.143,0.143,
2.png,Effusion|pleural thickening,1,7,059Y,M,AP,2682,2749,0.143,0.143,
3.png,,0,8,60,F,PA,2682,2749,0.143,0.143,
"""


def test_nih_layout_as_nih_publishes_it(write):
    labels = read_labels(write(NIH))
    assert labels.id_kind is IdKind.IMAGE
    assert labels.ids == ("1.png", "2.png", "3.png")
    assert labels.findings == NIH_FINDINGS
    assert labels.patient_ids == ("7", "7", "8")
    assert labels.lines == (2, 3, 4)
    np.testing.assert_array_equal(labels.matrix[0], 0)
    assert {labels.findings[j] for j in np.flatnonzero(labels.matrix[1])} == {
        "Effusion",
        "Pleural_Thickening",
    }
    assert np.isnan(labels.matrix[2]).all()
    assert list(labels.table["Patient Sex"]) == ["M", "M", "F"]


def test_unknown_names_in_nihs_list_are_collected(write):
    labels = read_labels(
        write("Image Index,Finding Labels\na,Efusion|Mass\nb,Efusion\nc,Fracture\n"), ["Fracture"]
    )
    assert dict(labels.unknown_findings) == {"Efusion": 2}
    assert labels.findings == (*NIH_FINDINGS, "Fracture")
    assert labels.matrix[:, -1].tolist() == [0, 0, 1]


def test_findings_take_the_models_spelling(write):
    names = ["pleural thickening", "EFFUSION"]
    assert set(names) < set(read_labels(write(NIH), names).findings)
    wide = read_labels(write("image,Pleural_Thickening,effusion\na,1,0\n"), names)
    assert wide.findings == ("pleural thickening", "EFFUSION")


def test_wide_layout(write):
    labels = read_labels(
        write(
            "image_uid,patient_id,Age,Sex,Pleural Thickening,Mass,Fracture,BMI\n"
            "1.2,p1,50,M,1,0.0,,25\n1.3,,61,F,,1.0,1,1\n"
        )
    )
    assert labels.id_kind is IdKind.IMAGE_UID
    assert labels.findings == ("Pleural_Thickening", "Mass", "Fracture")
    np.testing.assert_array_equal(labels.matrix, [[1, 0, np.nan], [np.nan, 1, 1]])
    assert labels.patient_ids == ("p1", "")
    assert list(labels.table.columns) == ["image_uid", "patient_id", "Age", "Sex", "BMI"]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("image", IdKind.IMAGE),
        ("Image", IdKind.IMAGE),
        ("Image Index", IdKind.IMAGE),
        ("Image_UID", IdKind.IMAGE_UID),
        ("study_uid", IdKind.STUDY_UID),
        ("Study UID", IdKind.STUDY_UID),
        ("Path", IdKind.PATH),
    ],
)
def test_id_columns(write, column, kind):
    assert read_labels(write(f"{column},Mass\na,1\n")).id_kind is kind


def test_the_most_exact_of_several_ids_is_used(write):
    labels = read_labels(write("study_uid,image,Mass\n1.2,a,1\n1.2,b,0\n"))
    assert (labels.id_kind, labels.ids) == (IdKind.IMAGE, ("a", "b"))


@pytest.mark.parametrize("value", ["2", "-1", "yes", "0.5", "nan", "TRUE", "1e0"])
def test_a_value_that_is_no_label_names_line_and_column(write, value):
    path = write(f"image,Mass,Effusion\na,1,0\n\nb,0,{value}\n")
    with pytest.raises(LabelsError, match="0, 1 or blank") as raised:
        read_labels(path)
    assert (raised.value.line, raised.value.column) == (4, "Effusion")
    assert repr(value) in str(raised.value)


def test_a_models_own_finding_is_held_to_the_values_too(write):
    path = write("image,Mass,Fracture\na,1,0\nb,0,2\n")
    assert read_labels(path).findings == ("Mass",)
    with pytest.raises(LabelsError, match=r"line 3, column 'Fracture'"):
        read_labels(path, ["fracture"])


@pytest.mark.parametrize(
    ("content", "line", "column", "said"),
    [
        ("name,Mass\na,1\n", 1, None, "no id column"),
        ("image,Mass\na,1\nb,0\na,0\n", 4, "image", "lines 2 and 4"),
        ("image,Mass\n,1\n", 2, "image", "blank"),
        ("image,colour\na,red\n", None, None, "no finding"),
        ("Image Index,Finding Labels\na,Mass\nb,No Finding|Mass\n", 3, "Finding Labels", "No Finding"),
        ("image,Mass\na\n", 2, None, "1 cells"),
        ("", None, None, "empty"),
    ],
)
def test_what_is_wrong_is_named(write, content, line, column, said):
    path = write(content)
    with pytest.raises(LabelsError, match=said) as raised:
        read_labels(path)
    assert (raised.value.path, raised.value.line, raised.value.column) == (path, line, column)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(*[st.sampled_from(["0", "1", "", "0.0", "1.0", " 1 "])] * 3), min_size=1, max_size=20)
)
def test_wide_and_nih_say_the_same(write, rows):
    names = ("Mass", "Effusion", "Pleural_Thickening")
    wide = "image,mass,EFFUSION,Pleural Thickening\n" + "".join(
        f"{i}.png,{','.join(row)}\n" for i, row in enumerate(rows)
    )
    labels = read_labels(write(wide))
    values = {"0": 0, "1": 1, "": np.nan}
    expected = [[values[cell.strip().removesuffix(".0")] for cell in row] for row in rows]
    assert labels.findings == names
    np.testing.assert_array_equal(labels.matrix, expected)

    lists = [
        "|".join(n for n, v in zip(names, row, strict=True) if v == 1) or "No Finding" for row in expected
    ]
    nih = read_labels(
        write("Image Index,Finding Labels\n" + "".join(f"{i}.png,{x}\n" for i, x in enumerate(lists)))
    )
    columns = [nih.findings.index(name) for name in names]
    np.testing.assert_array_equal(nih.matrix[:, columns], np.nan_to_num(expected))
