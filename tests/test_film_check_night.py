"""Nights with films that look wrong: marked by default, left out only where asked for and clear."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from cxrbatch import night, rerendering
from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.film_check.judgement import IN_WORDS
from cxrbatch.intake.records import FileKind
from cxrbatch.ledger.run_folder import RunFolderError
from cxrbatch.radiographs.read import BLANK_NOTE, read_radiograph
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.request import Request, RequestError, Summary

NO_REPORTS = ReportSettings(html=False, pdf=False)
WORDS = {
    "inverted.png": IN_WORDS["inverted"],
    "header_only.dcm": IN_WORDS["inverted"],
    "half_turn.png": IN_WORDS["upside_down"],
    "flipped.png": IN_WORDS["upside_down"],
    "quarter.png": IN_WORDS["sideways"],
    "limb.png": IN_WORDS["not_chest"],
    "lateral.png": IN_WORDS["not_chest"],
}


def grey(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)


@pytest.fixture(scope="module")
def inbox(realdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three NIH films and two real DICOM films as they should be; others as they should not."""
    from cxrbatch.sample.lateral import lateral

    folder = tmp_path_factory.mktemp("wrong") / "inbox"
    folder.mkdir()
    films = sorted((realdata / "nih" / "images").glob("*.png"))
    for number in (3, 40, 77):
        shutil.copy(films[number], folder / f"right{number}.png")
    picture = np.asarray(Image.open(films[100]).convert("L"))
    grey(picture[:, ::-1], folder / "right_mirrored.png")
    grey(255 - picture, folder / "inverted.png")
    grey(picture[::-1, ::-1], folder / "half_turn.png")
    grey(picture[::-1], folder / "flipped.png")
    grey(np.rot90(picture), folder / "quarter.png")
    grey(np.full((512, 512), 128, np.uint8), folder / "blank.png")
    limb = get_testdata_file("RG3_UNCR.dcm", download=False)
    chest = get_testdata_file("RG1_UNCR.dcm", download=False)
    assert limb is not None
    assert chest is not None
    shutil.copy(str(chest), folder / "right_plate.dcm")
    shutil.copy(str(limb), folder / "screened_limb.dcm")
    grey(read_radiograph(Path(str(limb)).read_bytes(), FileKind.DICOM).pixels >> 8, folder / "limb.png")
    grey((lateral(4) * 255).astype(np.uint8), folder / "lateral.png")
    shutil.copy(realdata / "dicom" / "Fake_MONOHR1.dcm", folder / "header_only.dcm")
    shutil.copy(next((realdata / "dicom").glob("1.2.276*.dcm")), folder / "right_dicom.dcm")
    return folder


def score(inbox: Path, out: Path, **changes: object) -> Summary:
    asked = {"inputs": (str(inbox),), "out": out, "reports": NO_REPORTS, "workers": 1} | changes
    return night.score(Request(**asked))  # type: ignore[arg-type]


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {Path(row["path"]).name: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def marked(inbox: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("marked") / "run"
    assert score(inbox, run, reports=ReportSettings()).exit_code == 0
    return run


@pytest.mark.realdata
def test_everything_is_scored_and_what_looks_wrong_is_marked(marked: Path) -> None:
    found = rows(marked / "scores.csv")
    assert {name for name, row in found.items() if any(w in row["notes"] for w in IN_WORDS.values())} == set(
        WORDS
    )
    for name, words in WORDS.items():
        assert words in found[name]["notes"], name
    assert BLANK_NOTE in found["blank.png"]["notes"]
    assert all(float(row["atypicality"]) > 0 for row in found.values())
    assert float(found["limb.png"]["atypicality"]) > 1.0
    assert [name for name in found if name.startswith("right")] != []
    assert set(rows(marked / "rejected.csv")) == {"screened_limb.dcm"}


@pytest.mark.realdata
def test_worklist_report_and_studies_say_check_the_image(marked: Path) -> None:
    worklist = (marked / "index.html").read_text()
    notes = (marked / "studies.csv").read_text()
    found = rows(marked / "scores.csv")
    for name, words in WORDS.items():
        assert words in worklist
        assert words in notes
        report = marked / "reports" / found[name]["study_key"]
        page = (report / "report.html").read_text()
        assert "Check the image" in page
        assert words in page
        assert (report / "report.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.realdata
def test_rendering_again_says_the_same_whatever_the_site_calibrated_since(
    marked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(marked, run)
    before = {path.name: path.read_bytes() for path in run.glob("*.csv")}
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert rerendering.report(run, ReportSettings(pdf=False), workers=1).exit_code == 0
    assert {path.name: path.read_bytes() for path in run.glob("*.csv")} == before
    assert IN_WORDS["inverted"] in (run / "index.html").read_text()


@pytest.mark.realdata
def test_clear_cases_are_left_out_where_asked_for(inbox: Path, marked: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert score(inbox, run, reject_unusual=True).exit_code == 0
    rejected = {n: r for n, r in rows(run / "rejected.csv").items() if r["reason"] == "looks_wrong"}
    assert {"inverted.png", "half_turn.png", "flipped.png", "quarter.png", "blank.png"} <= set(rejected)
    for name, row in rejected.items():
        assert WORDS.get(name, BLANK_NOTE) in row["detail"]
        assert "--reject-unusual" in row["detail"]
    kept, all_of_them = rows(run / "scores.csv"), rows(marked / "scores.csv")
    assert kept.keys() | rejected.keys() == all_of_them.keys()
    for name, row in kept.items():
        assert row == all_of_them[name]
    stored = {path.parent.name for path in (run / "store").rglob("*.jpg")}
    assert stored == {row["study_key"] for row in kept.values()}
    told = json.loads((run / "run.json").read_text())
    assert told["counts"]["rejected"]["looks_wrong"] == len(rejected)
    assert told["settings"]["reject_unusual"] is True

    with pytest.raises(RunFolderError, match="reject_unusual was True and is now False"):
        score(inbox, run)


@pytest.mark.realdata
@pytest.mark.long
def test_without_a_film_check_the_scores_are_the_same_and_nothing_is_said(
    inbox: Path, marked: Path, tmp_path: Path
) -> None:
    lite = open_bundle("cxr-lite")
    bare = save_bundle(
        tmp_path / "cxr-lite", lite.weights_path, lite.card.model_dump(exclude={"weights", "film_check"})
    )
    run = tmp_path / "run"
    score(inbox, run, model=str(bare.folder))
    findings = lite.card.findings
    expected, found = rows(marked / "scores.csv"), rows(run / "scores.csv")
    assert {n: [r[f] for f in findings] for n, r in found.items()} == {
        n: [r[f] for f in findings] for n, r in expected.items()
    }
    assert {row["atypicality"] for row in found.values()} == {""}
    assert not any(words in row["notes"] for row in found.values() for words in IN_WORDS.values())
    assert json.loads((run / "run.json").read_text())["film_check"].startswith("none")
    with pytest.raises(RequestError, match="needs a film check"):
        score(inbox, tmp_path / "other", model=str(bare.folder), reject_unusual=True)
