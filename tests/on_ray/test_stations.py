"""Which stage is waited for, as a scoring station tells it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from cxrbatch.scoring.on_ray.stations import _Clock, _Watched


class Slow:
    """A predictor that takes its time, two passes at once."""

    at_once = 2

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def predict(self, batches: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        for batch in batches:
            time.sleep(self._seconds)
            yield batch, None


@pytest.mark.parametrize(
    ("films", "model", "slowest"),
    [(0.02, 0.0, "decoding"), (0.0, 0.02, "scoring"), (0.01, 0.001, "decoding")],
)
def test_the_clock_tells_films_from_the_model(films: float, model: float, slowest: str) -> None:
    clock = _Clock()

    def decoded() -> Iterator[int]:
        for number in range(10):
            time.sleep(films)
            yield number

    begun = time.monotonic()
    with clock.measured("work"):
        found = list(_Watched(Slow(model), clock).predict(decoded()))  # type: ignore[type-var, arg-type]
    passed = time.monotonic() - begun

    seconds = clock.take()
    assert [number for number, _ in found] == list(range(10))
    assert max(seconds, key=lambda stage: seconds[stage]) == slowest
    assert seconds[slowest] >= 10 * max(films, model)
    assert sum(seconds.values()) == pytest.approx(passed, abs=0.01)
    assert sum(clock.take().values()) == 0.0


def test_a_film_that_cannot_be_read_leaves_the_clock_right() -> None:
    clock = _Clock()

    def torn() -> Iterator[int]:
        yield 0
        raise OSError("gone")

    with clock.measured("work"), pytest.raises(OSError, match="gone"):
        list(_Watched(Slow(0.0), clock).predict(torn()))  # type: ignore[type-var, arg-type]
    clock.take()
    with clock.measured("work"):
        time.sleep(0.02)
    seconds = clock.take()
    assert seconds["decoding"] >= 0.02
    assert seconds["scoring"] == 0.0
