"""The projection of a radiograph: ViewPosition, then ViewCodeSequence, then PatientOrientation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cxrbatch.intake.dicom_elements import Code
from cxrbatch.intake.records import View


@dataclass(frozen=True, slots=True)
class ViewEvidence:
    """A view, and what in the header says so (blank when nothing does)."""

    view: View
    source: str = ""


NO_VIEW = ViewEvidence(View.UNKNOWN)


def find_view(position: str, codes: Sequence[Code], orientation: Sequence[str]) -> ViewEvidence:
    """The view by the first of the three elements that tells it.

    Args:
        position: ViewPosition (0018,5101).
        codes: ViewCodeSequence (0054,0220).
        orientation: PatientOrientation (0020,0020), the directions of rows and columns.
    """
    view = view_of_words(position)
    if view is not View.UNKNOWN:
        return ViewEvidence(view, f"ViewPosition (0018,5101) is '{position}'")
    for code in codes:
        view = _view_of_code(code)
        if view is not View.UNKNOWN:
            shown = code.meaning or code.value
            return ViewEvidence(view, f"ViewCodeSequence (0054,0220) is '{shown}'")
    view = view_of_orientation(orientation)
    if view is not View.UNKNOWN:
        shown = "\\".join(orientation)
        return ViewEvidence(view, f"PatientOrientation (0020,0020) is '{shown}'")
    return NO_VIEW


_LATERAL = frozenset(
    {"LL", "RL", "LAT", "LATERAL", "LATERALE", "LLAT", "RLAT", "SEITLICH", "PROFIL", "PERFIL", "SAGITTAL"}
    | {"LATEROLATERAL", "LATEROMEDIAL", "MEDIOLATERAL", "ML", "LM"}
)
# Decubitus films (PS3.3, C.8.11.5.1.1: LLD, RLD) show the chest from the front, but lying on a side, as
# the films that models learn from do not: they count with the laterals, as cross-table films do.
_LYING = frozenset({"LLD", "RLD", "DECUBITUS", "DECUB", "DECUBITO", "XTABLE", "CROSSTABLE"})
_OBLIQUE = frozenset(
    {"OBLIQUE", "OBL", "OBLI", "OBLICUA", "OBLIQUO", "SCHRÄG", "SCHRAEG", "MLO", "LMO"}
    | {"RAO", "LAO", "RPO", "LPO", "RLO", "LLO"}
)
_PA = frozenset({"PA", "POSTEROANTERIOR", "CHESTPA", "PAERECT", "PAUPRIGHT", "PASTANDING"})
_AP = frozenset({"AP", "ANTEROPOSTERIOR", "CHESTAP", "APERECT", "APUPRIGHT", "APSUPINE", "APPORTABLE"})
_FRONTAL = frozenset({"FRONTAL", "FRONT", "FACE"})

_SPELLINGS = (
    (re.compile(r"POSTER\w*[\W_]+ANTER\w*|\bP[-./_ >]+A\b"), " PA "),
    (re.compile(r"ANTER\w*[\W_]+POSTER\w*|\bA[-./_ >]+P\b"), " AP "),
    (re.compile(r"\b(X|CROSS)[-_ ]+TABLE"), " XTABLE "),
)


def view_of_words(text: str) -> View:
    """The view that a free text names.

    'AP OBLIQUE' is oblique. 'PA AND LATERAL' names an examination rather than a view, so it tells
    nothing of this image; of a text that names both PA and AP only 'frontal' is left.
    """
    normal = text.upper()
    for spelling, word in _SPELLINGS:
        normal = spelling.sub(word, normal)
    words = set(re.findall(r"[^\W\d_]+", normal))
    is_pa, is_ap = bool(words & _PA), bool(words & _AP)
    is_frontal = is_pa or is_ap or bool(words & _FRONTAL)
    if words & _LYING:
        return View.LATERAL
    if words & _OBLIQUE:
        return View.OBLIQUE
    if words & _LATERAL:
        return View.UNKNOWN if is_frontal else View.LATERAL
    if is_pa != is_ap:
        return View.PA if is_pa else View.AP
    return View.FRONTAL if is_frontal else View.UNKNOWN


_CODES = {
    # CID 4010, DX View: SNOMED CT, and the SNOMED-RT codes it replaced (PS3.16, Annex O).
    View.PA: {"272479007", "R-10214", "R-40888"},
    View.AP: {"399348003", "R-10206"},
    View.FRONTAL: {"399033003", "R-10202"},
    View.LATERAL: {
        *("399067008", "399173006", "399198007", "399352003", "399260004", "30730003"),
        *("R-102CD", "R-10236", "R-10232", "R-10228", "R-10224", "G-A145"),
    },
    View.OBLIQUE: {
        *("399182000", "399184004", "399236003", "399135007", "399356000", "399006002", "399038007"),
        *("399312000", "399059000", "399160007", "260427002", "260426006", "399099002", "399368009"),
        *("399004004", "399225005", "399288005", "399132005", "399325008"),
        *("R-102C1", "R-10238", "R-10234", "R-10220", "R-40985", "R-10212", "R-10210", "R-10208", "R-10216"),
        *("R-10204", "R-40783", "R-40782", "R-10230", "R-10226", "R-10246", "R-10248", "R-10250", "R-10252"),
        *("R-10254",),
    },
}
_VIEW_BY_CODE = {code: view for view, codes in _CODES.items() for code in codes}


def _view_of_code(code: Code) -> View:
    known = _VIEW_BY_CODE.get(code.value, View.UNKNOWN)
    return known if known is not View.UNKNOWN else view_of_words(code.meaning)


def view_of_orientation(orientation: Sequence[str]) -> View:
    """Frontal or lateral from the directions of the rows and of the columns (PS3.3, C.7.6.1.1.1).

    Only the principal direction (the first letter) counts. PA and AP are not told apart: a film may be
    mirrored for viewing.
    """
    if len(orientation) != 2:
        return View.UNKNOWN
    axes = {_AXES.get(direction.strip().upper()[:1], "") for direction in orientation}
    if axes == {"left-right", "head-foot"}:
        return View.FRONTAL
    if axes == {"front-back", "head-foot"}:
        return View.LATERAL
    return View.UNKNOWN


_AXES = {
    "L": "left-right",
    "R": "left-right",
    "A": "front-back",
    "P": "front-back",
    "H": "head-foot",
    "F": "head-foot",
}
