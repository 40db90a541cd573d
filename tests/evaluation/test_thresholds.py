from __future__ import annotations

import numpy as np
import pytest

from cxrbatch.evaluation.metrics import evaluate
from cxrbatch.evaluation.thresholds import Choice, Targets, choose, judge, split_patients


def test_a_patients_images_stay_together_and_the_share_is_met():
    patients = np.random.default_rng(0).integers(0, 100, 1000)
    tuning = split_patients(patients, 0.3, seed=4)
    assert set(patients[tuning]).isdisjoint(patients[~tuning])
    assert len(set(patients[tuning])) == 30


def test_split_depends_on_the_seed_and_not_on_the_order_of_rows():
    patients = np.arange(200) // 2
    order = np.random.default_rng(1).permutation(200)
    tuning = split_patients(patients, 0.5, seed=0)
    np.testing.assert_array_equal(split_patients(patients[order], 0.5, seed=0), tuning[order])
    assert not np.array_equal(split_patients(patients, 0.5, seed=1), tuning)


@pytest.mark.parametrize(("fraction", "patients"), [(0.0, 10), (1.0, 10), (-1, 10), (0.01, 10), (0.5, 1)])
def test_a_part_without_patients_is_refused(fraction, patients):
    with pytest.raises(ValueError, match=r"fraction|without patients"):
        split_patients(np.arange(patients), fraction, seed=0)


def test_thresholds_are_chosen_on_one_part_and_judged_on_the_other(cohort):
    tuning = split_patients(cohort.patients, 0.4, seed=0)
    targets = Targets(sensitivity=0.8, specificity=0.95)
    found = evaluate(*cohort[:2], cohort.findings, cohort.patients, rounds=10, tuning=tuning, targets=targets)
    y, s = cohort.y_true[:, 1], cohort.y_score[:, 1]
    points = found.findings[1].to_dict()["other_operating_points"]
    assert set(points) == {"youden", "sensitivity >= 0.8", "specificity >= 0.95"}
    cut = points["sensitivity >= 0.8"]["threshold"]
    # By hand: the highest cut that calls at least 80% of the tuning part's positives.
    positives = np.sort(s[tuning & (y == 1)])
    assert cut == positives[len(positives) - int(np.ceil(0.8 * len(positives) - 1e-12))]
    held_out = ~tuning & (y == 1)
    assert points["sensitivity >= 0.8"]["sensitivity"] == np.mean(s[held_out] >= cut)
    assert points["sensitivity >= 0.8"]["n_pos"] == held_out.sum()
    for point in (*points.values(), found.findings[1].to_dict()["operating_point"]):
        assert not point["chosen_on_the_data_judged_on"]
        assert "other patients" in point["threshold_chosen"]
    # AUROC needs no threshold, so it is of everyone.
    assert found.findings[1].n_pos == (y == 1).sum()


def test_chosen_here_is_said_to_be_chosen_here(cohort):
    found = evaluate(*cohort[:2], cohort.findings, cohort.patients, {"Mass": 0.4}, rounds=10)
    frame = found.operating_points_frame().set_index(["finding", "rule"])
    assert frame.loc[("Hernia", "main"), "chosen_on_the_data_judged_on"]
    assert not frame.loc[("Mass", "main"), "chosen_on_the_data_judged_on"]
    assert frame.loc[("Mass", "youden"), "chosen_on_the_data_judged_on"]
    tidy = found.to_frame().set_index(["finding", "metric"])
    assert "chosen on the data it is judged on" in tidy.loc[("Hernia", "sensitivity"), "note"]
    assert tidy.loc[("Mass", "sensitivity"), "note"] == "threshold given"


def test_no_threshold_is_made_up_where_the_tuning_part_lacks_a_class():
    y = np.array([1.0, 1, 0, 0, 0, 0])
    s = np.linspace(0, 1, 6)
    choice = Choice(Targets(), tuning=y == 0)
    assert choose(y, s, choice) == {}
    found = evaluate(y[:, None], s[:, None], ["Mass"], rounds=5, tuning=y == 0)
    assert found.findings[0].main_point is None
    assert any("no operating point" in warning for warning in found.findings[0].warnings)
    assert judge(y, s, 0.5, None, Choice(Targets(), tuning=np.ones(6, dtype=bool))) is None
