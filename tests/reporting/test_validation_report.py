from __future__ import annotations

from cxrbatch.reporting.validation_report import count_gaps, flagged_gaps, remarks


def gap(difference: float, ci95: list[float] | None) -> dict:
    return {"difference": difference, "ci95": ci95}


def label(**gaps: dict) -> dict:
    flags = [name for name, g in gaps.items() if g["ci95"] and (g["ci95"][0] > 0 or g["ci95"][1] < 0)]
    return {"auroc": 0.8, "tpr": 0.7, "fpr": 0.1, "gaps": gaps, "flags": flags}


def group(**labels: dict) -> dict:
    return {"macro_auroc": 0.8, "labels": labels}


def test_of_two_groups_each_gap_is_listed_once():
    mass, mirror = label(auroc=gap(0.2, [0.1, 0.3])), label(auroc=gap(-0.2, [-0.3, -0.1]))
    found = flagged_gaps({"sex": {"F": group(Mass=mass), "M": group(Mass=mirror)}})
    assert [(g.group, g.difference) for g in found] == [("F", 0.2)]
    assert count_gaps({"sex": {"F": group(Mass=mass), "M": group(Mass=mirror)}}) == 1


def test_flags_come_largest_first_and_unflagged_gaps_are_left_out():
    ages = {
        "a": group(Mass=label(auroc=gap(0.1, [0.05, 0.15]), fpr=gap(0.0, [-0.1, 0.1]))),
        "b": group(Mass=label(tpr=gap(-0.3, [-0.4, -0.2]))),
        "c": group(Mass=label(tpr=gap(0.4, None))),
    }
    found = flagged_gaps({"age": ages})
    assert [(g.group, g.measure) for g in found] == [("b", "tpr"), ("a", "auroc")]
    assert count_gaps({"age": ages}) == 3


def test_remarks_that_differ_in_a_number_share_a_line():
    labels = {
        "Mass": {
            "warnings": ["unreliable: only 8 images in the smaller class", "operating point: flattering"]
        },
        "Pleural_Thickening": {"warnings": ["unreliable: only 4 images in the smaller class"]},
        "Edema": {"warnings": ["no interval: the scores separate the classes completely"]},
    }
    assert remarks(labels) == [
        ("unreliable: few images in the smaller class", "Mass (8), Pleural thickening (4)"),
        ("no interval: the scores separate the classes completely", "Edema"),
    ]
