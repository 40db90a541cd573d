"""Which words mean the chest, which something else; the standard's own terms are taken from pydicom."""

from __future__ import annotations

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from cxrbatch.intake.body_part import Region, region_of, region_of_words
from cxrbatch.intake.dicom_elements import Code


@pytest.mark.parametrize(
    "text",
    [
        "CHEST",
        "Chest",
        "CHEST_TO_PELVIS",
        "CHESTABDOMEN",
        "PORT CHEST",
        "THORAX",
        "Thorax p.a.",
        "LUNG",
        "RIBS",
        "CXR",
        "TORAX",
        "tórax",
        "Torace",
        "POUMONS",
        "Lunge",
        "akciğer",
        "грудная клетка",
        "Θώρακας",
        "胸部",
        "肺",
        "흉부",
    ],
)
def test_chest(text: str) -> None:
    assert region_of_words(text) is Region.CHEST


@pytest.mark.parametrize(
    "text",
    [
        "EXTREMITY",
        "HAND",
        "Lt Hand",
        "SKULL",
        "ABDOMEN",
        "KNEE",
        "LSPINE",
        "TSPINE",
        "CSPINE",
        "THORACIC SPINE",
        "T SPINE",
        "BRUSTWIRBELSÄULE",
        "SHOULDER",
        "CLAVICLE",
        "BREAST",
        "HIP",
        "PELVIS",
        "FOOT",
        "FEMUR",
        "LEG",
        "NECK",
        "HEAD",
        "LOWER_LIMB",
        "Knie",
        "RODILLA",
        "GENOU",
        "腹部",
        "膝関節",
        "колено",
        "LONG LEG",
    ],
)
def test_other(text: str) -> None:
    assert region_of_words(text) is Region.OTHER


@pytest.mark.parametrize(
    "text", ["", " ", "UNKNOWN", "BABYGRAM", "TRUNK", "BODY", "PORTABLE", "OUTER", "123", "THORACIC"]
)
def test_what_is_not_known_excludes_nothing(text: str) -> None:
    assert region_of_words(text) is Region.UNKNOWN


def _code(name: str) -> Code:
    return Code(next(iter(concepts["SCT"][name])), "SCT", "")


@pytest.mark.parametrize(
    "name", [n for n in cid_concepts[4031]["SCT"] if "Chest" in n] + ["Lung", "Rib", "Mediastinum"]
)
def test_codes_of_the_chest_without_their_meanings(name: str) -> None:
    assert region_of("", [_code(name)]) is Region.CHEST


def test_most_other_regions_of_the_standard_are_told_by_their_names() -> None:
    """CID 4031 holds the common regions; organs of which no plain film is made may stay unknown."""
    others = {n for n in cid_concepts[4031]["SCT"] if region_of_words(_spaced(n)) is Region.UNKNOWN}
    assert not others & {
        "Abdomen",
        "Knee",
        "Skull",
        "Hand",
        "Foot",
        "HipJoint",
        "CervicalSpine",
        "Shoulder",
        "Pelvis",
    }
    assert len(others) < 0.3 * len(cid_concepts[4031]["SCT"]), sorted(others)


def _spaced(name: str) -> str:
    return "".join(f" {c}" if c.isupper() else c for c in name).strip()


def test_the_chest_wins_over_a_lying_body_part() -> None:
    assert region_of("HAND", [_code("Thorax")]) is Region.CHEST
    assert region_of("CHEST", [Code("85562004", "SCT", "Hand")]) is Region.CHEST
    assert region_of("", [Code("85562004", "SCT", "Hand")]) is Region.OTHER
    assert region_of("", []) is Region.UNKNOWN
