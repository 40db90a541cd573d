from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.evaluation.leaks import patient_overlap, training_hashes


def hashed(*ids: str, salt: str = "pepper") -> list[str]:
    return [hashlib.sha256((salt + name).encode()).hexdigest() for name in ids]


def test_a_training_patient_is_found_by_its_id():
    found = patient_overlap(["1", "2", "2", "3", ""], "pepper", hashed("2", "9"))
    assert found.checked
    assert (found.same, found.respelled) == (("2",), ())
    assert (found.cohort_patients, found.training_patients) == (3, 2)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("00000075", "75"),
        ("75", "00000075"),
        (" 75", "75"),
        ("75.0", "75"),
        ("p-0075", "P75"),
        ("P 75", "P75"),
        ("abc", "ABC"),
        ("0", "00"),
    ],
)
def test_another_spelling_is_found_and_told_apart_from_the_same(here, there):
    found = patient_overlap([here, "stranger"], "pepper", hashed(there))
    assert (found.same, found.respelled) == ((), (here,))


@pytest.mark.parametrize(("here", "there"), [("75", "750"), ("75", "175"), ("P75", "Q75"), ("75", "7 6")])
def test_other_patients_are_not_taken_for_the_same(here, there):
    found = patient_overlap([here], "pepper", hashed(there))
    assert found.checked
    assert found.patients == ()


def test_another_salt_is_another_hash():
    assert patient_overlap(["75"], "pepper", hashed("75", salt="other")).patients == ()


def test_what_cannot_be_checked_is_said_not_to_be():
    assert not patient_overlap(["1"], "", []).checked
    assert "card" in patient_overlap(["1"], "", []).why_not
    assert not patient_overlap(["", " "], "", hashed("1", salt="")).checked


@pytest.mark.parametrize(
    ("trained", "here"),
    [("P-075 ", "P75"), ("p 0075", "P-75"), ("75.0", "0075"), ("00-75", "75"), (" ×", "× ")],
)
def test_spellings_that_differ_on_both_sides_meet_in_the_plainest(trained, here):
    found = patient_overlap([here, "stranger"], "pepper", training_hashes([trained], "pepper"))
    assert found.patients == (here,)


def test_an_id_as_it_was_written_is_told_as_the_same():
    hashes = training_hashes(["P-075 ", "", " "], "pepper")
    found = patient_overlap(["P-075 "], "pepper", hashes, trained_on=1)
    assert (found.same, found.respelled, found.training_patients) == (("P-075 ",), (), 1)


@given(
    st.text(alphabet="0123456789abAB-_ /ß", min_size=1, max_size=14).filter(
        lambda text: any(c.isalnum() for c in text)
    ),
    st.sampled_from(
        [str.upper, str.lower, lambda t: f" {t} ", lambda t: t.replace("-", " "), lambda t: t + "/"]
    ),
)
def test_a_training_patient_is_found_however_it_is_respelled(patient, respell):
    found = patient_overlap([respell(patient)], "pepper", training_hashes([patient], "pepper"))
    assert len(found.patients) == 1
