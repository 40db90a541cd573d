"""Batches of a fixed shape in which every film has its own slot, whatever else is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.decoder_pool import FailedFilm, Film, FilmFile
from cxrbatch.pipeline.decoding import DecodedFilm, UndecodedFilm
from cxrbatch.pipeline.feed import Batch, batches
from cxrbatch.pipeline.fit import fit_film
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.pipeline.preprocess import preprocess_one

SPEC = InputSpec(height=16, width=16, channels=1, scaling="unit")


def _file(ordinal: int) -> FilmFile:
    return FilmFile(ordinal, f"/films/{ordinal}", FileKind.PNG, 20, 20)


def _pixels(ordinal: int) -> np.ndarray:
    return np.full((20, 20), 1000 * (ordinal % 60 + 1), np.uint16)


def _decode(files: Iterable[FilmFile]) -> Iterator[Film | FailedFilm]:
    for file in files:
        if file.ordinal == 5:
            yield FailedFilm(file, UndecodedFilm(Reason.DECODE_FAILED, "broken"))
        else:
            yield Film(file, fit_film(_pixels(file.ordinal), SPEC), DecodedFilm(20, 20, "", "", b"", ()))


def _by_ordinal(result: Iterable[Batch]) -> dict[int, tuple[int, np.ndarray]]:
    found = {}
    for batch in result:
        for position, slot in enumerate(batch.slots):
            if isinstance(slot, tuple):
                found[slot[0].ordinal] = (position, batch.inputs[position])
    return found


def test_every_film_is_in_one_slot_with_its_own_pixels() -> None:
    result = list(batches([_file(i) for i in range(10)], _decode, SPEC, 4))
    assert [b.inputs.shape for b in result] == [(4, 16, 16, 1)] * 3
    found = _by_ordinal(result)
    assert sorted(found) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    for ordinal, (_, pixels) in found.items():
        np.testing.assert_array_equal(pixels, preprocess_one(_pixels(ordinal), SPEC))


def test_failed_film_is_handed_on_and_its_slot_is_black() -> None:
    (_, batch, _) = batches([_file(i) for i in range(10)], _decode, SPEC, 4)
    assert isinstance(batch.slots[1], FailedFilm)
    assert not batch.inputs[1].any()


def test_resumed_run_puts_films_into_the_same_slots() -> None:
    whole = _by_ordinal(batches([_file(i) for i in range(10)], _decode, SPEC, 4))
    rest = _by_ordinal(batches([_file(i) for i in (2, 3, 7, 9)], _decode, SPEC, 4))
    for ordinal, (position, pixels) in rest.items():
        assert position == whole[ordinal][0]
        np.testing.assert_array_equal(pixels, whole[ordinal][1])


def test_batches_with_nothing_to_do_are_left_out() -> None:
    assert len(list(batches([_file(1), _file(90)], _decode, SPEC, 4))) == 2


def test_no_films_no_batches() -> None:
    assert list(batches([], _decode, SPEC, 4)) == []
