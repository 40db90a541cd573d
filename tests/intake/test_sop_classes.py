"""The groups of SOP classes, against all that pydicom's copy of PS3.6 names."""

from __future__ import annotations

import pytest
from pydicom._uid_dict import UID_dictionary

from cxrbatch.intake import sop_classes

STORAGE = {
    uid: entry[0]
    for uid, entry in UID_dictionary.items()
    if entry[1] == "SOP Class" and "Storage" in entry[0]
}
IMAGES = {uid: name for uid, name in STORAGE.items() if "Image Storage" in name}


@pytest.mark.parametrize("uid", IMAGES, ids=IMAGES.values())
def test_no_class_of_images_is_taken_for_something_else(uid: str) -> None:
    assert sop_classes.is_image(uid)
    assert not sop_classes.has_no_image(uid)
    assert not sop_classes.is_derived_result(uid)


def test_reports_segmentations_and_documents_are_results() -> None:
    words = (" SR Storage", "Segmentation Storage", "Encapsulated", "Parametric Map", "Key Object")
    for uid, name in STORAGE.items():
        if any(word in name for word in words):
            assert sop_classes.is_derived_result(uid), name


def test_plans_waveforms_and_presentation_states_hold_no_image() -> None:
    words = ("Waveform", "Presentation State", "Plan Storage", "Structure Set", "Registration", "Raw Data")
    for uid, name in STORAGE.items():
        if any(word in name for word in words) and not sop_classes.is_derived_result(uid):
            assert sop_classes.has_no_image(uid), name


def test_names() -> None:
    assert sop_classes.name_of("1.2.840.10008.5.1.4.1.1.1") == "Computed Radiography Image Storage"
    assert sop_classes.name_of("1.2.3") == "'1.2.3'"  # in quotes, as all that is a header's own word
    assert sop_classes.name_of("") == "blank"
    assert sop_classes.name_of(sop_classes.DICOMDIR) == "Media Storage Directory Storage"
    radiographs = {sop_classes.name_of(uid).split(" Image")[0] for uid in sop_classes.RADIOGRAPH}
    assert radiographs == {"Computed Radiography", "Digital X-Ray"}
    assert all("For Processing" in sop_classes.name_of(uid) for uid in sop_classes.FOR_PROCESSING)
    assert all("Secondary Capture" in sop_classes.name_of(uid) for uid in sop_classes.SECONDARY_CAPTURE)
