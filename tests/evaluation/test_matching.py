from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxrbatch.evaluation.columns import IdKind
from cxrbatch.evaluation.labels import Labels, LabelsError
from cxrbatch.evaluation.matching import match


def labelled(kind, *ids, tmp="labels.csv"):
    from pathlib import Path

    lines = tuple(range(2, 2 + len(ids)))
    matrix = np.zeros((len(ids), 1))
    return Labels(Path(tmp), kind, ids, ("Mass",), matrix, None, pd.DataFrame({"id": ids}), lines)


def pairs(labels, scored):
    found = match(labels, scored)
    names = next(iter(scored.values()))
    return {labels.ids[a]: names[b] for a, b in zip(found.label_rows, found.scored_rows, strict=True)}


@pytest.mark.parametrize(
    ("label", "path"),
    [
        ("a.png", "night/x/a.png"),
        ("a", "night/x/a.png"),
        ("a.png", "night/x/a"),
        ("a.png", "night/x/a.dcm"),
        ("a", "a"),
        ("1.2.840.1", "night/1.2.840.1"),
        ("1.2.840.1", "night/1.2.840.1.dcm"),
        ("x/a.png", "night/x/a.png"),
        ("a b%FF.png", "night/a b%FF.png"),
    ],
)
def test_image_matches_the_base_name(label, path):
    assert pairs(labelled(IdKind.IMAGE, label), {IdKind.PATH: [path]}) == {label: path}


@pytest.mark.parametrize(
    ("label", "path"),
    [("1.2.840.1", "night/1.2.840.2"), ("a.png", "night/ba.png"), ("A.png", "a.png"), ("a", "a/b.png")],
)
def test_other_names_do_not_match(label, path):
    found = match(labelled(IdKind.IMAGE, label), {IdKind.PATH: [path]})
    assert (found.unmatched_labels, found.unmatched_scored) == ((label,), (path,))


def test_path_matches_in_whole_parts():
    paths = ["/in/p1/a.png", "/in/p2/a.png", "/in/xp2/b.png"]
    labels = labelled(IdKind.PATH, "p1/a.png", "p2\\a.png", "p2/b.png")
    assert pairs(labels, {IdKind.PATH: paths}) == {"p1/a.png": paths[0], "p2\\a.png": paths[1]}
    assert match(labels, {IdKind.PATH: paths}).unmatched_labels == ("p2/b.png",)


def test_a_label_with_a_longer_path_matches_a_bare_file_name():
    labels = labelled(IdKind.PATH, "images/a.png", "images/b.png")
    assert pairs(labels, {IdKind.IMAGE: ["b.png", "a.png"]}) == {
        "images/a.png": "a.png",
        "images/b.png": "b.png",
    }


def test_an_exact_name_goes_before_one_without_extension():
    scored = {IdKind.PATH: ["x/a.dcm", "x/a.png"]}
    assert pairs(labelled(IdKind.IMAGE, "a.png"), scored) == {"a.png": "x/a.png"}


@pytest.mark.parametrize(
    ("kind", "label", "scored"),
    [
        (IdKind.IMAGE, "a.png", {IdKind.PATH: ["x/a.png", "y/a.png"]}),
        (IdKind.IMAGE, "a", {IdKind.PATH: ["x/a.png", "y/a.jpg"]}),
        (IdKind.PATH, "a.png", {IdKind.PATH: ["x/a.png", "y/a.png"]}),
        (IdKind.IMAGE_UID, "1.2", {IdKind.IMAGE_UID: ["1.2", "1.2"], IdKind.PATH: ["x/a.png", "y/a.png"]}),
    ],
)
def test_an_id_that_matches_two_files_names_both(kind, label, scored):
    with pytest.raises(LabelsError, match="matches two files") as raised:
        match(labelled(kind, label), scored)
    for path in scored[IdKind.PATH]:
        assert path in str(raised.value)
    assert raised.value.line == 2


def test_two_labels_for_one_file_are_refused():
    with pytest.raises(LabelsError, match=r"line 2.*both match"):
        match(labelled(IdKind.IMAGE, "a.png", "a"), {IdKind.PATH: ["x/a.png"]})


def test_the_label_of_an_image_not_scored_does_not_take_its_namesake():
    found = match(labelled(IdKind.IMAGE, "a.jpg", "a.png"), {IdKind.PATH: ["x/a.png"]})
    assert found.unmatched_labels == ("a.jpg",)
    assert found.label_rows.tolist() == [1]


def test_a_studys_label_goes_to_all_its_images():
    found = match(labelled(IdKind.STUDY_UID, "1.2", "1.3"), {IdKind.STUDY_UID: ["1.3", "1.2", "1.2", "1.4"]})
    assert found.scored_rows.tolist() == [0, 1, 2]
    assert found.label_rows.tolist() == [1, 0, 0]


def test_no_id_in_common_is_said():
    with pytest.raises(LabelsError, match=r"study_uid.*only: path"):
        match(labelled(IdKind.STUDY_UID, "1.2"), {IdKind.PATH: ["a"]})
