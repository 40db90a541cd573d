from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from pypdf import PdfReader
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from cxrbatch.cli.validate import validate


@pytest.fixture(scope="module")
def run():
    app = typer.Typer()
    app.command()(validate)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def write_tables(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    names = [f"{i:03}.png" for i in range(220)]
    truth = rng.random((220, 2)) < 0.4
    scores = (rng.random((220, 2)) * 0.5 + truth * 0.3).round(3)
    table = {"Image Index": names, "prob_Mass": scores[:, 0], "prob_Hernia": scores[:, 1]}
    pd.DataFrame(table).to_csv(folder / "scores.csv", index=False)
    lists = ["|".join(np.array(["Mass", "Hernia"])[row]) or "No Finding" for row in truth]
    labels = pd.DataFrame({"Image Index": names, "Finding Labels": lists, "Patient ID": np.arange(220) // 2})
    labels["Patient Sex"] = rng.choice(["F", "M"], 220)
    labels.iloc[:200].to_csv(folder / "labels.csv", index=False)
    return truth[:200], scores[:200]


@pytest.fixture
def tables(tmp_path):
    return tmp_path, *write_tables(tmp_path)


@pytest.fixture(scope="module")
def done(run, tmp_path_factory):
    """One validation, looked at by several tests."""
    folder = tmp_path_factory.mktemp("validate")
    truth, scores = write_tables(folder)
    result = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out", "--rounds", 100,
                 "--prevalence", 0.02, "--sensitivity", 0.8)  # fmt: skip
    assert result.exit_code == 0, result.output
    return result, folder / "out", truth, scores


def test_writes_metrics_that_agree_with_sklearn(done):
    result, out, truth, scores = done
    found = json.loads((out / "metrics.json").read_text())
    assert (found["n_images"], found["n_patients"]) == (200, 100)
    for j, name in enumerate(("Mass", "Hernia")):
        expected = roc_auc_score(truth[:, j], scores[:, j])
        assert found["labels"][name]["auroc"] == pytest.approx(expected, abs=1e-12)
    assert "scored, without labels: 20, see the report" in result.output
    assert "200.png" not in result.output  # ids of images are patient data, and terminals are logged
    assert found["cohort"]["scored_without_labels"]["count"] == 20
    assert set(found["subgroups"]) == {"sex"}


def test_what_the_figures_depend_on_is_printed(done):
    _, out, *_ = done
    page = (out / "validation.html").read_text()
    found = json.loads((out / "metrics.json").read_text())["provenance"]
    for role in ("scores", "labels"):
        digest = hashlib.sha256((out.parent / f"{role}.csv").read_bytes()).hexdigest()
        assert found[role]["sha256"] == digest
        assert digest in page
    assert (found["seed"], found["bootstrap_rounds"]) == (0, 100)


def test_a_threshold_chosen_here_says_so_everywhere(done):
    result, out, *_ = done
    point = json.loads((out / "metrics.json").read_text())["labels"]["Mass"]["operating_point"]
    assert point["chosen_on_the_data_judged_on"]
    table = pd.read_csv(out / "operating_points.csv")
    assert table["chosen_on_the_data_judged_on"].all()
    assert set(table["rule"]) == {"main", "youden", "sensitivity >= 0.8", "specificity >= 0.9"}
    assert "Threshold chosen on the data it is judged on" in (out / "validation.html").read_text()
    assert "chosen on the data they are judged on" in result.output


def test_stated_prevalence_by_bayes(done):
    _, out, *_ = done
    point = json.loads((out / "metrics.json").read_text())["labels"]["Mass"]["operating_point"]
    hit, false = point["sensitivity"] * 0.02, (1 - point["specificity"]) * 0.98
    assert point["ppv_at_stated_prevalence"] == pytest.approx(hit / (hit + false))
    low, high = point["ppv_at_stated_prevalence_ci95"]
    assert low < point["ppv_at_stated_prevalence"] <= high or low == high == 1


def test_pdf_has_flow_figures_checklist_and_page_numbers(done):
    _, out, *_ = done
    pages = [page.extract_text() for page in PdfReader(out / "validation.pdf").pages]
    assert "Cohort flow" in pages[0]
    assert f"Page 1 of {len(pages)}" in pages[0]
    text = " ".join(pages)
    for words in ("Operating points", "Subgroups", "Reporting checklist", "each author split"):
        assert words in text
    assert sorted(p.name for p in (out / "figures").iterdir()) == [
        "finding-01-Mass.png",
        "finding-02-Hernia.png",
        "histograms.png",
        "overview.png",
    ]


def test_roc_table_traces_the_curve(done):
    _, out, truth, scores = done
    roc = pd.read_csv(out / "roc.csv")
    mass = roc[roc["finding"] == "Mass"]
    area = np.trapezoid(mass["sensitivity"], 1 - mass["specificity"])
    assert area == pytest.approx(roc_auc_score(truth[:, 0], scores[:, 0]), abs=2e-3)


def test_same_inputs_same_bytes(run, tables):
    folder, *_ = tables
    for name in ("a", "b"):
        run(folder / "scores.csv", folder / "labels.csv", "--out", folder / name, "--rounds", 20)
    for name in ("metrics.json", "metrics.csv", "subgroups.csv", "figures/overview.png"):
        assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()


def test_identical_scores_are_an_alarm_on_page_one(run, tables):
    folder, *_ = tables
    table = pd.read_csv(folder / "scores.csv")
    table["prob_Hernia"] = 0.25
    table.to_csv(folder / "scores.csv", index=False)
    done = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out", "--rounds", 20)
    assert done.exit_code == 0
    assert "ALARM: Every image has the same score for Hernia" in done.output
    assert (
        "Every image has the same score" in PdfReader(folder / "out/validation.pdf").pages[0].extract_text()
    )


def test_trained_on_patients_are_an_alarm_on_page_one(run, tables):
    """cxr-lite was trained on NIH's patients 75 and 129: here they are written with zeros."""
    folder, *_ = tables
    labels = pd.read_csv(folder / "labels.csv", dtype=str)
    labels.loc[:2, "Patient ID"] = ["75", "00000129", "00000129"]
    labels.loc[3:, "Patient ID"] = [f"site-{i // 2}" for i in range(3, 200)]
    labels.to_csv(folder / "labels.csv", index=False)
    done = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out", "--rounds", 20,
               "--model", "cxr-lite")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "ALARM: The model was trained on patients of this cohort" in done.output
    found = json.loads((folder / "out/metrics.json").read_text())
    leak = found["leak_check"]
    assert leak["patients_in_training_data"] == 1
    assert leak["patients_in_training_data_by_another_spelling"] == 1
    assert leak["images_of_these_patients"] == 3
    assert "trained on patients" in PdfReader(folder / "out/validation.pdf").pages[0].extract_text()
    card = json.loads((Path(__file__).parents[2] / "models/cxr-lite/card.json").read_text())
    assert found["labels"]["Mass"]["operating_point"]["threshold"] == card["thresholds"]["Mass"]
    assert found["provenance"]["bundle"]["name"] == "cxr-lite"


def test_tune_fraction_judges_on_other_patients(run, tables):
    folder, *_ = tables
    done = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out", "--rounds", 20,
               "--tune-fraction", 0.3)  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads((folder / "out/metrics.json").read_text())
    assert found["cohort"]["tuning_part"]["patients"] == 30
    assert not found["labels"]["Mass"]["operating_point"]["chosen_on_the_data_judged_on"]
    assert "flatters" not in done.output


@pytest.mark.parametrize("options", [[], ["--tune-fraction", "0.5"], ["--prevalence", "0"]])
def test_two_images_make_a_report_and_no_number_up(run, tmp_path, options):
    (tmp_path / "scores.csv").write_text('image,"<b>A/b</b>",Mass\n1.png,0.1,0.5\n2.png,0.2,0.6\n')
    (tmp_path / "labels.csv").write_text('image,"<b>A/b</b>",Mass\n1.png,1,0\n2.png,0,0\n')
    done = run(tmp_path / "scores.csv", tmp_path / "labels.csv", "--out", tmp_path / "out", *options)
    assert done.exit_code == 0, done.output
    mass = json.loads((tmp_path / "out/metrics.json").read_text())["labels"]["Mass"]
    assert mass["auroc"] is None
    assert "one class only" in mass["reason"]
    page = (tmp_path / "out/validation.html").read_text()
    assert "<b>A" not in page
    assert "&lt;b&gt;A/b" in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--subgroups", "ward"], "no column 'ward'"),
        (["--tune-fraction", "1.5"], "must be between 0 and 1"),
        (["--model", "no-such-model"], "no-such-model"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_wrong_options_are_one_sentence(run, tables, options, said):
    folder, *_ = tables
    done = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out", "--rounds", 5, *options)
    assert done.exit_code == 2
    assert said in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (folder / "out").exists()


def test_a_bad_label_is_wrong_usage_in_one_line(run, tables):
    folder: Path = tables[0]
    (folder / "labels.csv").write_text("image,Mass\n000,1\n001,7\n002,x\n")
    done = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out")
    assert done.exit_code == 2
    assert "labels.csv, line 3, column 'Mass'" in done.output
    assert "2 cells are wrong: also line 4" in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (
            "image,prob_Mass\n000,0.5\n001,1.5\n002,\n003,nan\n",
            "line 3, column 'prob_Mass': must be a probability",
        ),
        ("image,prob_Mass\n000,0.5\n001,1.5\n002,\n003,nan\n", "3 cells are wrong"),
        ("image,prob_Mass\n", "holds a header but no rows"),
        ("", "the file is empty"),
        ("image,prob_Mass\n000,0.5\n000,0.6\n001,0.1\n001,0.2\n", "2 ids have several rows"),
        ("path,prob_Mass\na/000.png,0.5\nb/000.png,0.6\n", "matches two files, 'a/000.png' and 'b/000.png'"),
    ],
)
def test_bad_scores_are_named_with_counts(run, tables, scores, said):
    folder: Path = tables[0]
    (folder / "scores.csv").write_text(scores)
    done = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out")
    assert done.exit_code == 2
    assert said in done.output
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize("missing", ["scores.csv", "labels.csv"])
def test_a_missing_table_is_wrong_usage(run, tables, missing):
    folder: Path = tables[0]
    (folder / missing).unlink()
    done = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out")
    assert done.exit_code == 2
    assert missing in done.output


def test_a_folder_that_is_no_run_is_wrong_usage(run, tables):
    folder: Path = tables[0]
    (folder / "empty").mkdir()
    done = run(folder / "empty", folder / "labels.csv", "--out", folder / "out")
    assert done.exit_code == 2
    assert "is" in done.output
    assert "run folder" in done.output
