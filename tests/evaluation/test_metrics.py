from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrbatch.evaluation.metrics import evaluate


@pytest.fixture
def metrics(cohort):
    return evaluate(*cohort[:2], cohort.findings, cohort.patients, {"Mass": 0.4}, rounds=200)


def test_format_of_contract_3_5(metrics, cohort):
    found = json.loads(metrics.to_json())
    assert {"n_images", "n_patients", "macro_auroc", "macro_labels", "labels", "subgroups"} <= set(found)
    assert (found["n_images"], found["n_patients"]) == (400, len(set(cohort.patients)))
    assert list(found["labels"]) == list(cohort.findings)
    for j, label in enumerate(found["labels"].values()):
        known = ~np.isnan(cohort.y_true[:, j])
        y, s = cohort.y_true[known, j], cohort.y_score[known, j]
        assert label["auroc"] == pytest.approx(roc_auc_score(y, s), abs=1e-12)
        assert label["auprc"] == pytest.approx(average_precision_score(y, s), abs=1e-12)
        assert label["auroc_ci95"][0] < label["auroc"] < label["auroc_ci95"][1]
        assert label["auroc_ci95_delong"][0] < label["auroc"] < label["auroc_ci95_delong"][1]
        assert (label["n_pos"], label["n_neg"]) == (y.sum(), (1 - y).sum())
        assert label["prevalence"] == pytest.approx(y.mean())
        assert {"threshold", "sensitivity", "specificity"} <= set(label["operating_point"])
        assert 0 <= label["brier"] <= 1
        assert 0 <= label["ece"] <= 1
        assert "reason" not in label
    assert found["macro_auroc"] == pytest.approx(np.mean([x["auroc"] for x in found["labels"].values()]))
    assert found["macro_labels"] == 3


def test_given_threshold_is_used_and_others_are_said_to_be_chosen_here(metrics):
    labels = metrics.to_dict()["labels"]
    assert labels["Mass"]["operating_point"]["threshold"] == 0.4
    assert labels["Mass"]["operating_point"]["threshold_chosen"] == "given"
    assert "data it is judged on" in labels["Hernia"]["operating_point"]["threshold_chosen"]


def test_one_class_is_null_with_a_reason_and_not_in_the_macro(cohort):
    y = cohort.y_true.copy()
    y[y[:, 2] == 1, 2] = 0
    metrics = evaluate(y, cohort.y_score, cohort.findings, cohort.patients, {"Hernia": 0.5}, rounds=50)
    found = json.loads(metrics.to_json())
    hernia = found["labels"]["Hernia"]
    assert hernia["auroc"] is None
    assert hernia["auroc_ci95"] is None
    assert hernia["auroc_ci95_delong"] is None
    assert hernia["reason"].startswith("one class only: 0 positive")
    assert hernia["operating_point"]["sensitivity"] is None
    assert hernia["operating_point"]["specificity"] is not None
    assert found["macro_labels"] == 2
    assert found["macro_auroc"] == pytest.approx(
        np.mean([found["labels"][name]["auroc"] for name in ("Effusion", "Mass")])
    )
    assert any("Hernia" in warning for warning in found["warnings"])


def test_nothing_known_of_any_finding_makes_up_no_number():
    found = json.loads(evaluate(np.full((5, 1), np.nan), np.full((5, 1), 0.5), ["Mass"], rounds=5).to_json())
    assert found["macro_auroc"] is None
    assert found["macro_auroc_ci95"] is None
    assert found["macro_labels"] == 0
    mass = found["labels"]["Mass"]
    assert (mass["auprc"], mass["brier"], mass["operating_point"]) == (None, None, None)
    assert "no image has a label" in mass["reason"]


@pytest.mark.parametrize(("positives", "unreliable"), [(9, True), (10, False)])
def test_fewer_than_ten_positives_is_unreliable(positives, unreliable):
    rng = np.random.default_rng(0)
    y = np.repeat([1.0, 0.0], [positives, 200])[:, None]
    found = evaluate(y, rng.random(y.shape), ["Mass"], rounds=20).to_dict()["labels"]["Mass"]
    assert found["unreliable"] is unreliable
    assert any("in the smaller class" in warning for warning in found["warnings"])


def test_identical_scores_are_an_alarm():
    y = np.tile([0.0, 1.0], 40)[:, None]
    found = evaluate(y, np.full((80, 1), 0.3), ["Mass"], rounds=20).to_dict()
    assert found["labels"]["Mass"]["auroc"] == 0.5
    assert any("same score" in warning and "Mass" in warning for warning in found["warnings"])


def test_separated_classes_have_no_interval():
    y = np.repeat([0.0, 1.0], 40)[:, None]
    found = evaluate(y, y * 0.5 + 0.2, ["Mass"], rounds=20).to_dict()["labels"]["Mass"]
    assert (found["auroc"], found["auroc_ci95"], found["auroc_ci95_delong"]) == (1.0, None, None)
    assert any("separate" in warning for warning in found["warnings"])


def test_same_seed_same_json(cohort):
    arguments = (cohort.y_true, cohort.y_score, cohort.findings, cohort.patients)
    assert evaluate(*arguments, rounds=50).to_json() == evaluate(*arguments, rounds=50).to_json()
    assert evaluate(*arguments, rounds=50).to_json() != evaluate(*arguments, rounds=50, seed=1).to_json()


def test_tidy_table_says_what_the_json_says(metrics):
    frame = metrics.to_frame().set_index(["finding", "metric"])
    label = metrics.to_dict()["labels"]["Mass"]
    assert frame.loc[("Mass", "auroc"), ["value", "low", "high"]].tolist() == [
        label["auroc"],
        *label["auroc_ci95"],
    ]
    assert frame.loc[("Mass", "sensitivity"), "value"] == label["operating_point"]["sensitivity"]
    assert frame.loc[("macro", "auroc"), "value"] == metrics.macro_auroc


@pytest.mark.parametrize(
    "change",
    [
        {"findings": ["a", "b"]},
        {"findings": ["a", "a", "b"]},
        {"patient_ids": [1]},
        {"y_score": np.full((400, 3), 2.0)},
    ],
)
def test_arguments_that_do_not_fit_raise(cohort, change):
    arguments = {"y_true": cohort.y_true, "y_score": cohort.y_score, "findings": cohort.findings}
    with pytest.raises(ValueError, match="`"):
        evaluate(**(arguments | change))


def test_subgroups_are_in_the_json(cohort):
    sex = pd.DataFrame({"Patient Sex": np.where(np.arange(400) % 2, "F", "M")})
    found = evaluate(*cohort[:2], cohort.findings, rounds=10, attributes=sex).to_dict()["subgroups"]
    assert set(found["sex"]) == {"F", "M"}


@pytest.mark.long
def test_a_cohort_of_22000_takes_less_than_a_gigabyte():
    """How long it takes is measured by benchmarks/validate.py."""
    import resource

    rng = np.random.default_rng(0)
    prevalence = [0.1, 0.025, 0.12, 0.18, 0.05, 0.056, 0.012, 0.047, 0.04, 0.02, 0.022, 0.015, 0.03, 0.002]
    y = (rng.random((22000, 14)) < prevalence).astype(float)
    score = 1 / (1 + np.exp(-(rng.normal(size=y.shape) + y)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    evaluate(y, score, [f"f{j}" for j in range(14)], rng.integers(0, 11000, 22000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20
