from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from pypdf import PdfReader
from typer.testing import CliRunner

from cxrbatch.cli.compare import compare
from cxrbatch.evaluation.verdict_file import read_verdict


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(compare)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def write(folder: Path, name: str, names, scores, **extra) -> Path:
    table = {"path": [f"in/{n}" for n in names], **extra}
    table |= {finding: scores[:, j] for j, finding in enumerate(("Mass", "Hernia"))}
    pd.DataFrame(table).to_csv(folder / name, index=False)
    return folder / name


@pytest.fixture
def cohort(tmp_path):
    """300 images of 150 patients; a.csv, a better b.csv, a much worse c.csv, labels.csv."""
    rng = np.random.default_rng(2)
    names = [f"{i:03}.png" for i in range(300)]
    truth = rng.random((300, 2)) < 0.4
    noise = rng.random((300, 2))
    write(tmp_path, "a.csv", names, (noise * 0.6 + truth * 0.2).round(4))
    write(tmp_path, "b.csv", names, (noise * 0.6 + truth * 0.35).round(4))
    write(tmp_path, "c.csv", names, rng.random((300, 2)).round(4))
    labels = pd.DataFrame(truth.astype(int), columns=["Mass", "Hernia"])
    labels.insert(0, "image", names)
    labels.insert(1, "patient_id", np.arange(300) // 2)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def test_better_is_superior_and_exits_0(run, cohort):
    done = run(
        cohort / "a.csv", cohort / "b.csv", cohort / "labels.csv", "--out", cohort / "o", "--rounds", 200
    )
    assert done.exit_code == 0, done.output
    content = read_verdict(cohort / "o")
    assert content["verdict"] == "superior"
    assert content["n_patients"] == 150
    assert content["bootstrap"] == {"rounds": 200, "seed": 0, "clusters": 150, "rounds_left_out": 0}
    for name, file in (("scores_a", "a.csv"), ("scores_b", "b.csv"), ("labels", "labels.csv")):
        assert content["inputs"][name]["sha256"] == hashlib.sha256((cohort / file).read_bytes()).hexdigest()
    assert content["models"]["a"]["label"] is None
    assert (cohort / "o" / "comparison.pdf").read_bytes().startswith(b"%PDF")
    assert "superior" in (cohort / "o" / "comparison.html").read_text(encoding="utf-8").lower()
    assert "verdict: superior" in done.output


def test_worse_exits_5_and_writes_everything(run, cohort):
    done = run(
        cohort / "b.csv", cohort / "c.csv", cohort / "labels.csv", "--out", cohort / "o", "--rounds", 200
    )
    assert done.exit_code == 5
    assert read_verdict(cohort / "o")["verdict"] == "inferior"
    assert (cohort / "o" / "comparison.csv").is_file()


def test_the_same_table_twice_is_non_inferior_with_an_alarm(run, cohort):
    done = run(
        cohort / "a.csv", cohort / "a.csv", cohort / "labels.csv", "--out", cohort / "o", "--rounds", 200
    )
    assert done.exit_code == 0
    content = read_verdict(cohort / "o")
    assert content["verdict"] == "non_inferior"
    assert content["primary"]["difference"] == 0
    assert content["warnings"][0].startswith("Alarm: both tables of scores are the same file")


def test_the_same_inputs_give_the_same_figures_and_another_seed_others(run, cohort):
    found = []
    for seed in (1, 1, 2):
        done = run(
            *(cohort / "a.csv", cohort / "b.csv", cohort / "labels.csv", "--out", cohort / "o"),
            *("--rounds", 150, "--seed", seed),
        )
        assert done.exit_code == 0
        found.append(read_verdict(cohort / "o")["primary"]["ci95"])
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_what_is_in_one_table_only_is_counted_and_named(run, cohort):
    table = pd.read_csv(cohort / "b.csv").drop(columns="Hernia").iloc[4:]
    table.assign(Nodule=0.5).to_csv(cohort / "b.csv", index=False)
    done = run(
        cohort / "a.csv", cohort / "b.csv", cohort / "labels.csv", "--out", cohort / "o", "--rounds", 200
    )
    assert "4 only in a; see the report for their ids" in done.output  # ids have no place in a log
    assert "Nodule is left out: only in B" in done.output
    assert "Hernia is left out: only in A and labels" in done.output
    with (cohort / "o" / "left_out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [f"in/00{i}.png" for i in range(4)]
    assert {(row["table"], row["reason"]) for row in rows} == {("A", "not scored by B")}


def test_a_run_folder_names_its_bundle(run, cohort):
    for name in ("a", "b"):
        folder = cohort / f"run_{name}"
        folder.mkdir()
        table = pd.read_csv(cohort / f"{name}.csv")
        table.insert(1, "bundle", f"net {name} 0123456789a{name}")
        table.to_csv(folder / "scores.csv", index=False)
    done = run(
        cohort / "run_a", cohort / "run_b", cohort / "labels.csv", "--out", cohort / "o", "--rounds", 200
    )
    assert done.exit_code == 0, done.output
    assert read_verdict(cohort / "o")["models"]["b"] == {
        "label": "net b 0123456789ab",
        "name": "net",
        "version": "b",
        "sha256": "0123456789ab",
        "identified_by": "table",
    }


def test_scores_of_two_models_in_one_table_are_refused(run, cohort):
    table = pd.read_csv(cohort / "a.csv")
    table.insert(1, "bundle", ["net 1 0123456789ab"] * 299 + ["net 2 0123456789ac"])
    table.to_csv(cohort / "a.csv", index=False)
    done = run(cohort / "a.csv", cohort / "b.csv", cohort / "labels.csv", "--out", cohort / "o")
    assert done.exit_code == 2
    assert "scores of 2 models" in done.output


def test_stored_thresholds_of_another_model_are_refused(run, cohort):
    table = pd.read_csv(cohort / "a.csv")
    table.insert(1, "bundle", "net 1 0123456789ab")
    table.to_csv(cohort / "a.csv", index=False)
    common = (cohort / "a.csv", cohort / "b.csv", cohort / "labels.csv", "--out", cohort / "o")
    done = run(*common, "--model-a", "cxr-lite")
    assert done.exit_code == 2
    assert "its thresholds are those of another model" in done.output
    assert not (cohort / "o").exists()


def test_training_patients_in_the_cohort_are_an_alarm_on_page_one(run, cohort):
    """cxr-lite was trained on NIH's patients 75 and 129; here one is written with zeros."""
    labels = pd.read_csv(cohort / "labels.csv", dtype=str)
    labels["patient_id"] = [f"site-{name}" for name in labels["patient_id"]]
    labels.loc[:3, "patient_id"] = ["75", "75", "00000129", "00000129"]
    labels.to_csv(cohort / "labels.csv", index=False)
    done = run(
        *(cohort / "a.csv", cohort / "b.csv", cohort / "labels.csv", "--out", cohort / "o"),
        *("--rounds", 200, "--model-b", "cxr-lite"),
    )
    alarm = (
        "Alarm: B was trained on patients of this cohort: 2 of 150 patients (1 by the same id, 1 by another"
    )
    content = read_verdict(cohort / "o")
    assert content["warnings"][0].startswith(alarm)
    assert alarm in done.output
    assert "training data of A could not be checked: its bundle is not known here" in done.output
    assert content["leak_check"]["a"]["checked"] is False
    assert content["leak_check"]["b"]["patients_in_training_data"] == 1
    assert content["leak_check"]["b"]["patients_in_training_data_by_another_spelling"] == 1
    first_page = PdfReader(cohort / "o" / "comparison.pdf").pages[0].extract_text()
    assert "B was trained on patients of this cohort" in " ".join(first_page.split())


def test_stored_thresholds_are_the_operating_points(run, cohort):
    from cxrbatch.bundles.bundle import open_bundle

    bundle = open_bundle("cxr-lite")
    common = (
        cohort / "a.csv",
        cohort / "b.csv",
        cohort / "labels.csv",
        "--out",
        cohort / "o",
        "--rounds",
        200,
    )
    done = run(*common, "--model-b", "cxr-lite")
    assert done.exit_code == 0, done.output
    content = read_verdict(cohort / "o")
    point = content["findings"]["Mass"]["operating_point"]
    assert point["threshold_b"] == bundle.card.thresholds["Mass"]
    assert point["threshold_b_chosen"] == "given"
    assert point["threshold_a_chosen"].startswith("youden")
    assert content["models"]["b"]["sha256"] == bundle.sha256
    assert content["models"]["b"]["identified_by"] == "command line"


@pytest.mark.parametrize("margin", ["0", "-0.1", "0.5", "nan"])
def test_a_margin_that_is_none_is_wrong_usage(run, cohort, margin):
    done = run(
        *(cohort / "a.csv", cohort / "b.csv", cohort / "labels.csv"),
        "--out",
        cohort / "o",
        f"--margin={margin}",
    )
    assert done.exit_code == 2
    assert "--margin" in done.output


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("b.csv", None, "cannot be read"),
        ("b.csv", "path,Mass\nin/000.png,1.5\n", "line 2, column 'Mass'"),
        ("b.csv", "path,Mass\nin/000.png,nan\n", "line 2, column 'Mass'"),
        ("b.csv", "path,Mass\nin/000.png,.5\nin/000.png,.5\n", "two rows"),
        ("b.csv", "path,Mass\nx/000.png,.5\ny/000.png,.5\n", "matches two files"),
        ("b.csv", "path,Mass\nin/xyz.png,.5\n", "none of its"),
        ("labels.csv", "image,Mass\n000,7\n", "line 2, column 'Mass'"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run, cohort, file, text, problem):
    if text is None:
        (cohort / file).unlink()
    else:
        (cohort / file).write_text(text)
    done = run(cohort / "a.csv", cohort / "b.csv", cohort / "labels.csv", "--out", cohort / "o")
    assert done.exit_code == 2
    assert problem in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (cohort / "o").exists()


def test_a_folder_that_cannot_be_written_is_exit_1(run, cohort):
    (cohort / "o").write_text("a file")
    done = run(
        cohort / "a.csv", cohort / "b.csv", cohort / "labels.csv", "--out", cohort / "o", "--rounds", 100
    )
    assert done.exit_code == 1
    assert len(done.output.strip().splitlines()) == 1


def test_an_interrupted_comparison_leaves_no_old_verdict(run, cohort, monkeypatch):
    common = (
        cohort / "a.csv",
        cohort / "b.csv",
        cohort / "labels.csv",
        "--out",
        cohort / "o",
        "--rounds",
        100,
    )
    assert run(*common).exit_code == 0

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cxrbatch.comparison.write_comparison", fail)
    assert run(*common).exit_code == 1
    assert not (cohort / "o" / "verdict.json").exists()


def test_verdict_is_plain_json(run, cohort):
    run(cohort / "a.csv", cohort / "b.csv", cohort / "labels.csv", "--out", cohort / "o", "--rounds", 100)

    def no_constants(name):
        raise AssertionError(name)

    text = (cohort / "o" / "verdict.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=no_constants)["schema"] == 1
