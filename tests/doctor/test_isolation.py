"""A check may crash, hang or raise: each is told as a problem. Stand-ins are of the standard library."""

from __future__ import annotations

import os
import signal
import time

import pytest

from cxrbatch.doctor.isolation import guarded, isolated
from cxrbatch.doctor.outcome import Level


@pytest.mark.parametrize("run", [guarded, isolated])
def test_an_exception_is_a_problem_with_its_message(run) -> None:
    outcome = run(int, "not a number")
    assert outcome.level is Level.PROBLEM
    assert "ValueError" in outcome.message
    assert "not a number" in outcome.message
    assert outcome.advice


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGILL, signal.SIGKILL])
def test_a_crash_is_a_problem_with_the_signal(number: signal.Signals) -> None:
    outcome = isolated(signal.raise_signal, number)
    assert outcome.level is Level.PROBLEM
    assert number.name in outcome.message
    assert ("AVX" in outcome.advice) == (number is signal.SIGILL)


def test_leaving_without_an_answer_is_a_problem() -> None:
    assert "exit code 7" in isolated(os._exit, 7).message


def test_a_hang_is_ended() -> None:
    start = time.monotonic()
    outcome = isolated(time.sleep, 60, seconds=1.0)
    assert "did not finish within 1 s" in outcome.message
    assert time.monotonic() - start < 20


def test_what_a_check_gives_comes_back() -> None:
    assert isolated(str.upper, "well") == "WELL"
