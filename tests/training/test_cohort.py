"""From a folder and a table to a cohort: who is in, who is out and why, and each kind of bad input."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrbatch.evaluation.labels import LabelsError
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind, SourceFile
from cxrbatch.intake.walk import walk
from cxrbatch.pipeline.decoding import UndecodedFilm
from cxrbatch.sample.cohort import write_cohort
from cxrbatch.training.cohort import read_cohort
from cxrbatch.training.copies import same_files
from cxrbatch.training.notices import notices, one_class_findings, require_both_classes
from cxrbatch.training.records import NO_SIDE, Cohort, Side, TrainingError
from cxrbatch.training.selection import with_sides, without_copies, without_undecodable


def _png(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 16), np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight PNG films, named 0.png to 7.png."""
    for number in range(8):
        _png(tmp_path / "images" / f"{number}.png", number)
    return tmp_path


def _labels(folder: Path, *rows: str, header: str = "image,patient_id,Mass,Effusion") -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def _usual(folder: Path, header: str = "image,patient_id,Mass,Effusion") -> Path:
    return _labels(folder, *(f"{i}.png,{i // 2},{i % 2},{int(i > 4)}" for i in range(8)), header=header)


def _names(cohort: Cohort) -> list[str]:
    return [Path(film.path).name for film in cohort.films]


# -- what is found


def test_png_films_with_wide_labels(folder: Path) -> None:
    cohort = read_cohort(folder / "images", _usual(folder))
    assert _names(cohort) == [f"{i}.png" for i in range(8)]
    assert [film.ordinal for film in cohort.films] == list(range(8))
    assert {(film.kind, film.rows, film.columns) for film in cohort.films} == {(FileKind.PNG, 20, 16)}
    assert cohort.findings == ("Mass", "Effusion")
    assert cohort.labels.dtype == np.float32
    np.testing.assert_array_equal(cohort.labels, [[i % 2, i > 4] for i in range(8)])
    assert cohort.patient_ids == tuple(str(i // 2) for i in range(8))
    assert len(set(cohort.patients)) == 4
    assert cohort.soft is None
    assert set(cohort.sides.tolist()) == {NO_SIDE}
    account = cohort.account
    assert (account.rows_in_labels, account.images_found, account.not_used) == (8, 8, {})
    assert notices(cohort) == []


def test_dicom_films_with_labels_by_uid_and_the_others_screened_out(tmp_path: Path) -> None:
    """The sample holds hands, laterals, a film cut off ...: against what its own makers planned."""
    write_cohort(tmp_path / "sample", studies=12, seed=1, size=(160, 160))
    cohort = read_cohort(tmp_path / "sample", tmp_path / "sample" / "labels.csv")
    rows = (tmp_path / "sample" / "labels.csv").read_text().splitlines()
    planned = {row.split(",")[0]: row.split(",") for row in rows[1:]}
    assert set(cohort.image_uids) <= set(planned)
    assert len(cohort.films) + len(cohort.account.labels_without_image) == len(planned)
    assert len(cohort.films) > 8
    for i, uid in enumerate(cohort.image_uids):
        assert cohort.patient_ids[i] == planned[uid][1]
        np.testing.assert_array_equal(cohort.labels[i], [float(cell) for cell in planned[uid][2:]])
    assert set(cohort.views) <= {"PA", "AP", "frontal", "unknown"}
    assert {"not_frontal", "not_chest"} <= set(cohort.account.not_used)
    assert all(cohort.study_uids)


def test_patient_is_the_labels_else_the_headers_else_the_study(tmp_path: Path) -> None:
    write_cohort(tmp_path / "sample", studies=6, seed=1, size=(160, 160))
    whole = read_cohort(tmp_path / "sample", tmp_path / "sample" / "labels.csv")
    lines = (tmp_path / "sample" / "labels.csv").read_text().splitlines()
    without = tmp_path / "without.csv"
    without.write_text(
        "\n".join(",".join(line.split(",")[:1] + line.split(",")[2:]) for line in lines) + "\n"
    )
    by_header = read_cohort(tmp_path / "sample", without)
    assert by_header.patients == whole.patients  # the header's IDs are the same patients
    other = tmp_path / "other.csv"
    other.write_text(
        "\n".join([lines[0], *(f"{c[0]},X,{','.join(c[2:])}" for c in (x.split(",") for x in lines[1:]))])
    )
    assert set(read_cohort(tmp_path / "sample", other).patient_ids) == {"X"}


def test_films_without_an_id_are_patients_of_their_own(folder: Path) -> None:
    labels = _labels(folder, *(f"{i}.png,{'' if i < 5 else '-'},1,0" for i in range(8)))
    cohort = read_cohort(folder / "images", labels)
    assert len(set(cohort.patients)) == 8
    assert cohort.patient_ids == ("",) * 5 + ("-",) * 3
    assert any("8 of 8 films have no patient ID" in said for said in notices(cohort))


def test_spellings_of_a_patient_are_one(folder: Path) -> None:
    spelled = ["P-007", "p7", "P 0007", "Q7", "q_7", "Ｐ７", "P^7", "7"]
    labels = _labels(folder, *(f"{i}.png,{name},1,0" for i, name in enumerate(spelled)))
    cohort = read_cohort(folder / "images", labels)
    assert len({cohort.patients[i] for i in (0, 1, 2, 5, 6)}) == 1
    assert len(set(cohort.patients)) == 3
    assert cohort.patient_ids[0] == "P-007"


def test_findings_are_chosen_in_any_spelling_and_order(folder: Path) -> None:
    cohort = read_cohort(folder / "images", _usual(folder), ["effusion", "MASS"])
    assert [name.casefold() for name in cohort.findings] == ["effusion", "mass"]
    np.testing.assert_array_equal(cohort.labels, [[i > 4, i % 2] for i in range(8)])


def test_blank_cells_are_unknown(folder: Path) -> None:
    labels = _labels(folder, "0.png,a,,1", "1.png,b,1,", "2.png,c,0,0")
    cohort = read_cohort(folder / "images", labels)
    np.testing.assert_array_equal(np.isnan(cohort.labels), [[True, False], [False, True], [False, False]])


# -- what has no partner


def test_labels_without_image_and_images_without_labels_are_counted(folder: Path) -> None:
    labels = _labels(folder, "0.png,a,1,0", "1.png,b,0,1", "x.png,c,0,1", "y.png,d,0,1", "2.png,e,,")
    cohort = read_cohort(folder / "images", labels)
    assert _names(cohort) == ["0.png", "1.png"]
    assert cohort.account.labels_without_image == ("x.png", "y.png")
    left_out = [Path(path).name for path in cohort.account.images_without_labels]
    assert sorted(left_out) == ["2.png", "3.png", "4.png", "5.png", "6.png", "7.png"]
    said = " ".join(notices(cohort))
    assert "2 of 5 rows of the labels have no image" in said
    assert "6 of 8 images have no labels" in said


def test_notices_name_nobody_and_no_file(folder: Path) -> None:
    _png(folder / "images" / "sub" / "secret.png", 3)
    (folder / "images" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM")
    labels = _labels(folder, "0.png,Jones,1,0", "1.png,,0,1", "Smith.png,c,0,1")
    cohort = without_undecodable(read_cohort(folder / "images", labels), [])
    said = " ".join(notices(cohort))
    assert "files are not trained on: unreadable 1" in said
    for word in ("Jones", "Smith", "secret", ".png", str(folder)):
        assert word not in said


def test_nothing_in_common_is_an_error_with_both_examples(folder: Path) -> None:
    labels = _labels(folder, "a.png,1,1,0", "b.png,2,0,1")
    with pytest.raises(TrainingError, match=r"None of the 2 ids .*'a.png'.*8 images .*'0.png'"):
        read_cohort(folder / "images", labels)


def test_no_images_is_an_error_that_says_what_was_there(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "empty" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM")
    with pytest.raises(TrainingError, match=r"no frontal chest radiograph.*unreadable 1"):
        read_cohort(folder / "empty", _usual(folder))
    with pytest.raises(TrainingError, match=r"--images: The input .* does not exist"):
        read_cohort(folder / "nowhere", _usual(folder))


def test_only_blank_labels_is_an_error(folder: Path) -> None:
    labels = _labels(folder, "0.png,a,,", "1.png,b,,", "x.png,c,1,0")
    with pytest.raises(TrainingError, match=r"The 2 images .* no label that is known"):
        read_cohort(folder / "images", labels)


def test_excluded_folder_is_not_entered(folder: Path) -> None:
    _png(folder / "images" / "TRAIN" / "curves.png", 50)
    with_it = read_cohort(folder / "images", _usual(folder))
    without = read_cohort(folder / "images", _usual(folder), exclude=[folder / "images" / "TRAIN"])
    assert (with_it.account.images_found, without.account.images_found) == (9, 8)


# -- duplicates


def test_two_rows_for_one_image_are_refused(folder: Path) -> None:
    with pytest.raises(LabelsError, match="lines 2 and 3"):
        read_cohort(folder / "images", _labels(folder, "0.png,a,1,0", "0.png,a,0,0"))
    with pytest.raises(LabelsError, match="both match the file"):
        read_cohort(folder / "images", _labels(folder, "0.png,a,1,0", "0,a,0,0"))


def test_a_file_copied_under_the_same_name_is_one(folder: Path) -> None:
    (folder / "images" / "again").mkdir()
    shutil.copyfile(folder / "images" / "3.png", folder / "images" / "again" / "3.png")
    cohort = read_cohort(folder / "images", _usual(folder))
    assert len(cohort.films) == 8
    assert cohort.account.not_used == {"duplicate": 1}


def test_other_content_under_the_same_name_is_refused(folder: Path) -> None:
    _png(folder / "images" / "again" / "3.png", 77)
    with pytest.raises(LabelsError, match="matches two files"):
        read_cohort(folder / "images", _usual(folder))


def test_one_content_under_two_names_is_one_film_and_one_patient(folder: Path) -> None:
    labels = _labels(folder, *(f"{i}.png,{i // 2},{i % 2},0" for i in range(8)))
    cohort = read_cohort(folder / "images", labels)
    group = (cohort.films[5], cohort.films[1])  # both positive; of patients 0 and 2
    fewer = without_copies(cohort, [group])
    assert _names(fewer) == ["0.png", "1.png", "2.png", "3.png", "4.png", "6.png", "7.png"]
    assert [film.ordinal for film in fewer.films] == list(range(7))
    assert fewer.account.not_used == {"duplicate": 1}
    by_name = dict(zip(_names(fewer), fewer.patients, strict=True))
    assert by_name["0.png"] == by_name["1.png"] == by_name["4.png"] != by_name["2.png"]
    assert without_copies(cohort, []) is cohort


def test_copies_are_found_before_the_split(folder: Path) -> None:
    shutil.copyfile(folder / "images" / "3.png", folder / "images" / "5.png")
    labels = _labels(folder, *(f"{i}.png,{i},{i % 2},0" for i in range(8)))
    cohort = read_cohort(folder / "images", labels)
    assert _names(cohort) == [f"{i}.png" for i in (0, 1, 2, 3, 4, 6, 7)]
    assert cohort.account.not_used == {"duplicate": 1}
    torn = _labels(folder, *(f"{i}.png,{i},{int(i == 5)},0" for i in range(8)))
    with pytest.raises(TrainingError, match=r"1 films .* other labels \(images/3.png and images/5.png\)"):
        read_cohort(folder / "images", torn)


def test_same_files_are_told_from_alike_ones(tmp_path: Path) -> None:
    """Of one size, and alike at every place but one byte; against comparing everything with everything."""
    draw = np.random.default_rng(0)
    contents = [draw.bytes(50_000) for _ in range(3)]
    contents += [contents[0], contents[1][:-1] + b"x", contents[2], contents[0], b"", b"", b"short"]
    for i, content in enumerate(contents):
        (tmp_path / f"{i:02}").write_bytes(content)
    sources = [source for source in walk([tmp_path]) if isinstance(source, SourceFile)]
    gone = SourceFile(str(tmp_path / "gone"), 50_000, 0, 0)
    expected = [[i for i, other in enumerate(contents) if other == content] for content in contents]
    groups = sorted({tuple(group) for group in expected if len(group) > 1})
    assert [tuple(group) for group in same_files([*sources, gone, gone], 2)] == groups


def test_copies_with_other_labels_are_refused(folder: Path) -> None:
    cohort = read_cohort(folder / "images", _usual(folder))
    with pytest.raises(TrainingError, match=r"1 films .* other labels \(images/0.png and images/1.png\)"):
        without_copies(cohort, [cohort.films[:2]])


def test_copies_on_two_given_sides_are_refused(folder: Path) -> None:
    rows = (f"{i}.png,{i},{i % 2},{'train' if i < 4 else 'test'}" for i in range(8))
    cohort = read_cohort(folder / "images", _labels(folder, *rows, header="image,patient_id,Mass,split"))
    with pytest.raises(TrainingError, match="on more than one side"):
        without_copies(cohort, [(cohort.films[1], cohort.films[5])])


# -- films that do not decode


def test_undecodable_films_are_left_out_and_accounted_for(folder: Path) -> None:
    cohort = read_cohort(folder / "images", _usual(folder))
    failure = UndecodedFilm(Reason.DECODE_FAILED, "The file breaks off.")
    fewer = without_undecodable(cohort, [(cohort.films[2], failure), (cohort.films[3], failure)])
    assert _names(fewer) == [f"{i}.png" for i in (0, 1, 4, 5, 6, 7)]
    np.testing.assert_array_equal(fewer.labels, cohort.labels[[0, 1, 4, 5, 6, 7]])
    assert fewer.patients == tuple(cohort.patients[i] for i in (0, 1, 4, 5, 6, 7))
    assert [said for _, said in fewer.account.undecodable] == ["decode_failed: The file breaks off."] * 2
    assert "2 films do not decode and are left out." in notices(fewer)
    with pytest.raises(TrainingError, match=r"None of the 8 films decodes \(decode_failed 8\)"):
        without_undecodable(cohort, [(film, failure) for film in cohort.films])


# -- sides and findings


def test_split_column_is_obeyed(folder: Path) -> None:
    words = ["train", "Train", "val", "valid", "test", "TEST", "train", "train"]
    rows = (f"{i}.png,{i // 2},{i % 2},{word}" for i, word in enumerate(words))
    cohort = read_cohort(folder / "images", _labels(folder, *rows, header="image,patient_id,Mass,split"))
    assert cohort.sides.tolist() == [0, 0, 1, 1, 2, 2, 0, 0]
    assert with_sides(cohort, 0.3, 0.3, 1) is cohort
    assert cohort.rows(Side.TEST).tolist() == [4, 5]


def test_patient_on_two_sides_of_a_split_column_is_refused_in_another_spelling(folder: Path) -> None:
    rows = ("0.png,P-07,1,train", "1.png,p7,0,test", "2.png,x,1,train")
    labels = _labels(folder, *rows, header="image,patient_id,Mass,split")
    with pytest.raises(TrainingError, match=r"puts 1 patients on more than one side \(lines 2 and 3"):
        read_cohort(folder / "images", labels)


def test_sides_by_seed_are_patient_wise(folder: Path) -> None:
    cohort = with_sides(read_cohort(folder / "images", _usual(folder)), 0.25, 0.25, 3)
    assert Counter(cohort.sides.tolist()) == {0: 4, 1: 2, 2: 2}
    assert all(cohort.sides[i] == cohort.sides[i + 1] for i in range(0, 8, 2))


def test_finding_without_a_positive_is_named_with_what_to_do(folder: Path) -> None:
    header = "image,patient_id,Mass,Effusion,Hernia,split"
    rows = [
        f"{i}.png,{i},{i % 2},{int(i == 7)},1,{'test' if i == 7 else 'val' if i == 6 else 'train'}"
        for i in range(8)
    ]
    cohort = read_cohort(folder / "images", _labels(folder, *rows, header=header))
    poor = one_class_findings(cohort)
    assert [(one.finding, one.positive, one.negative) for one in poor] == [
        ("Effusion", 0, 6),
        ("Hernia", 6, 0),
    ]
    with pytest.raises(TrainingError, match=r"2 of 3 findings") as told:
        require_both_classes(cohort)
    assert "Effusion (0 positive, 6 negative, 1 positive on the other sides)" in str(told.value)
    assert str(told.value).endswith("--findings Mass")
    require_both_classes(read_with(cohort, folder, ["Mass"]))


def read_with(cohort: Cohort, folder: Path, findings: list[str]) -> Cohort:
    return read_cohort(folder / "images", cohort.labels_path, findings)


def test_no_finding_that_can_be_trained(folder: Path) -> None:
    labels = _labels(
        folder,
        *(f"{i}.png,{i},0,{'train' if i < 6 else 'test'}" for i in range(8)),
        header="image,patient_id,Mass,split",
    )
    with pytest.raises(TrainingError, match=r"No finding has both .*Mass \(0 positive, 6 negative\)"):
        require_both_classes(read_cohort(folder / "images", labels))


def test_unknown_findings_are_refused(folder: Path) -> None:
    with pytest.raises(TrainingError, match=r"no labels for Fracture; it has Mass, Effusion"):
        read_cohort(folder / "images", _usual(folder), ["Mass", "Fracture"])
    with pytest.raises(TrainingError, match=r"once each\. Received: mass twice"):
        read_cohort(folder / "images", _usual(folder), ["Mass", "mass"])


def test_a_placeholder_as_patient_id_is_noticed(folder: Path) -> None:
    for number in range(8, 30):
        _png(folder / "images" / f"{number}.png", number)
    labels = _labels(folder, *(f"{i}.png,{'ANON' if i < 15 else i},{i % 2},0" for i in range(30)))
    assert any(
        "One patient ID is that of 15 of 30 films" in s
        for s in notices(read_cohort(folder / "images", labels))
    )


# -- soft targets


def _soft(folder: Path, *rows: str, header: str = "image,prob_Mass,prob_Effusion") -> Path:
    path = folder / "soft.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def test_soft_targets_are_matched_by_id_and_finding(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    soft = _soft(
        folder,
        "3,0.25,0.1",
        "0.png,0,1",
        "stranger.png,0.5,0.5",
        header="image,mass,Hernia",
    )
    cohort = read_cohort(folder / "images", _usual(folder), None, soft)
    assert cohort.soft is not None
    assert cohort.soft.dtype == np.float32
    assert cohort.soft[3, 0] == pytest.approx(0.25)
    assert 0 < cohort.soft[0, 0] < 1e-4  # no certainty that a loss would punish without end
    assert np.isnan(cohort.soft[:, 1]).all()
    assert np.isnan(cohort.soft[[1, 2, 4, 5, 6, 7], 0]).all()
    assert "1 of 3 rows of the soft targets are of no film" in caplog.text
    assert "no column for Effusion" in caplog.text
    assert "stranger" not in caplog.text
    assert "6 of 8 films have no soft target and learn from their labels alone." in notices(cohort)


def test_soft_targets_of_moved_films_are_matched_by_uid(tmp_path: Path) -> None:
    write_cohort(tmp_path / "sample", studies=6, seed=1, size=(160, 160))
    plain = read_cohort(tmp_path / "sample", tmp_path / "sample" / "labels.csv")
    rows = [f"/elsewhere/{i}.dcm,{uid},{i / 100}" for i, uid in enumerate(plain.image_uids)]
    soft = _soft(tmp_path, *rows, header=f"path,image_uid,{plain.findings[0]}")
    cohort = read_cohort(tmp_path / "sample", tmp_path / "sample" / "labels.csv", None, soft)
    assert cohort.soft is not None
    np.testing.assert_allclose(cohort.soft[:, 0], np.arange(len(rows)) / 100, atol=2e-5)


def test_a_film_with_soft_targets_only_is_kept(folder: Path) -> None:
    labels = _labels(folder, "0.png,a,1,0", "1.png,b,0,1", "2.png,c,,")
    cohort = read_cohort(folder / "images", labels, None, _soft(folder, "2.png,0.3,0.6"))
    assert _names(cohort) == ["0.png", "1.png", "2.png"]


def test_soft_targets_out_of_range_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"soft.csv, line 3.*0 to 1. Received: '1.5'"):
        read_cohort(folder / "images", _usual(folder), None, _soft(folder, "0.png,0.1,0.2", "1.png,1.5,0.2"))


def test_soft_targets_of_nobody_here_are_refused(folder: Path) -> None:
    with pytest.raises(TrainingError, match="none of the 1 rows"):
        read_cohort(folder / "images", _usual(folder), None, _soft(folder, "x.png,0.1,0.2"))
    nothing = _soft(folder, "0.png,0.1", header="image,prob_Hernia")
    with pytest.raises(TrainingError, match="no finding in common"):
        read_cohort(folder / "images", _usual(folder), None, nothing)


@pytest.mark.realdata
def test_real_films_with_nihs_labels_and_published_probabilities(realdata: Path) -> None:
    nih = realdata / "nih"
    cohort = read_cohort(nih / "images", nih / "labels.csv", None, nih / "published_probabilities.csv", 2)
    assert cohort.labels.shape == (471, 14)
    assert cohort.soft is not None
    assert not np.isnan(cohort.soft).any()
    assert len(set(cohort.patients)) == 471
    cohort = with_sides(cohort, 0.15, 0.15, 0)
    require_both_classes(cohort)
    assert np.abs(np.bincount(cohort.sides) / 471 - (0.7, 0.15, 0.15)).max() < 0.01
    for side in Side:
        assert ((cohort.labels[cohort.rows(side)] == 1).sum(axis=0) >= 2).all()
