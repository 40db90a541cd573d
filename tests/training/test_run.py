"""A whole training on phantoms, small: what a data scientist finds in its folder."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from cxrbatch import night
from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.saving import rewrite_card
from cxrbatch.evaluation.leaks import patient_overlap
from cxrbatch.intake.inspect import inspect
from cxrbatch.intake.records import Candidate, FileKind
from cxrbatch.intake.walk import walk
from cxrbatch.ledger.run_folder import RunFolderError
from cxrbatch.radiographs.read import read_radiograph
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.request import Request, Summary
from cxrbatch.sample.cohort import write_cohort
from cxrbatch.training.records import TrainingError
from cxrbatch.training.request import TrainRequest
from cxrbatch.training.run import train
from cxrbatch.training.settings import TrainSettings

FINDINGS = ("Effusion", "Nodule", "Nipple shadow")
"""Two of the start's, and one that it does not have."""
EPOCHS = 2


@dataclass(frozen=True)
class Done:
    """A training that was run, and what it said."""

    request: TrainRequest
    summary: Summary
    log: str

    @property
    def out(self) -> Path:
        return self.request.out

    @property
    def record(self) -> dict:
        return json.loads((self.out / "run.json").read_text())

    def scores(self) -> dict[str, dict[str, str]]:
        return rows(self.out / "test" / "scores.csv")


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def make_cohort(folder: Path) -> tuple[Path, Path]:
    """Phantoms as DICOM, every third as PNG, with labels by path; some unknown, one image missing."""
    images = folder / "images"
    write_cohort(images, 48, 5, (160, 160), lambda done, total: None)
    random = np.random.default_rng(5)
    uids = set(pd.read_csv(images / "labels.csv")["image_uid"])
    table = []
    for found in map(inspect, sorted(walk([images]), key=lambda source: source.path)):
        if not isinstance(found, Candidate) or found.header.image_uid not in uids:
            continue
        path = Path(found.source.path)
        if len(table) % 3 == 0:
            pixels = read_radiograph(path.read_bytes(), FileKind.DICOM).pixels
            path.unlink()
            path = path.with_name(f"film{len(table):03}.png")
            Image.fromarray(pixels).save(path)
        values = (random.random(3) < 0.35).astype(int).astype(str)
        values[random.random(3) < 0.1] = ""
        table.append([str(path.relative_to(images)), found.header.patient.id, *values])
    table.append(["studies/gone.dcm", "PHANTOM-9999", "0", "0", "1"])
    whole = next(images.rglob("film*.png")).read_bytes()
    (images / "studies" / "broken.png").write_bytes(whole[: len(whole) // 2])
    table.append(["studies/broken.png", "PHANTOM-8888", "0", "1", "0"])
    labels = folder / "labels.csv"
    pd.DataFrame(table, columns=["path", "patient_id", *FINDINGS]).to_csv(labels, index=False)
    (images / "labels.csv").unlink()
    return images, labels


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Done:
    folder = tmp_path_factory.mktemp("train")
    images, labels = make_cohort(folder)
    settings = TrainSettings(
        size=64, steps_per_epoch=3, epochs=EPOCHS, batch_size=4, validation_fraction=0.25, test_fraction=0.25
    )
    request = TrainRequest(
        images, labels, folder / "out", "subset", settings, workers=2, reports=ReportSettings(pdf=False)
    )
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("cxrbatch")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        summary = train(request)
    finally:
        log.removeHandler(handler)
    return Done(request, summary, "\n".join(lines))


def test_a_film_check_for_films_of_another_size_is_not_kept_and_that_is_said(done: Done) -> None:
    assert open_bundle(done.out / "bundle").card.film_check is None
    assert "no film check (cxrbatch model fit-intake). " in done.log
    assert "take different inputs" in done.log


def test_everything_is_there(done):
    assert done.summary.exit_code == 0, done.summary.message
    assert done.record["state"] == "finished"
    for name in ("bundle/card.json", "test/scores.csv", "test/calibrated.csv", "validation/metrics.json",
                 "validation/validation.html", "history.csv", "checkpoints/best.weights.h5"):  # fmt: skip
        assert (done.out / name).stat().st_size > 0, name
    assert len(pd.read_csv(done.out / "history.csv")) == EPOCHS
    assert list((done.out / "tensorboard").glob("events.*"))
    assert not (done.out / ".bundle-draft").exists()
    with Image.open(done.out / "curves.png") as picture:
        assert picture.format == "PNG"


def test_one_sentence_says_what_became_of_the_loss(done):
    loss = pd.read_csv(done.out / "history.csv")["loss"]
    word = "fell" if loss.iloc[-1] < loss.iloc[0] else "did not fall"
    assert f"The training loss {word}" in done.summary.message


def test_score_gives_the_probabilities_that_the_validation_reported(done, tmp_path):
    model = str(done.out / "bundle")
    asked = Request(
        (str(done.request.images),), tmp_path / "run", model, reports=ReportSettings(html=False, pdf=False)
    )
    assert night.score(asked).exit_code in (0, 3)
    served = rows(tmp_path / "run" / "scores.csv")
    reported = done.scores()
    assert len(reported) >= 8
    for path, row in reported.items():
        for name in FINDINGS:
            assert float(row[name]) == pytest.approx(float(served[path][name]), abs=1e-5)
        assert row["bundle"] == served[path]["bundle"]
        assert row["study_key"] == served[path]["study_key"]
    assert {Path(path).suffix for path in reported} >= {".dcm", ".png"}


def test_reported_figures_are_those_of_sklearn_and_of_the_card(done):
    metrics = json.loads((done.out / "validation" / "metrics.json").read_text())
    card = open_bundle(done.out / "bundle").card
    labels = pd.read_csv(done.request.labels).set_index("path")
    root = done.request.images
    for name in FINDINGS:
        pairs = [
            (labels.loc[str(Path(path).relative_to(root)), name], float(row[name]))
            for path, row in done.scores().items()
        ]
        known = [(truth, score) for truth, score in pairs if not np.isnan(truth)]
        truth, score = map(np.array, zip(*known, strict=True))
        found = metrics["labels"][name]["auroc"]
        assert found == (pytest.approx(roc_auc_score(truth, score)) if 0 < truth.sum() < len(truth) else None)
        assert card.validation.findings[name].auroc == found
    assert card.validation.macro_auroc == metrics["macro_auroc"]
    assert list(card.validation.macro_auroc_ci95) == metrics["macro_auroc_ci95"]
    assert done.record["test"]["macro_auroc"] == metrics["macro_auroc"]


def test_thresholds_of_the_card_are_what_the_report_judges(done):
    metrics = json.loads((done.out / "validation" / "metrics.json").read_text())
    card = open_bundle(done.out / "bundle").card
    for name in FINDINGS:
        assert metrics["labels"][name]["operating_point"]["threshold"] == card.thresholds[name]
    assert set(card.other_thresholds) == {"sensitivity >= 0.9"}


def test_calibrated_scores_are_the_cards_curves(done):
    card = open_bundle(done.out / "bundle").card
    raw, calibrated = done.scores(), rows(done.out / "test" / "calibrated.csv")
    for path, row in raw.items():
        for name in FINDINGS:
            expected = card.calibration[name](float(row[name]))
            assert float(calibrated[path][name]) == pytest.approx(expected, abs=1e-6)
    assert len({curve.slope for curve in card.calibration.values()}) == 1


def test_a_stated_prevalence_moves_calibrated_odds_by_its_own(done, tmp_path):
    model = str(done.out / "bundle")
    films = str(done.request.images / "studies")
    asked = Request(
        (films,),
        tmp_path / "run",
        model,
        prevalence={"Nodule": 0.01},
        reports=ReportSettings(html=False, pdf=False),
        limit=5,
    )
    assert night.score(asked).exit_code in (0, 3)
    card = open_bundle(done.out / "bundle").card
    reference = card.calibration_prevalence["Nodule"]
    ratio = (0.01 / 0.99) / (reference / (1.0 - reference))
    raw, moved = rows(tmp_path / "run" / "scores.csv"), rows(tmp_path / "run" / "calibrated.csv")
    assert raw
    for path, row in raw.items():
        before, after = card.calibration["Nodule"](float(row["Nodule"])), float(moved[path]["Nodule"])
        assert after / (1.0 - after) == pytest.approx(ratio * before / (1.0 - before), rel=1e-4)
        # The logit of a probability near 1 is known no better than the digits in scores.csv allow.
        assert float(moved[path]["Effusion"]) == pytest.approx(
            card.calibration["Effusion"](float(row["Effusion"])), abs=1e-5
        )
    with pytest.raises(RunFolderError, match="prevalence was"):
        night.score(replace(asked, prevalence={}))


def test_no_test_patient_was_trained_on_and_training_patients_are_found(done):
    metrics = json.loads((done.out / "validation" / "metrics.json").read_text())
    assert metrics["leak_check"]["patients_in_training_data"] == 0
    assert metrics["alarms"] == []
    known = open_bundle(done.out / "bundle").card.training_data
    tested = {row["patient_id"] for row in done.scores().values()}
    labelled = set(pd.read_csv(done.request.labels)["patient_id"]) - {"PHANTOM-9999"}
    others = patient_overlap(labelled, known.patient_id_salt, known.patient_id_hashes)
    used = done.record["used"]
    assert set(others.same) <= labelled - tested
    assert len(others.same) == used["train"]["patients"] + used["validation"]["patients"]
    respelled = [name.replace("-", " ").lower() for name in others.same]
    assert len(patient_overlap(respelled, known.patient_id_salt, known.patient_id_hashes).patients) == len(
        respelled
    )


def test_findings_kept_dropped_and_new_are_named(done):
    assert "kept: Effusion, Nodule." in done.log
    assert "New findings, which start from its mean: Nipple shadow." in done.log
    assert "Cardiomegaly" in done.log
    assert done.record["findings"]["new"] == ["Nipple shadow"]


def test_the_log_counts_and_names_nobody(done):
    rows_in_labels = len(pd.read_csv(done.request.labels))
    assert f"1 of {rows_in_labels} rows of the labels have no image" in done.log
    assert "PHANTOM" not in done.log
    assert str(done.request.images) not in done.log


def test_the_account_adds_up(done):
    record = done.record
    assert record["data"]["films"] == sum(record["data"]["films_by_side"].values())
    assert record["account"]["labels_without_image"] == 1
    used = record["used"]
    wanted = min(3 * EPOCHS * 4, record["data"]["films_by_side"]["train"])
    assert wanted - 1 <= used["train"]["films"] <= wanted  # a film may not decode
    for side in used.values():
        for name in FINDINGS:
            assert side["positive"][name] + side["negative"][name] <= side["films"]


def test_a_film_that_does_not_decode_is_counted_and_left_out(done):
    record = done.record
    told = [one["path"] for one in record["account"]["undecodable"]]
    not_scored = sum("could not be scored" in notice for notice in record["notices"])
    assert len(told) + not_scored == 1
    assert all(path.endswith("broken.png") for path in told)
    assert not [path for path in done.scores() if path.endswith("broken.png")]


def test_only_films_that_are_trained_or_validated_on_were_decoded_into_the_cache(done):
    used = done.record["used"]
    cached = list((done.out / "cache").rglob("*.npy"))
    assert len(cached) == used["train"]["films"] + used["validation"]["films"]


def test_a_finished_training_does_nothing(done):
    before = {path: path.stat().st_mtime_ns for path in done.out.rglob("*") if path.name != "lease.json"}
    again = train(done.request)
    assert again.exit_code == 0
    assert "Nothing was done" in again.message
    for path, modified in before.items():
        assert path.is_dir() or path.stat().st_mtime_ns == modified, path


def test_another_training_in_the_same_folder_is_refused(done):
    other = replace(done.request, settings=done.request.settings.model_copy(update={"seed": 9}))
    with pytest.raises(TrainingError, match="seed was 0 and is now 9"):
        train(other)
    other = replace(done.request, init=None)
    with pytest.raises(TrainingError, match=r"init\.name was 'cxr-lite' and is now None"):
        train(other)


def test_a_cards_fields_can_be_changed_and_its_weights_cannot(done, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(done.out / "bundle", folder, ignore=shutil.ignore_patterns(".openvino"))
    before = open_bundle(folder)
    changed = rewrite_card(folder, {"limits": "None known."})
    assert (changed.card.limits, changed.card.weights) == ("None known.", before.card.weights)
    assert changed.sha256 != before.sha256
    for wrong in (
        {"weights": {}},
        {"thresholds": {"Effusion": 0.5}},
        {"other_thresholds": {"x": {"Mass": 0.5}}},
    ):
        with pytest.raises(BundleError):
            rewrite_card(folder, wrong)
    assert open_bundle(folder).sha256 == changed.sha256
