from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.decoder_pool import FilmFile
from cxrbatch.pipeline.input_spec import InputSpec, Scaling
from cxrbatch.training.record import data_record, settings_record
from cxrbatch.training.records import Account, Cohort
from cxrbatch.training.request import TrainRequest
from cxrbatch.training.settings import TrainSettings, make_plan

SPEC = InputSpec(height=64, width=64, channels=3, scaling=Scaling.UNIT)


@pytest.fixture
def cohort() -> Cohort:
    films = tuple(FilmFile(i, f"/films/{i}.png", FileKind.PNG, 8, 8) for i in range(3))
    blank = ("",) * 3
    labels = np.array([[1.0], [0.0], [np.nan]], np.float32)
    sides = np.array([0, 1, 2], np.int8)
    patients = ("a", "b", "c")
    table = Path("labels.csv")
    return Cohort(
        films, ("Mass",), labels, None, patients, patients, blank, blank, blank, sides, table, Account(3, 3)
    )


def recorded(request: TrainRequest, **labels: str) -> dict:
    plan = make_plan(request.mode, request.settings)
    return settings_record(request, plan, SPEC, None, labels.get("labels", "aa"), None)


def test_who_is_where_with_which_labels_is_in_the_digest(cohort):
    before = data_record(cohort)
    assert before["films_by_side"] == {"train": 1, "validation": 1, "test": 1}
    assert data_record(replace(cohort)) == before
    other_labels = cohort.labels.copy()
    other_labels[1] = 1.0
    for changed in (
        replace(cohort, labels=other_labels),
        replace(cohort, sides=np.array([1, 0, 2], np.int8)),
        replace(cohort, patients=("a", "b", "d")),
        replace(cohort, films=(*cohort.films[:2], replace(cohort.films[2], path="/films/9.png"))),
    ):
        assert data_record(changed)["films_and_labels_sha256"] != before["films_and_labels_sha256"]


def test_every_setting_that_decides_the_weights_is_recorded():
    request = TrainRequest(Path("films"), Path("labels.csv"), Path("out"), "full")
    before = recorded(request)
    assert before == json.loads(json.dumps(before))
    others = {
        "weighted_loss": False,
        "start_share": 0.5,
        "thresholds": "sensitivity",
        "mixed_precision": "off",
        "augmentation": request.settings.augmentation.model_copy(update={"flip": True}),
    }
    for name in TrainSettings.model_fields:
        if name in ("size", "soft_weight"):  # in the input; only with soft targets
            continue
        value = getattr(request.settings, name)
        other = others.get(name, value / 2 if isinstance(value, float) else 7)
        settings = request.settings.model_copy(update={name: other})
        assert recorded(replace(request, settings=settings)) != before, name
    assert recorded(request, labels="bb") != before
    assert recorded(replace(request, findings=("Mass",))) != before


def test_what_does_not_decide_them_is_not():
    request = TrainRequest(Path("films"), Path("labels.csv"), Path("out"), "full")
    for same in (
        replace(request, workers=3),
        replace(request, cache=Path("c")),
        replace(request, fresh=True),
    ):
        assert recorded(same) == recorded(request)
