import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from cxrbatch.sample.cohort import CohortSummary, write_cohort
from cxrbatch.sample.lesions import FINDINGS
from cxrbatch.sample.plan import plan_cohort

PICTURES = (".png", ".jpg")


def dicom_files(cohort: CohortSummary) -> list[Path]:
    files = [p for p in (cohort.folder / "studies").rglob("*") if p.is_file()]
    assert len(files) == cohort.files
    return [p for p in files if p.suffix not in PICTURES and p.name != "TRUNCATED.dcm"]


def labels(cohort: CohortSummary) -> dict[str, dict[str, str]]:
    with (cohort.folder / "labels.csv").open(encoding="utf-8") as lines:
        return {row["image_uid"]: row for row in csv.DictReader(lines)}


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_seed_writes_the_same_bytes(cohort: CohortSummary, tmp_path: Path) -> None:
    size = (160, 160)
    write_cohort(tmp_path / "a", 6, 5, size)
    write_cohort(tmp_path / "b", 6, 5, size)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert {film.place.image_uid for film in plan_cohort(6, 5)}.isdisjoint(
        film.place.image_uid for film in plan_cohort(6, 6)
    )


def test_pydicom_reads_every_film(cohort: CohortSummary, read_dicom) -> None:
    for path in dicom_files(cohort):
        ds = read_dicom(path)
        assert ds.pixel_array.shape == (240, 208), path
        assert ds.pixel_array.std() > 0, path


def test_every_header_says_that_it_is_a_phantom(cohort: CohortSummary, read_dicom) -> None:
    for path in dicom_files(cohort):
        ds = read_dicom(path)
        for keyword in (
            "PatientID",
            "SeriesDescription",
            "StudyDescription",
            "ImageComments",
            "PatientComments",
        ):
            assert ds.get(keyword).startswith("PHANTOM"), (path, keyword)
        assert ds.Manufacturer == "cxrbatch phantom"
        assert ds.QualityControlImage == "YES"
        assert ds.BurnedInAnnotation == "NO"


def test_pictures_without_a_header_say_it_too(cohort: CohortSummary) -> None:
    folder = cohort.folder / "studies" / "pictures"
    with Image.open(folder / "phantom-1.png") as png, Image.open(folder / "phantom-2.jpg") as jpeg:
        assert png.mode == "I;16"
        assert jpeg.mode == "L"
        assert "PHANTOM" in png.info["Description"]
        assert b"PHANTOM" in jpeg.info["comment"]
        assert png.size == jpeg.size == (208, 240)


def test_labels_and_masks_agree(cohort: CohortSummary) -> None:
    rows = labels(cohort)
    with np.load(cohort.folder / "masks.npz", allow_pickle=False) as masks:
        present = {name for name in masks.files if masks[name].any()}
        assert present == set(masks.files)
        assert all(masks[name].shape == (240, 208) and masks[name].dtype == bool for name in masks.files)
    assert present == {f"{uid}/{f}" for uid, row in rows.items() for f in FINDINGS if row[f] == "1"}
    assert all(row[f] in ("0", "1") for row in rows.values() for f in FINDINGS)
    assert cohort.positives == {f: sum(row[f] == "1" for row in rows.values()) for f in FINDINGS}
    assert min(cohort.positives.values()) >= 1


def test_the_labelled_images_are_the_frontal_films_meant_for_reading(
    cohort: CohortSummary, read_dicom
) -> None:
    frontal = {}
    for ds in map(read_dicom, dicom_files(cohort)):
        raw = ds.get("PresentationIntentType") == "FOR PROCESSING"
        if ds.ViewPosition in ("PA", "AP", "") and ds.BodyPartExamined in ("CHEST", "") and not raw:
            frontal[ds.SOPInstanceUID] = ds.PatientID
    rows = labels(cohort)
    assert {uid: row["patient_id"] for uid, row in rows.items()} == frontal
    assert len(rows) == cohort.labelled == cohort.studies + 1


def test_a_pneumothorax_mask_lies_on_the_dark_rim_of_the_stored_film(
    cohort: CohortSummary, read_dicom
) -> None:
    """The masks fit the pixels as a reader shows them, not only as the phantom drew them."""
    films = {ds.SOPInstanceUID: ds for ds in map(read_dicom, dicom_files(cohort))}
    seen = 0
    with np.load(cohort.folder / "masks.npz") as masks:
        for name in (n for n in masks.files if n.endswith("/Pneumothorax")):
            ds = films[name.split("/")[0]]
            shown = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds).astype(float)
            if ds.PhotometricInterpretation == "MONOCHROME1":
                shown = shown.max() - shown
            chest = shown[60:160, 30:180]
            assert np.median(shown[masks[name]]) < np.quantile(chest, 0.4)
            seen += 1
    assert seen


def test_the_files_that_are_not_to_be_scored_are_there(cohort: CohortSummary, read_dicom) -> None:
    named = {p.name: read_dicom(p) for p in dicom_files(cohort)}
    studies = [ds.StudyInstanceUID for ds in named.values()]
    lateral, hand, raw = named["LATERAL.dcm"], named["HAND.dcm"], named["RAW.dcm"]
    assert lateral.ViewPosition == "LL"
    assert studies.count(lateral.StudyInstanceUID) == 2
    assert studies.count(named["SECOND.dcm"].StudyInstanceUID) == 2
    assert hand.BodyPartExamined == "HAND"
    assert raw.PresentationIntentType == "FOR PROCESSING"
    with pytest.raises(ValueError, match="less than expected"):
        _ = read_dicom(next(cohort.folder.rglob("TRUNCATED.dcm"))).pixel_array
    assert len({ds.SOPInstanceUID for ds in named.values()}) == len(named)


def test_names_come_in_several_scripts_and_character_sets(cohort: CohortSummary, read_dicom) -> None:
    films = [read_dicom(p) for p in dicom_files(cohort)]
    names = " ".join(str(ds.PatientName) for ds in films)
    assert all(word in names for word in ("Phantom", "Φάντασμα", "Фантом", "幻影^太郎", "幻^影", "Fantôme"))
    sets = {str(ds.SpecificCharacterSet) for ds in films}
    assert any("ISO 2022 IR 87" in s for s in sets)
    assert {"ISO_IR 192", "GB18030", "ISO_IR 100"} <= sets


def test_files_differ_in_wrapping_name_and_depth(cohort: CohortSummary) -> None:
    files = dicom_files(cohort)
    assert {p.suffix for p in files} == {"", ".dcm", ".img"}
    assert len({len(p.parts) for p in files}) > 1
    bare = [p for p in files if p.read_bytes()[128:132] != b"DICM"]
    assert len(bare) == 1
    with pytest.raises(pydicom.errors.InvalidDicomError):
        pydicom.dcmread(bare[0])


def test_both_views_and_a_blank_one_occur(cohort: CohortSummary, read_dicom) -> None:
    chests = [ds for ds in map(read_dicom, dicom_files(cohort)) if ds.BodyPartExamined != "HAND"]
    assert {"PA", "AP", "LL", ""} == {ds.ViewPosition for ds in chests}
    assert {ds.PatientSex for ds in chests} == {"M", "F"}


def test_only_films_lie_below_studies_and_the_rest_is_no_image(cohort: CohortSummary) -> None:
    assert {p.name for p in cohort.folder.iterdir()} == {"README.txt", "labels.csv", "masks.npz", "studies"}
    readme = (cohort.folder / "README.txt").read_text(encoding="utf-8")
    assert readme.startswith("PHANTOMS - NOT PATIENTS")
    assert all(film.path in readme for film in plan_cohort(9, 3))


def test_a_longer_cohort_begins_with_the_shorter_one() -> None:
    short, long = plan_cohort(8, 1), plan_cohort(40, 1)
    assert set(short) <= set(long)
    assert len({film.path for film in long}) == len(long)


def test_a_large_cohort_has_both_classes_of_every_finding() -> None:
    chests = [film for film in plan_cohort(60, 2) if film.labelled]
    for finding in FINDINGS:
        assert 3 <= sum(finding in film.findings for film in chests) <= 30
    assert sum(not film.findings for film in chests) >= 10


def test_a_small_cohort_has_no_extras(tmp_path: Path) -> None:
    summary = write_cohort(tmp_path / "small", 2, 0, (160, 160))
    assert (summary.files, summary.labelled) == (2, 2)


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write_cohort(tmp_path / "small", 2, 0, (160, 160), lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"studies": 0}, "studies=0"),
        ({"seed": -1}, "seed=-1"),
        ({"size": (10, 10)}, "10x10"),
        ({"size": (9000, 900)}, "9000x900"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        write_cohort(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        write_cohort(tmp_path, 2, 0)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]
