from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.bundles.card import TrainingData
from cxrbatch.evaluation.leaks import patient_overlap
from cxrbatch.evaluation.metrics import evaluate
from cxrbatch.training import card
from cxrbatch.training.card import Origin, Parts
from cxrbatch.training.network import StartedNetwork
from cxrbatch.training.records import Account, Cohort
from cxrbatch.training.settings import TrainSettings, make_plan

IDS = ("p-01", "p-02", "", "p-04", "p-05")
PARTS = Parts(np.array([0, 1, 2]), np.array([3]), np.array([4]))


@pytest.fixture
def cohort() -> Cohort:
    n = len(IDS)
    blank = ("",) * n
    return Cohort(
        films=(),
        findings=("Mass",),
        labels=np.zeros((n, 1), np.float32),
        soft=None,
        patients=("p1", "p2", "film:2", "p4", "p5"),
        patient_ids=IDS,
        image_uids=blank,
        study_uids=blank,
        views=blank,
        sides=np.array([0, 0, 0, 1, 2], np.int8),
        labels_path=Path("labels.csv"),
        account=Account(n, n),
    )


@pytest.fixture
def start() -> Bundle:
    """cxr-lite, as if it had been trained on the patients p-04 and q."""
    bundle = open_bundle("cxr-lite")
    hashes = tuple(hashlib.sha256(f"salt{name}".encode()).hexdigest() for name in ("p-04", "q"))
    known = TrainingData(description="Before.", patient_id_salt="salt", patient_id_hashes=hashes)
    return replace(bundle, card=bundle.card.model_copy(update={"training_data": known}))


def origin(init: Bundle | None) -> Origin:
    plan = make_plan("full", TrainSettings())
    return Origin(init, plan, 0, "2026-11-23T10:00:00+00:00", "ab" * 32, "cd" * 32, False)


def network(*new: str) -> StartedNetwork:
    return StartedNetwork(None, None, "efficientnet-lite0", (), (), new)  # type: ignore[arg-type]


def found(known: TrainingData, *patients: str) -> tuple[str, ...]:
    return patient_overlap(patients, known.patient_id_salt, known.patient_id_hashes).patients


def test_patients_of_training_and_validation_are_found_and_those_of_test_are_not(cohort):
    known = card.training_data(origin(None), cohort, PARTS, network())
    assert set(found(known, *IDS, "P 4")) == {"P 4", "p-01", "p-02", "p-04"}
    assert found(known, "p-05") == ()
    assert known.patients == 3
    assert known.patient_id_salt
    assert "random weights" in known.description


def test_patients_of_the_starts_training_stay_known(cohort, start):
    known = card.training_data(origin(start), cohort, PARTS, network("Mass"))
    assert set(found(known, "q", "p-01", "p-05")) == {"q", "p-01"}
    assert known.patients == 4  # p-04 is one of the start's two
    assert "Before." in known.description
    assert "Not among its findings were Mass" in known.description


def test_no_id_stands_on_the_card(cohort, start):
    known = card.training_data(origin(start), cohort, PARTS, network())
    assert not [name for name in IDS if name and name in known.model_dump_json()]


def test_a_start_that_saw_the_test_patients_is_told_beside_the_figures(start):
    assert card.seen_by_start(start, ["p-04", "Q", "p-05"]) == 2
    assert card.seen_by_start(None, ["P4"]) == 0
    random = np.random.default_rng(0)
    metrics = evaluate(random.random((40, 1)) < 0.5, random.random((40, 1)), ("Mass",), rounds=20)
    assert "too good" in card.validation_figures(metrics, 2)["method"]
    assert "too good" not in card.validation_figures(metrics, 0)["method"]


def test_a_draft_says_that_nothing_was_measured_yet(start):
    fields = card.provisional_fields(origin(start), network(), {}, ("Mass",))
    assert (fields["name"], fields["version"]) == ("cxr-lite-local", "2026.11.23-cdcdcdcd")
    assert start.card.licence in fields["licence"]
    again = replace(start, card=start.card.model_copy(update={"name": "cxr-lite-local"}))
    assert card.provisional_fields(origin(again), network(), {}, ("Mass",))["name"] == "cxr-lite-local"


def test_map_scale_is_the_99th_percentile_and_positive():
    highest = np.column_stack([np.arange(101.0), np.full(101, -3.0)]).astype(np.float32)
    assert card.map_scale(highest, ("a", "b")) == {"a": 99.0, "b": 0.001}
