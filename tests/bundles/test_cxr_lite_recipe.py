"""What makes cxr-lite's cross-validation honest: nobody on two sides, nothing seen that is judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import percentileofscore

from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.config import load_config
from cxrbatch.evaluation.leaks import patient_overlap
from tools.cross_validate_cxr_lite import baseline, percentiles
from tools.cxr_lite_films import Films, deal, read_films, small_films
from tools.cxr_lite_start import head_for
from tools.cxr_lite_training import RECIPE
from tools.linear_head import Settings

COUNT, CHANNELS = 60, 8
FINDINGS = ("Mass", "Nodule")


@pytest.fixture
def films() -> Films:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {"Image Index": [f"{i}.png" for i in range(COUNT)], "Patient ID": [str(i) for i in range(COUNT)]}
    )
    labels = (random.random((COUNT, 2)) < 0.4).astype(np.float64)
    return Films(table, FINDINGS, labels, random.uniform(0.05, 0.95, (COUNT, 2)))


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(COUNT, 3, CHANNELS))


def test_every_film_is_judged_once_and_folds_are_alike(films: Films) -> None:
    fold = deal(films, 5, 3)
    assert sorted(np.bincount(fold)) == [12] * 5
    for positives in films.labels.T:
        assert np.ptp(np.bincount(fold, weights=positives)) <= 2
    assert (deal(films, 5, 4) != fold).any()


@pytest.mark.parametrize("which", ["start", "baseline"])
def test_what_is_judged_has_no_part_in_the_head(films: Films, features: np.ndarray, which: str) -> None:
    """Other labels, soft targets and pixels of the films held out change no number of their model."""
    train, test = np.arange(0, 45), np.arange(45, COUNT)
    other = np.where(np.isin(np.arange(COUNT), test)[:, None], 1.0, 0.0)
    changed = replace(
        films, labels=np.abs(films.labels - other), teacher=np.abs(films.teacher - 0.999 * other)
    )
    elsewhere = features.copy()
    elsewhere[test, 1:] += 5.0  # but for the view that is scored

    def scores(some: Films, seen: np.ndarray) -> np.ndarray:
        if which == "start":
            return head_for(some, seen, train)(seen[test, 0])
        return baseline(some, seen, train, test, (Settings(1.0, 0.5), Settings(3.0, 0.5)))

    np.testing.assert_array_equal(scores(films, features), scores(changed, elsewhere))
    assert np.ptp(scores(films, features)) > 0


def test_percentiles_are_of_the_fold_alone() -> None:
    table = pd.DataFrame(
        {"image": list("abcdef"), "Mass": [0.9, 0.1, 0.5, 0.2, 0.2, 0.7], "fold": [0] * 3 + [1] * 3}
    )
    found = percentiles(table, ("Mass",)).sort_values("image")
    expected = [
        percentileofscore(table.Mass[table.fold == fold], value, "mean") / 100
        for value, fold in zip(table.Mass, table.fold, strict=True)
    ]
    assert found.Mass.tolist() == pytest.approx(expected)


def test_small_films_are_of_other_patients(realdata: Path) -> None:
    films = read_films(realdata)
    small = small_films(realdata, films)
    shared = set(pd.to_numeric(films.table["Patient ID"])) & set(pd.to_numeric(small["Patient ID"]))
    assert not shared
    assert small["Patient ID"].is_unique
    assert len(small) > 60


def test_the_card_names_whom_it_learned_from_and_not_whom_not(realdata: Path) -> None:
    data = open_bundle("cxr-lite").card.training_data
    assert data is not None
    films = read_films(realdata)
    hashes = data.patient_id_salt, data.patient_id_hashes
    assert len(patient_overlap(films.table["Patient ID"], *hashes).same) == len(films.table)
    assert not patient_overlap(small_films(realdata, films)["Patient ID"], *hashes).patients


def test_the_recipe_is_one_that_the_command_takes_and_lets_no_film_choose() -> None:
    settings = load_config(RECIPE).train
    assert settings.keep == "last"
    assert settings.epochs is not None


def test_the_card_tells_what_a_sceptic_asks_first() -> None:
    folder = open_bundle("cxr-lite").folder
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    low, high = card["validation"]["macro_auroc_ci95"]
    assert low < card["validation"]["macro_auroc"] < high
    for words in ("sex", "age", "view", "one hospital", "DenseNet121"):
        assert words in card["limits"], words
    assert set(card["other_thresholds"]) == {"sensitivity >= 0.9", "youden"}
    assert "training films" in card["thresholds_method"]
