"""What a film check learns from: films, their wrong selves, and what is no film, as the network sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.film_check import CLASSES, UPRIGHT
from cxrbatch.film_check.cell_reader import CellReader
from cxrbatch.film_check.drawn import drawn
from cxrbatch.film_check.pictures import SELVES, Picture, inverted_and_turned, restaged
from cxrbatch.film_check.reading import Source, read_others
from cxrbatch.progress import Progress
from cxrbatch.sample.lesions import FINDINGS
from cxrbatch.sample.phantom import frontal

OTHER = CLASSES[-1]
PHANTOMS = 60
PHANTOM_SIZE = (480, 420)
OTHERS_RESTAGED = 8
DRAWN_EACH = 40


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """Pictures as the network sees them: `cells` float32 (n, grid, grid, channels), `label` of `CLASSES`.

    `group` (n,) is the patient, or the kind of other picture; `variant` (n,) how it was made of its source:
    a name of `pictures.SELVES`, or blank where it was restaged and is to learn from only.
    """

    cells: NDArray[np.float32]
    label: NDArray[np.str_]
    group: NDArray[np.str_]
    variant: NDArray[np.str_]

    def part(self, rows: NDArray[np.bool_]) -> Lesson:
        return Lesson(self.cells[rows], self.label[rows], self.group[rows], self.variant[rows])

    def __add__(self, other: Lesson) -> Lesson:
        return Lesson(
            np.concatenate((self.cells, other.cells)),
            np.concatenate((self.label, other.label)),
            np.concatenate((self.group, other.group)),
            np.concatenate((self.variant, other.variant)),
        )


Row = tuple[NDArray[np.float32], str, str, str]


def films_lesson(films: Iterable[Source], read: CellReader, total: int, seed: int) -> Lesson:
    """Every film, its wrong selves, and restaged copies of both."""
    rows: list[Row] = []
    with Progress("Films", total, "film") as progress:
        for number, film in enumerate(films):
            random = np.random.default_rng([seed, number])
            rows += _selves(film, read, random)
            progress.step()
    return _lesson(rows)


def phantoms_lesson(read: CellReader, seed: int) -> Lesson:
    """Frontal phantoms and their wrong selves, to learn from only: a sample run is not to be all warnings."""
    rows: list[Row] = []
    for number in range(PHANTOMS):
        view = ("PA", "AP")[number % 2]
        findings = tuple(np.random.default_rng([seed, number]).choice(FINDINGS, number % 3, replace=False))
        film = frontal(seed * 1000 + number, PHANTOM_SIZE, view, findings, "MF"[number % 4 // 2]).film
        source = Source(f"phantom {number}", "frontal phantom", np.asarray(film, np.float32))
        rows += _selves(source, read, np.random.default_rng([seed, number]))
    return replace(_lesson(rows), variant=np.array([""] * len(rows)))


def _selves(film: Source, read: CellReader, random: np.random.Generator) -> list[Row]:
    rows: list[Row] = [
        (read(change(film.picture)), label, film.group, name) for name, (label, change) in SELVES.items()
    ]
    for wanted in (UPRIGHT, *CLASSES[:-1]):  # two restaged copies of the film itself, one of each wrong self
        changes = [change for label, change in SELVES.values() if label == wanted]
        change = changes[int(random.integers(len(changes)))]
        rows.append((read(change(restaged(film.picture, random))), wanted, film.group, ""))
    both = inverted_and_turned(restaged(film.picture, random), random)
    rows.append((read(both), "inverted", film.group, ""))
    return rows


def others_lesson(folders: Sequence[Path], read: CellReader, seed: int) -> Lesson:
    """What is no chest film: drawn pictures and those below `folders`, each with restaged copies."""
    rows: list[Row] = []
    for kind, picture in drawn(seed, DRAWN_EACH):
        rows.append((read(picture), OTHER, kind, kind))
    for folder in folders:
        for number, other in enumerate(read_others(folder)):
            random = np.random.default_rng([seed, number])
            rows.append((read(other.picture), OTHER, other.group, other.name))
            for _ in range(OTHERS_RESTAGED):
                changed = _turned(restaged(other.picture, random, crop=0.3), random)
                rows.append((read(changed), OTHER, other.group, ""))
    return _lesson(rows)


def _turned(picture: Picture, random: np.random.Generator) -> Picture:
    """What is no chest has no right way up."""
    picture = 1.0 - picture if random.random() < 0.3 else picture
    return np.rot90(picture, int(random.integers(4))) if random.random() < 0.5 else picture


def _lesson(rows: Sequence[Row]) -> Lesson:
    cells, labels, groups, variants = zip(*rows, strict=True)
    return Lesson(np.stack(cells), np.array(labels), np.array(groups), np.array(variants))
