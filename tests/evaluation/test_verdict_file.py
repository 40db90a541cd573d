from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from cxrbatch.evaluation.comparison import compare
from cxrbatch.evaluation.comparison_content import to_dict, verdict_words
from cxrbatch.evaluation.comparison_table import to_frame
from cxrbatch.evaluation.verdict_file import VerdictError, read_verdict, sealed


@pytest.fixture
def result(cohort):
    rng = np.random.default_rng(2)
    y = cohort.y_true.copy()
    y[:, 2] = 0
    b = np.clip(cohort.y_score + 0.05 * rng.normal(size=y.shape), 0, 1)
    return compare(y, cohort.y_score, b, cohort.findings, cohort.patients, rounds=100)


@pytest.fixture
def file(result, tmp_path):
    path = tmp_path / "verdict.json"
    path.write_text(sealed(to_dict(result)), encoding="utf-8")
    return path


def test_is_read_as_it_was_written(result, file):
    found = read_verdict(file)
    assert read_verdict(file.parent) == found
    assert found.pop("digest")
    assert found == json.loads(json.dumps(to_dict(result)))


def test_what_is_undefined_is_null_with_a_reason(file, cohort):
    row = json.loads(file.read_text())["findings"][cohort.findings[2]]
    assert row["auroc"]["a"] is None
    assert row["auroc"]["ci95"] is None
    assert row["operating_point"] is None
    assert row["reason"] == "one class only"
    assert not row["in_endpoint"]


def test_an_edited_verdict_is_refused(file):
    file.write_text(file.read_text().replace('"margin": 0.02', '"margin": 0.2'))
    with pytest.raises(VerdictError, match="was changed"):
        read_verdict(file)


@pytest.mark.parametrize("word", ["superior", "inferior", "inconclusive", "non_inferior"])
def test_a_verdict_that_does_not_follow_from_its_figures_is_refused(result, file, word):
    content = to_dict(result)
    if word == content["verdict"]:
        return
    file.write_text(sealed(content | {"verdict": word}))
    with pytest.raises(VerdictError, match="its figures say"):
        read_verdict(file)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "no JSON"),
        ("[]", "no verdict"),
        ('{"schema": 9}', "no verdict"),
        ('{"schema": 1}', "was changed"),
    ],
)
def test_another_file_is_refused(file, text, problem):
    file.write_text(text)
    with pytest.raises(VerdictError, match=problem):
        read_verdict(file)


def test_a_sealed_file_without_figures_is_refused(file):
    file.write_text(sealed({"schema": 1, "verdict": "superior"}))
    with pytest.raises(VerdictError, match="lacks figures"):
        read_verdict(file)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(VerdictError, match="cannot be read"):
        read_verdict(tmp_path)


def test_words_tell_the_figures(result):
    words = verdict_words(result)
    assert f"{result.macro.difference:+.4f}" in words
    assert "margin 0.02" in words


def test_tidy_table_holds_what_the_json_holds(result):
    frame = to_frame(result)
    assert list(frame.columns) == ["finding", "metric", "value", "low", "high", "p_value", "p_holm"]
    assert not frame.duplicated(["finding", "metric"]).any()
    content = to_dict(result)
    rows = frame.set_index(["finding", "metric"])
    name, other = result.findings[0].finding, result.findings[2].finding
    auroc = content["findings"][name]["auroc"]
    assert rows.loc[(name, "auroc_difference"), ["value", "low", "high"]].tolist() == pytest.approx(
        [auroc["difference"], *auroc["ci95"]]
    )
    assert rows.loc[(name, "auroc_difference_delong"), "p_holm"] == pytest.approx(auroc["p_holm"])
    assert pd.isna(rows.loc[(other, "auroc_difference"), "value"])
