"""The view by three elements in their order; codes are checked against pydicom's copy of CID 4010."""

from __future__ import annotations

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from cxrbatch.intake.dicom_elements import Code
from cxrbatch.intake.records import View
from cxrbatch.intake.view import find_view, view_of_orientation, view_of_words


@pytest.mark.parametrize(
    ("text", "view"),
    [
        *(
            (text, View.PA)
            for text in ("PA", "pa", "P-A", "P->A", "P.A.", "POSTERO-ANTERIOR", "CHEST_PA", "PA 2")
        ),
        *(
            (text, View.AP)
            for text in ("AP", "AP SUPINE", "A/P", "ANTERO_POSTERIOR", "AP PORTABLE", "AP LORDOTIC")
        ),
        *((text, View.FRONTAL) for text in ("FRONTAL", "PA OR AP", "Thorax Face")),
        *(
            (text, View.LATERAL)
            for text in ("LL", "RL", "LAT", "LATERAL", "Lt lateral", "LLD", "RLD", "AP DECUBITUS")
        ),
        *((text, View.LATERAL) for text in ("CROSS-TABLE LATERAL", "X TABLE", "seitlich", "PROFIL")),
        *((text, View.OBLIQUE) for text in ("RAO", "LPO", "AP OBLIQUE", "OBL", "RLO", "LLO")),
        *(
            (text, View.UNKNOWN)
            for text in ("", "  ", "CHEST", "PA AND LATERAL", "AP/LAT", "1", "PAIN", "ERECT")
        ),
    ],
)
def test_words(text: str, view: View) -> None:
    assert view_of_words(text) is view


CID_4010_CHEST_VIEWS = {
    "PosteroAnterior": View.PA,
    "AnteroPosterior": View.AP,
    "Frontal": View.FRONTAL,
    "LateralProjection": View.LATERAL,
    "LeftLateral": View.LATERAL,
    "RightLateral": View.LATERAL,
    "LateralMedial": View.LATERAL,
    "MedioLateralProjection": View.LATERAL,
    "Sagittal": View.LATERAL,
    **dict.fromkeys([name for name in cid_concepts[4010]["SCT"] if "Oblique" in name], View.OBLIQUE),
}


@pytest.mark.parametrize(("name", "view"), CID_4010_CHEST_VIEWS.items())
def test_codes_of_the_standard_without_their_meanings(name: str, view: View) -> None:
    [code] = concepts["SCT"][name]
    assert find_view("", [Code(code, "SCT", "")], []).view is view
    retired = mapping["SCT"].get(code)  # the SNOMED-RT code that it replaced
    if retired:
        assert find_view("", [Code(retired, "SRT", "")], []).view is view


def test_no_other_view_of_the_standard_is_taken_for_one_of_the_chest() -> None:
    others = set(cid_concepts[4010]["SCT"]) - set(CID_4010_CHEST_VIEWS)
    assert others
    for name in others:
        [code] = list(concepts["SCT"][name])[:1]
        assert find_view("", [Code(code, "SCT", "")], []).view is View.UNKNOWN


def test_an_unknown_code_is_read_by_its_meaning() -> None:
    assert find_view("", [Code("X1", "99LOCAL", "left lateral")], []).view is View.LATERAL


@pytest.mark.parametrize(
    ("orientation", "view"),
    [
        (["L", "F"], View.FRONTAL),
        (["R", "H"], View.FRONTAL),
        (["F", "L"], View.FRONTAL),  # the film lies on its side
        (["l", "f"], View.FRONTAL),
        (["LP", "FA"], View.FRONTAL),
        (["A", "F"], View.LATERAL),
        (["P", "F"], View.LATERAL),
        (["L", "P"], View.UNKNOWN),
        (["L", "L"], View.UNKNOWN),
        (["L"], View.UNKNOWN),
        (["", ""], View.UNKNOWN),
        ([], View.UNKNOWN),
        (["X", "Y"], View.UNKNOWN),
    ],
)
def test_orientation(orientation: list[str], view: View) -> None:
    assert view_of_orientation(orientation) is view


def test_the_first_element_that_tells_wins_and_is_named() -> None:
    lateral = [Code("399067008", "SCT", "lateral")]
    found = find_view("PA", lateral, ["A", "F"])
    assert (found.view, "ViewPosition (0018,5101)" in found.source) == (View.PA, True)
    found = find_view("ERECT", lateral, ["L", "F"])
    assert (found.view, "ViewCodeSequence (0054,0220)" in found.source) == (View.LATERAL, True)
    found = find_view("", [Code("?", "99X", "?")], ["L", "F"])
    assert (found.view, "PatientOrientation (0020,0020)" in found.source) == (View.FRONTAL, True)
    assert find_view("", [], []).view is View.UNKNOWN
