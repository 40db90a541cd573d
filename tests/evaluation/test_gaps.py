"""Gaps against brute force, and how often their intervals cover or leave zero."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from cxrbatch.evaluation.bootstrap import cluster_weights
from cxrbatch.evaluation.gaps import GroupFigures, Part, bootstrap_figures, gap
from cxrbatch.evaluation.subgroups import subgroups, subgroups_frame


def test_a_round_is_that_of_the_resampled_table(cohort):
    names, patient = np.unique(cohort.patients, return_inverse=True)
    inside = np.arange(400) % 2 == 0
    y, s, p = cohort.y_true[inside, 2], cohort.y_score[inside, 2], patient[inside]
    part = Part(y, s, p, 0.5, np.ones(len(y), dtype=bool))
    found = bootstrap_figures([part], len(names), 20, seed=3)[:, 0]
    weights = cluster_weights(np.random.default_rng(3), len(names), 20).astype(int)
    for r in range(20):
        rows = np.repeat(np.arange(len(y)), weights[r][p])
        rows = rows[~np.isnan(y[rows])]
        assert found[r, 0] == pytest.approx(roc_auc_score(y[rows], s[rows]), abs=1e-12)
        assert found[r, 1] == pytest.approx(np.mean(s[rows][y[rows] == 1] >= 0.5))
        assert found[r, 2] == pytest.approx(np.mean(s[rows][y[rows] == 0] >= 0.5))


def test_gaps_are_the_group_minus_the_rest(cohort):
    sex = np.where(np.arange(400) % 3, "F", "M")
    sex[:10] = ""
    found = subgroups(
        *cohort[:2],
        cohort.findings,
        cohort.patients,
        pd.DataFrame({"sex": sex}),
        thresholds=[0.5, 0.5, 0.5],
        rounds=50,
    )["sex"]
    y, s = cohort.y_true[:, 1], cohort.y_score[:, 1]
    label = found["F"]["labels"]["Mass"]
    of = {g: (sex == g) & ~np.isnan(y) for g in "FM"}
    areas = {g: roc_auc_score(y[of[g]], s[of[g]]) for g in "FM"}
    assert label["gaps"]["auroc"]["difference"] == pytest.approx(areas["F"] - areas["M"], abs=1e-12)
    rates = {g: np.mean(s[of[g] & (y == 1)] >= 0.5) for g in "FM"}
    assert label["tpr"] == pytest.approx(rates["F"])
    assert label["gaps"]["tpr"]["difference"] == pytest.approx(rates["F"] - rates["M"])
    mirror = found["M"]["labels"]["Mass"]["gaps"]["auroc"]
    assert mirror["ci95"] == pytest.approx([-v for v in label["gaps"]["auroc"]["ci95"][::-1]])
    frame = subgroups_frame({"sex": found}).set_index(["group", "finding", "measure"])
    assert frame.loc[("F", "Mass", "auroc"), "gap"] == label["gaps"]["auroc"]["difference"]
    assert frame.loc[("F", "macro", "auroc"), "value"] == found["F"]["macro_auroc"]


def test_a_rate_of_one_has_a_gap_and_no_interval():
    ours, theirs = GroupFigures(0.8, 1.0, 0.2, (20, 20)), GroupFigures(0.7, 0.6, 0.3, (20, 20))
    found = gap(ours, theirs, 1, np.full(50, 0.4))
    assert found is not None
    assert (found.difference, found.ci95, found.flagged) == (pytest.approx(0.4), None, False)
    assert "no interval" in found.reason


def test_rates_of_few_judged_images_are_not_shown():
    rng = np.random.default_rng(0)
    y = np.repeat([1.0, 0.0], [20, 200])
    judged = np.ones(220, dtype=bool)
    judged[9:20] = False  # nine positives are left to judge the rate
    found = Part(y, rng.random(220), np.arange(220), 0.5, judged).figures()
    assert found.auroc is not None
    assert found.tpr is None
    assert found.fpr is not None
    assert (found.patients, found.judged) == ((20, 200), (9, 200))


def simulate(rng: np.random.Generator, lift_f: float, shift_f: float) -> dict:
    """240 patients of two images; the signal and the level of the scores may differ for F."""
    patient = np.repeat(np.arange(240), 2)
    sex = np.where(patient % 2, "F", "M")
    y = np.repeat(rng.random(240) < 0.4, 2).astype(float)
    own = np.repeat(rng.normal(size=240), 2)
    z = (
        own
        + 0.7 * rng.normal(size=480)
        + np.where(sex == "F", lift_f, 1.0) * y
        + np.where(sex == "F", shift_f, 0)
    )
    table = pd.DataFrame({"sex": sex})
    s = 1 / (1 + np.exp(-z))
    found = subgroups(y[:, None], s[:, None], ["Mass"], patient, table, thresholds=[0.6], rounds=300)
    return found["sex"]["F"]["labels"]["Mass"]


def test_intervals_leave_zero_in_one_of_twenty_where_there_is_no_gap():
    rng = np.random.default_rng(11)
    flags = [simulate(rng, 1.0, 0.0)["flags"] for _ in range(150)]
    for measure in ("auroc", "tpr", "fpr"):
        share = np.mean([measure in names for names in flags])
        assert share <= 0.10, (measure, share)  # 5% expected; 150 draws: 2.8 standard errors


def test_a_large_gap_is_flagged():
    rng = np.random.default_rng(12)
    found = [simulate(rng, 2.5, 0.0) for _ in range(10)]
    assert sum("auroc" in label["flags"] for label in found) >= 8
    shifted = [simulate(rng, 1.0, 1.5) for _ in range(10)]
    assert sum("fpr" in label["flags"] for label in shifted) >= 8
