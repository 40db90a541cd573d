"""Whole runs on real components: what a hospital would notice the next morning."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from cxrbatch import night, rerendering
from cxrbatch.bundles.card import RESERVED_NAMES
from cxrbatch.intake.walk import InputNotFoundError
from cxrbatch.ledger import tables
from cxrbatch.ledger.lease import FolderHeldError, Lease
from cxrbatch.ledger.run_folder import RunFolderError
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.request import Request, RequestError, Summary
from cxrbatch.resources import shipped_folder

NOT_FINDINGS = 9  # columns of scores.csv before the first finding (contract 3.3)
NO_REPORTS = ReportSettings(html=False, pdf=False)
HTML_ONLY = ReportSettings(pdf=False)

TELL_THE_TIME = ("run.json", "ledger.db", "audit.html", "audit.pdf", "audit.jsonl")

Row = dict[str, str]


def _score(inbox: Path, out: Path, **changes: object) -> Summary:
    asked = {"inputs": (str(inbox),), "out": out, "reports": NO_REPORTS} | changes
    return night.score(Request(**asked))  # type: ignore[arg-type]


def _rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _by_name(run: Path) -> dict[str, Row]:
    return {Path(row["path"]).name: row for row in _rows(run / "scores.csv")}


def _probabilities(row: Row) -> np.ndarray:
    return np.array([float(value) for value in list(row.values())[NOT_FINDINGS:]])


def _counts(run: Path) -> dict[str, int]:
    return json.loads((run / "run.json").read_text())["counts"]


def _contents(run: Path) -> dict[str, bytes]:
    """Every file of a run but those that tell the time."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in TELL_THE_TIME
    }


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Six films of six patients, as a camera that writes PNG would leave them."""
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(6):
        random = np.random.default_rng(number)
        small = random.integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(small).resize((200, 240), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped samples, scored as the command line does it, with every report."""
    run = tmp_path_factory.mktemp("samples") / "run"
    command = [
        sys.executable,
        "-m",
        "cxrbatch",
        "score",
        str(shipped_folder("sample_data")),
        "--out",
        str(run),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 3, done.stderr  # one of the samples is broken on purpose
    return run


def test_every_sample_is_accounted_for_exactly_once(sample_run: Path) -> None:
    files = sorted(str(p) for p in shipped_folder("sample_data").rglob("*") if p.is_file())
    scored = [row["path"] for row in _rows(sample_run / "scores.csv")]
    rejected = [row["path"] for row in _rows(sample_run / "rejected.csv")]
    assert len(set(scored) | set(rejected)) == len(scored) + len(rejected)
    assert set(scored) | set(rejected) <= set(files)
    assert len(scored) + len(rejected) + _counts(sample_run)["files_ignored"] == len(files)


def test_samples_are_screened_for_the_reasons_they_were_made_for(sample_run: Path) -> None:
    reasons = sorted(row["reason"] for row in _rows(sample_run / "rejected.csv"))
    assert reasons == ["decode_failed", "for_processing", "not_chest", "not_frontal"]


def test_every_study_has_its_reports_and_the_night_its_pages(sample_run: Path) -> None:
    for row in _rows(sample_run / "studies.csv"):
        folder = sample_run / "reports" / row["study_key"]
        assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
        assert row["study_key"] in (sample_run / "index.html").read_text()
        assert (folder / "report.html").is_file()
    assert (sample_run / "audit.pdf").read_bytes().startswith(b"%PDF")
    assert (sample_run / "audit.html").is_file()


def test_no_temporary_file_and_no_lease_is_left(sample_run: Path) -> None:
    names = {path.name for path in sample_run.rglob("*")}
    assert not [n for n in names if n.startswith(".") or n in ("lease.json", "ledger.db-journal")]


def test_who_ran_what_is_on_a_chained_record(sample_run: Path) -> None:
    lines = (sample_run / "audit.jsonl").read_bytes().splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == ["started", "finished"]
    assert events[0]["inputs"] == [str(shipped_folder("sample_data"))]
    assert events[0]["bundle"].startswith("cxr-lite ")
    assert events[1]["previous"] == hashlib.sha256(lines[0]).hexdigest()


def test_studies_come_most_urgent_first(sample_run: Path) -> None:
    card = json.loads((shipped_folder("models") / "cxr-lite" / "card.json").read_text())
    acute = ("Pneumothorax", "Effusion", "Edema", "Consolidation", "Pneumonia")

    def largest_margin(row: Row, wanted: bool) -> float:
        names = [f for f in card["findings"] if (f in acute) is wanted]
        p = np.array([float(row[f]) for f in names])
        t = np.array([card["thresholds"][f] for f in names])
        return float((np.log(p / (1 - p)) - np.log(t / (1 - t))).max())

    rows = _rows(sample_run / "studies.csv")
    keys = [(-largest_margin(r, True), -largest_margin(r, False), r["study_key"]) for r in rows]
    assert keys == sorted(keys)
    assert len(rows) > 3


def test_calibrated_table_is_the_raw_one_through_the_cards_curves(sample_run: Path) -> None:
    card = json.loads((shipped_folder("models") / "cxr-lite" / "card.json").read_text())
    raw, calibrated = _rows(sample_run / "scores.csv"), _rows(sample_run / "calibrated.csv")
    for before, after in zip(raw, calibrated, strict=True):
        for finding in card["findings"]:
            p, curve = float(before[finding]), card["calibration"][finding]
            z = curve["slope"] * np.log(p / (1 - p)) + curve["intercept"]
            assert float(after[finding]) == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-6)


def _pydicom_data(*names: str) -> list[Path]:
    import data_store

    return [Path(data_store.__file__).parent / "data" / name for name in names]


def test_real_cr_film_in_four_encodings_and_a_limb(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for path in _pydicom_data("RG1_UNCR.dcm", "RG1_J2KR.dcm", "RG1_J2KI.dcm", "RG3_UNCR.dcm"):
        shutil.copy(path, inbox)
    assert _score(inbox, tmp_path / "run").exit_code == 0
    scores = _by_name(tmp_path / "run")
    plain = _probabilities(scores["RG1_UNCR.dcm"])
    assert np.abs(plain - _probabilities(scores["RG1_J2KR.dcm"])).max() <= 1e-6
    assert np.abs(plain - _probabilities(scores["RG1_J2KI.dcm"])).max() <= 0.02
    (limb,) = _rows(tmp_path / "run" / "rejected.csv")
    assert (Path(limb["path"]).name, limb["reason"]) == ("RG3_UNCR.dcm", "not_chest")
    assert "(0018,0015)" in limb["detail"]


def test_same_image_twice_is_scored_once(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (uncompressed,) = _pydicom_data("RG1_UNCR.dcm")
    shutil.copy(uncompressed, inbox / "b.dcm")
    shutil.copy(uncompressed, inbox / "a.dcm")
    assert _score(inbox, tmp_path / "run").exit_code == 0
    (row,) = _rows(tmp_path / "run" / "rejected.csv")
    assert (Path(row["path"]).name, row["reason"]) == ("b.dcm", "duplicate")
    assert "a.dcm" in row["detail"]


@pytest.mark.realdata
def test_header_turned_to_monochrome1_is_the_inverted_film(realdata: Path, tmp_path: Path) -> None:
    twin, fake = sorted((realdata / "dicom").iterdir())
    together = tmp_path / "together"
    assert _score(realdata / "dicom", together).exit_code == 0
    assert _rows(together / "rejected.csv") == []  # the same UID, but not the same picture
    dataset = pydicom.dcmread(twin)
    inverted = tmp_path / "inverted.png"
    Image.fromarray(255 - dataset.pixel_array).save(inverted)
    alone = {}
    for name, path in (("fake", fake), ("twin", twin), ("inverted", inverted)):
        _score(path, tmp_path / name)
        (row,) = _rows(tmp_path / name / "scores.csv")
        alone[name] = _probabilities(row)
    np.testing.assert_array_equal(alone["fake"], alone["inverted"])
    assert np.abs(alone["fake"] - alone["twin"]).max() > 0.01


@pytest.mark.realdata
def test_labelled_night_equals_scikit_learn(realdata: Path, tmp_path: Path) -> None:
    from sklearn.metrics import roc_auc_score

    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for path in sorted((realdata / "nih" / "images").iterdir())[:40]:
        (inbox / path.name).symlink_to(path)
    labels = realdata / "nih" / "labels.csv"
    _score(inbox, tmp_path / "run", labels=labels)
    metrics = json.loads((tmp_path / "run" / "validation" / "metrics.json").read_text())
    truth = {row["Image Index"]: row["Finding Labels"].split("|") for row in _rows(labels)}
    scores = _by_name(tmp_path / "run")
    assert metrics["n_images"] == 40
    found = 0
    for finding, figures in metrics["labels"].items():
        y = [finding in truth[name] for name in scores]
        if figures["auroc"] is None:
            assert len(set(y)) == 1
            continue
        found += 1
        expected = roc_auc_score(y, [float(row[finding]) for row in scores.values()])
        assert figures["auroc"] == pytest.approx(expected, abs=1e-9)
    assert metrics["macro_labels"] == found > 5


def test_half_a_picture_is_a_failure_and_no_score(films: Path, tmp_path: Path) -> None:
    whole = (films / "0.png").read_bytes()
    (films / "0.png").write_bytes(whole[: len(whole) // 2])
    summary = _score(films, tmp_path / "run", reports=HTML_ONLY)
    (rejected,) = _rows(tmp_path / "run" / "rejected.csv")
    assert (Path(rejected["path"]).name, rejected["reason"]) == ("0.png", "decode_failed")
    assert summary.exit_code == 3


def test_finished_run_is_left_as_it_is(films: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = _score(films, run, reports=HTML_ONLY)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    before.pop(run / "ledger.db")
    before.pop(run / "audit.jsonl")
    assert _score(films, run, reports=HTML_ONLY) == first
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_new_and_changed_films_are_all_that_is_done_again(films: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _score(films, run, reports=HTML_ONLY)
    reports = {path: path.stat().st_mtime_ns for path in run.glob("reports/*/report.html")}
    scores = _by_name(run)
    Image.fromarray(np.full((50, 50), 99, np.uint8)).save(films / "0.png")
    Image.fromarray(np.full((50, 50), 77, np.uint8)).save(films / "new.png")
    (films / "1.png").touch()
    _score(films, run, reports=HTML_ONLY)
    again = _by_name(run)
    assert set(again) == {*scores, "new.png"}
    assert [name for name in scores if scores[name] != again[name]] == ["0.png"]
    touched = [path for path, then in reports.items() if path.stat().st_mtime_ns != then]
    assert [path.parent.name for path in touched] == [scores["0.png"]["study_key"]]


def test_no_finding_can_be_called_like_another_column() -> None:
    assert {*tables.IMAGE_COLUMNS, *tables.STUDY_COLUMNS} == RESERVED_NAMES


def test_mended_permissions_are_noticed_by_the_next_start(films: Path, tmp_path: Path) -> None:
    shut, run = films / "shut", tmp_path / "run"
    shut.mkdir()
    (films / "5.png").rename(shut / "5.png")
    (films / "broken.dcm").write_bytes(b"")
    without_root = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    command = [sys.executable, "-m", "cxrbatch", "score", str(films), "--out", str(run), "--reports", "none"]
    if os.geteuid() == 0:  # root may read everything, unless it gives that up
        command = [*without_root, *command]
    for path in (shut, films / "0.png"):
        path.chmod(0)
    assert subprocess.run(command, timeout=300).returncode == 3
    failed = {Path(row["path"]).name for row in _rows(run / "rejected.csv")}
    assert failed == {"shut", "0.png", "broken.dcm"}
    written = (run / "run.json").read_bytes()
    assert subprocess.run(command, timeout=300).returncode == 3
    assert (run / "run.json").read_bytes() == written, "nothing has changed: nothing is written again"
    shut.chmod(0o755)
    (films / "0.png").chmod(0o644)
    _score(films, run)
    assert [Path(row["path"]).name for row in _rows(run / "rejected.csv")] == ["broken.dcm"]
    assert set(_by_name(run)) == {f"{number}.png" for number in range(6)}


def test_study_that_gains_an_image_gets_a_new_report(tmp_path: Path) -> None:
    inbox, run = tmp_path / "inbox", tmp_path / "run"
    inbox.mkdir()
    first, second = _pydicom_data("RG1_UNCR.dcm", "RG1_J2KR.dcm")
    shutil.copy(first, inbox)
    _score(inbox, run, reports=HTML_ONLY)
    (before,) = _rows(run / "studies.csv")
    shutil.copy(second, inbox)
    _score(inbox, run, reports=HTML_ONLY)
    (after,) = _rows(run / "studies.csv")
    assert (before["images"], after["images"]) == ("1", "2")
    assert len(list((run / "reports" / after["study_key"]).glob("film-*.jpg"))) == 2


def _start(inbox: Path, run: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cxrbatch", "score", str(inbox), "--out", str(run)]
    return subprocess.Popen([*command, "--reports", "html", *options], stderr=subprocess.DEVNULL)


def _when_scored(run: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while len(list(run.glob("store/*/*.jpg"))) < count:
        assert process.poll() is None, "the run ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("signal_number", "batch_size"),
    [
        pytest.param(signal.SIGTERM, "1", marks=pytest.mark.long),
        (signal.SIGINT, "4"),
        (signal.SIGKILL, "1"),
        pytest.param(signal.SIGKILL, "4", marks=pytest.mark.long),
    ],
)
def test_interrupted_run_ends_as_an_uninterrupted_one(
    tmp_path: Path, signal_number: int, batch_size: str
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(20):
        grey = np.random.default_rng(number).integers(0, 256, (300, 260), np.uint8)
        Image.fromarray(grey).save(inbox / f"{number:03}.png")
    run = tmp_path / "run"
    process = _start(inbox, run, "--batch-size", batch_size)
    _when_scored(run, 3, process)
    process.send_signal(signal_number)
    code = process.wait(timeout=60)
    assert code == (-9 if signal_number == signal.SIGKILL else 128 + signal_number)
    assert json.loads((run / "run.json").read_text())["state"] == "running"
    assert _start(inbox, run, "--batch-size", batch_size).wait(timeout=120) == 0
    straight = tmp_path / "straight"
    _score(inbox, straight, reports=HTML_ONLY, batch_size=int(batch_size))
    for name in ("scores.csv", "calibrated.csv", "studies.csv", "rejected.csv"):
        assert (run / name).read_bytes() == (straight / name).read_bytes()
    assert set(_contents(run)) == set(_contents(straight))
    for name, content in _contents(straight).items():
        if name.startswith("store/"):
            assert (run / name).read_bytes() == content


def test_reports_are_rendered_again_without_the_inputs_or_the_model(films: Path, tmp_path: Path) -> None:
    bundle, run = tmp_path / "bundle", tmp_path / "run"
    shutil.copytree(shipped_folder("models") / "cxr-lite", bundle)
    _score(films, run, model=str(bundle), reports=HTML_ONLY)
    before = _contents(run)
    shutil.rmtree(films)
    shutil.rmtree(bundle)
    shutil.rmtree(run / "reports")
    (run / "index.html").unlink()
    assert rerendering.report(run, HTML_ONLY).exit_code == 0
    assert _contents(run) == before


def test_worklist_and_table_rendered_again_have_one_order(films: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _score(films, run, reports=HTML_ONLY)
    before = [row["study_key"] for row in _rows(run / "studies.csv")]
    settings = ReportSettings(pdf=False, acute=("hernia",))
    assert rerendering.report(run, settings).exit_code == 0
    rows = _rows(run / "studies.csv")
    by_hernia = sorted(rows, key=lambda row: -float(row["Hernia"]))
    assert [row["study_key"] for row in rows] == [row["study_key"] for row in by_hernia] != before
    page = (run / "index.html").read_text()
    places = [page.index(f"reports/{row['study_key']}/report.html") for row in rows]
    assert places == sorted(places)


def test_report_that_cannot_be_rendered_costs_only_itself(films: Path, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "report.html").write_text("{{ no_such_thing }}")
    settings = ReportSettings(pdf=False, templates=templates)
    summary = _score(films, tmp_path / "run", reports=settings)
    assert summary.exit_code == 3
    assert "6 reports failed" in summary.message
    assert len(_rows(tmp_path / "run" / "scores.csv")) == 6
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["report_errors"]) == 6


def test_studies_of_an_earlier_night_are_skipped_by_content_and_bundle(films: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    _score(films, runs / "monday")
    moved = tmp_path / "elsewhere"
    films.rename(moved)
    Image.fromarray(np.full((50, 50), 77, np.uint8)).save(moved / "new.png")
    assert _score(moved, runs / "tuesday", skip_known=runs).exit_code == 0
    assert set(_by_name(runs / "tuesday")) == {"new.png"}
    counts = _counts(runs / "tuesday")
    assert (counts["studies_known"], counts["files_known"], counts["files_found"]) == (6, 6, 7)
    # All known: a night with nothing to score is no failure.
    assert _score(moved, runs / "wednesday", skip_known=runs).exit_code == 0


def test_unsettled_files_are_left_for_the_next_run(films: Path, tmp_path: Path) -> None:
    for path in films.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)
    (films / "0.png").touch()
    _score(films, tmp_path / "run", settle=60)
    assert "0.png" not in _by_name(tmp_path / "run")
    assert _counts(tmp_path / "run")["files_unsettled"] == 1


def test_limit_is_a_number_of_studies(films: Path, tmp_path: Path) -> None:
    _score(films, tmp_path / "run", limit=2)
    assert len(_rows(tmp_path / "run" / "studies.csv")) == 2
    assert _counts(tmp_path / "run")["files_beyond_limit"] == 4
    _score(films, tmp_path / "run", limit=2)
    assert len(_rows(tmp_path / "run" / "studies.csv")) == 2


def test_films_of_a_folder_can_be_one_study(films: Path, tmp_path: Path) -> None:
    _score(films, tmp_path / "run", group_by="folder")
    (study,) = _rows(tmp_path / "run" / "studies.csv")
    scores = _rows(tmp_path / "run" / "scores.csv")
    assert study["images"] == "6"
    assert float(study["Mass"]) == max(float(row["Mass"]) for row in scores)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda inbox: None, 1),
        (lambda inbox: (inbox / "notes.txt").write_text("nothing here"), 1),
        (lambda inbox: (inbox / "film.dcm").write_bytes(b""), 1),
        (lambda inbox: shutil.copy(_pydicom_data("RG3_UNCR.dcm")[0], inbox), 0),
    ],
)
def test_night_without_a_film(tmp_path: Path, make: Callable[[Path], object], code: int) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    make(inbox)
    summary = _score(inbox, tmp_path / "run")
    assert summary.exit_code == code
    assert "\n" not in summary.message


def test_run_folder_inside_the_inbox_is_no_input(films: Path) -> None:
    _score(films, films / "run", reports=HTML_ONLY)
    assert len(_rows(films / "run" / "scores.csv")) == 6
    _score(films, films / "run", reports=HTML_ONLY)
    assert len(_rows(films / "run" / "scores.csv")) == 6


def test_model_without_a_number_is_no_probability(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxrbatch.pipeline.feed import Batch
    from cxrbatch.scoring import local_scorer
    from cxrbatch.scoring.prediction import Prediction

    load = local_scorer.load_predictor

    def spoiled(*arguments: object) -> object:
        inner = load(*arguments)  # type: ignore[arg-type]

        class Spoiled:
            batch_size, threads = inner.batch_size, inner.threads
            runtime_version, precision = inner.runtime_version, inner.precision

            def predict(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Prediction]]:
                for batch, prediction in inner.predict(batches):
                    prediction.probabilities[:, 3] = np.nan
                    yield batch, prediction

        return Spoiled()

    monkeypatch.setattr(local_scorer, "load_predictor", spoiled)
    summary = _score(films, tmp_path / "run")
    assert {row["reason"] for row in _rows(tmp_path / "run" / "rejected.csv")} == {"model_failed"}
    assert _rows(tmp_path / "run" / "scores.csv") == []
    assert summary.exit_code == 3


def test_usage_errors_come_before_any_work(films: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(InputNotFoundError, match="nowhere"):
        _score(tmp_path / "nowhere", run)
    with pytest.raises(RequestError, match="Flu"):
        _score(films, run, reports=ReportSettings(findings="Flu"))
    assert not run.exists()


def test_labels_of_other_findings_are_refused_before_any_work(films: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("image,Efusion\n0,1\n")
    with pytest.raises(RequestError, match=r"labels\.csv, line 1: .*Efusion.*Effusion"):
        _score(films, tmp_path / "run", labels=labels)
    assert not (tmp_path / "run").exists()


def test_resuming_otherwise_is_refused_with_the_difference(films: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _score(films, run, threads=1)
    with pytest.raises(RunFolderError, match=r"group_by was 'study' and is now 'folder'"):
        _score(films, run, group_by="folder")
    Image.fromarray(np.zeros((50, 50), np.uint8)).save(films / "new.png")
    with pytest.raises(RunFolderError, match=r"threads was 1 and is now 2.*--fresh"):
        _score(films, run, threads=2)
    _score(films, run)  # not said: as it was begun
    assert len(_rows(run / "scores.csv")) == 7


def test_run_begun_with_two_threads_goes_on_with_two(films: Path, tmp_path: Path) -> None:
    """As all were that were begun on two processors before a pass had one thread everywhere."""
    run = tmp_path / "run"
    _score(films, run, threads=2, limit=2)
    assert len(_rows(run / "scores.csv")) < 6
    _score(films, run)
    assert len(_rows(run / "scores.csv")) == 6
    assert json.loads((run / "run.json").read_text())["arithmetic"]["threads"] == 2
    _score(films, tmp_path / "new")
    assert json.loads((tmp_path / "new" / "run.json").read_text())["arithmetic"]["threads"] == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this machine has one processor")
def test_number_of_processors_has_no_say_in_scores(films: Path, tmp_path: Path) -> None:
    """Begun where there is one, gone on with where there are more, and the bytes of a run that had these."""
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
    code += "from cxrbatch.cli import app; app.main()"
    command = ["score", str(films), "--reports", "none", "--limit", "3", "--out", str(tmp_path / "moved")]
    subprocess.run([sys.executable, "-c", code, *command], check=True, timeout=120)
    begun = _rows(tmp_path / "moved" / "scores.csv")
    assert 0 < len(begun) < 6
    for name in ("moved", "whole"):
        _score(films, tmp_path / name)
    for table in ("scores.csv", "studies.csv"):
        moved, whole = ((tmp_path / name / table).read_bytes() for name in ("moved", "whole"))
        assert moved == whole


def test_second_run_in_a_folder_is_refused(films: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    lease = Lease.take(run)
    with pytest.raises(FolderHeldError, match=f"pid {os.getpid()}"):
        _score(films, run)
    lease.release()
