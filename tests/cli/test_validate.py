from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from cxrbatch.cli.validate import validate


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(validate)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def tables(tmp_path):
    rng = np.random.default_rng(2)
    names = [f"{i:03}.png" for i in range(120)]
    truth = rng.random((120, 2)) < 0.4
    scores = (rng.random((120, 2)) * 0.5 + truth * 0.3).round(3)
    pd.DataFrame({"Image Index": names, "prob_Mass": scores[:, 0], "prob_Hernia": scores[:, 1]}).to_csv(
        tmp_path / "scores.csv", index=False
    )
    lists = ["|".join(np.array(["Mass", "Hernia"])[row]) or "No Finding" for row in truth]
    labels = pd.DataFrame({"Image Index": names, "Finding Labels": lists, "Patient ID": np.arange(120) // 2})
    labels.iloc[:100].to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path, truth[:100], scores[:100]


def test_writes_metrics_that_agree_with_sklearn(run, tables):
    folder, truth, scores = tables
    done = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out", "--rounds", 50)
    assert done.exit_code == 0, done.output
    found = json.loads((folder / "out/metrics.json").read_text())
    assert (found["n_images"], found["n_patients"]) == (100, 50)
    for j, name in enumerate(("Mass", "Hernia")):
        expected = roc_auc_score(truth[:, j], scores[:, j])
        assert found["labels"][name]["auroc"] == pytest.approx(expected, abs=1e-12)
    assert "scored, without labels: 20: 100.png" in done.output
    assert set(pd.read_csv(folder / "out/metrics.csv").columns) == {
        "finding",
        "metric",
        "value",
        "low",
        "high",
        "note",
    }


def test_a_bad_label_is_wrong_usage_in_one_line(run, tables):
    folder: Path = tables[0]
    (folder / "labels.csv").write_text("image,Mass\n000,1\n001,7\n")
    done = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out")
    assert done.exit_code == 2
    assert "labels.csv, line 3, column 'Mass'" in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (folder / "out").exists()


@pytest.mark.parametrize("missing", ["scores.csv", "labels.csv"])
def test_a_missing_table_is_wrong_usage(run, tables, missing):
    folder: Path = tables[0]
    (folder / missing).unlink()
    done = run(folder / "scores.csv", folder / "labels.csv", "--out", folder / "out")
    assert done.exit_code == 2
    assert missing in done.output
