"""What is said of a film that looks so: flags by default, rejections of clear cases where asked for."""

from __future__ import annotations

import pytest

from cxrbatch.bundles.film_check import CLASSES, UPRIGHT, Limits, Look
from cxrbatch.film_check.judgement import ATYPICAL, IN_WORDS, Judge, Judgement, judge_begun_with
from cxrbatch.radiographs.read import BLANK_NOTE

LIMITS = Limits(flag=-2.0, clear=4.0)


def look(wrong: float, atypicality: float = 0.5, kind: str = "inverted") -> Look:
    return Look(kind, wrong, atypicality)


def test_an_ordinary_film_is_passed_in_silence() -> None:
    assert Judge(LIMITS, reject=True)(look(-2.1, 1.0), ("Some other note.",)) == Judgement()


@pytest.mark.parametrize("reject", [False, True])
def test_from_the_limit_on_it_is_said_and_not_rejected(reject: bool) -> None:
    judged = Judge(LIMITS, reject=reject)(look(-2.0), ())
    assert judged.notes == ("This looks inverted: black and white may be exchanged.",)
    assert not judged.rejection


def test_clear_cases_are_rejected_only_where_asked_for() -> None:
    assert not Judge(LIMITS)(look(4.0), ()).rejection
    said = Judge(LIMITS, reject=True)(look(4.0, kind="upside_down"), ()).rejection
    assert said.startswith("This looks upside down.")
    assert "--reject-unusual" in said


def test_an_atypical_film_is_never_rejected_for_that() -> None:
    """It may be the sickest one."""
    assert Judge(LIMITS, reject=True)(look(-5.0, 50.0), ()) == Judgement((ATYPICAL,))


def test_one_reason_is_enough() -> None:
    assert Judge(LIMITS)(look(0.0, 9.0), ()).notes == (IN_WORDS["inverted"],)


@pytest.mark.parametrize("seen", [None, look(-9.0), look(9.0)])
def test_a_blank_picture_is_a_clear_case_whatever_it_looks_like(seen: Look | None) -> None:
    assert Judge(LIMITS)(seen, (BLANK_NOTE,)) == Judgement()  # decoding has said so already
    assert Judge(LIMITS, reject=True)(seen, (BLANK_NOTE,)).rejection.startswith(BLANK_NOTE)


def test_there_are_words_for_every_kind() -> None:
    assert set(IN_WORDS) == set(CLASSES) - {UPRIGHT}


def test_a_resumed_run_goes_on_with_the_limits_it_recorded() -> None:
    begun = Judge(Limits(-1.25, 3.5, 1.5), "site, 2026-11-23, 400 films", reject=True)
    assert judge_begun_with(begun.settings(), reject=True) == begun
    assert judge_begun_with(begun.settings(), reject=False).settings() != begun.settings()
