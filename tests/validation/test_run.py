"""`validate` on a run folder: the model's own card, and a gallery of its failures."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from cxrbatch.bundles.card import Card, TrainingData, Weights
from cxrbatch.evaluation.delimited import TableError
from cxrbatch.intake.records import FileKind, ImageHeader, SourceFile, View
from cxrbatch.ledger import layout, tables
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.records import ScoredImage
from cxrbatch.ledger.run_json import write_run_json
from cxrbatch.pipeline.input_spec import InputSpec, Scaling
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.validation.inputs import Model, Options
from cxrbatch.validation.run import ValidationError, validate, validate_night

FINDINGS = ("Mass", "Effusion")
SHA = "ab" * 32
FEW = Options(rounds=20)


def make_card() -> Card:
    return Card(
        name="test-net",
        version="1.0",
        architecture="efficientnet-lite0",
        findings=FINDINGS,
        input=InputSpec(height=64, width=64, channels=3, scaling=Scaling.IMAGENET),
        weights=Weights(file="w.weights.h5", sha256=SHA),
        thresholds={"Mass": 0.5, "Effusion": 0.4},
        thresholds_method="Set beforehand.",
        training_data=TrainingData(
            description="Phantoms.",
            patient_id_salt="s",
            patient_id_hashes=(hashlib.sha256(b"s7").hexdigest(),),
        ),
        intended_use="Tests.",
        limits="None known.",
        licence="Apache-2.0",
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of 60 films; the first is a false positive for Mass, the last a false negative."""
    run = tmp_path / "run"
    (run / "store" / "k").mkdir(parents=True)
    rng = np.random.default_rng(0)
    truth = rng.random((60, 2)) < 0.5
    scores = np.clip(0.35 + 0.3 * truth + rng.normal(0, 0.1, (60, 2)), 0.01, 0.99)
    truth[0], scores[0] = False, 0.97
    truth[59], scores[59] = True, 0.02
    ledger = Ledger(run / layout.LEDGER, create=True)
    card = make_card()
    ledger.record_fact("card", card.model_dump(mode="json"))
    jpeg = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (80, 60), dtype=np.uint8)).save(jpeg, "JPEG")
    for i in range(60):
        path = f"/inbox/film-{i:02}.png"
        header = ImageHeader(FileKind.PNG, 80, 60, view=View.UNKNOWN)
        ledger.add_candidate(SourceFile(path, 1, 1, i), header, "k", "")
        key = layout.image_key(path)
        image = ScoredImage(
            path, "k", key, header, 80, 60, tuple(scores[i]), layout.display_file("k", key),
            layout.maps_file("k", key),
        )  # fmt: skip
        (run / image.display_file).write_bytes(jpeg.getvalue())
        np.save(run / image.maps_file, rng.normal(size=(4, 4, 2)).astype(np.float16))
        ledger.record_score(image, f"pixels {i}", f"file {i}")
    ledger.close_study("k")
    studies = [study for study, _ in ledger.studies()]
    tables.write_scores(run, studies, card, tables.bundle_label(card, SHA))
    tables.write_rejected(run, [])
    ledger.close()
    write_run_json(run, {"state": "finished", "bundle": {"sha256": SHA}})
    lines = ["image,patient_id,View Position,Mass,Effusion"]
    lines += [
        f"film-{i:02},{i // 2},{'PA' if i % 2 else 'AP'},{int(m)},{int(e)}" for i, (m, e) in enumerate(truth)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return run


def test_the_runs_own_model_is_judged_and_its_patients_looked_for(run, tmp_path):
    found = validate(run, tmp_path / "labels.csv", tmp_path / "out", FEW)
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["provenance"]["bundle"] == {"name": "test-net", "version": "1.0", "sha256": SHA}
    assert metrics["labels"]["Effusion"]["operating_point"]["threshold"] == 0.4
    assert metrics["leak_check"]["images_of_these_patients"] == 2
    assert metrics["leak_check"]["macro_auroc_of_the_others"] is not None
    assert any("trained on patients" in alarm for alarm in found.alarms)
    assert set(metrics["subgroups"]["view"]) == {"AP", "PA"}


def test_the_most_confident_failures_are_shown(run, tmp_path):
    validate(run, tmp_path / "labels.csv", tmp_path / "out", FEW)
    page = (tmp_path / "out/validation.html").read_text()
    assert page.index("film-00.png") < page.index("film-59.png")
    shown = sorted((tmp_path / "out/figures").glob("failure-*.jpg"))
    assert f'src="figures/{shown[0].name}"' in page
    text = " ".join(p.extract_text() for p in PdfReader(tmp_path / "out/validation.pdf").pages)
    assert "false positive" in text
    assert "false negative" in text


def test_a_film_that_is_gone_is_a_line_without_a_picture(run, tmp_path):
    (run / layout.display_file("k", layout.image_key("/inbox/film-00.png"))).unlink()
    validate(run, tmp_path / "labels.csv", tmp_path / "out", FEW)
    assert "cannot be shown" in (tmp_path / "out/validation.html").read_text()


def test_the_night_writes_the_same_figures(run, tmp_path):
    from cxrbatch.evaluation.labels import read_labels

    labels = tmp_path / "labels.csv"
    validate(run, labels, tmp_path / "out", Options())
    ledger = Ledger(run / layout.LEDGER)
    validate_night(run, ledger, read_labels(labels, FINDINGS), Model(make_card(), SHA), ReportSettings())
    ledger.close()
    for name in ("metrics.json", "subgroups.csv", "operating_points.csv"):
        assert (run / "validation" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_a_night_without_scores_has_nothing_to_validate(run, tmp_path):
    from cxrbatch.evaluation.labels import read_labels

    empty = Ledger(tmp_path / "empty.db", create=True)
    labels = read_labels(tmp_path / "labels.csv", FINDINGS)
    assert validate_night(run, empty, labels, Model(make_card(), SHA), ReportSettings()) is None
    empty.close()
    assert not (run / "validation").exists()


def test_what_cannot_be_validated_is_refused(run, tmp_path):
    with pytest.raises(ValidationError, match="leave out --model"):
        validate(run, tmp_path / "labels.csv", tmp_path / "out", FEW, model="cxr-lite")
    write_run_json(run, {"state": "running", "bundle": {"sha256": SHA}})
    with pytest.raises(ValidationError, match="not finished"):
        validate(run, tmp_path / "labels.csv", tmp_path / "out", FEW)
    with pytest.raises(TableError, match="cannot be read"):
        validate(run / "scores.csv", tmp_path / "none.csv", tmp_path / "out", FEW)
    assert not (tmp_path / "out").exists()


def test_a_table_of_another_model_is_an_alarm(run, tmp_path):
    found = validate(run / "scores.csv", tmp_path / "labels.csv", tmp_path / "out", FEW, model="cxr-lite")
    assert any("scores are from test-net 1.0" in alarm for alarm in found.alarms)
