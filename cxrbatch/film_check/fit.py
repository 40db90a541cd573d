"""``cxrbatch model fit-intake``: from a bundle and folders of pictures to the bundle with a film check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.architectures import MIDDLE
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.film_check import FilmCheck, Limits, Tap, read_film_check
from cxrbatch.bundles.golden import read_golden
from cxrbatch.bundles.saving import save_film_check
from cxrbatch.film_check.above import above
from cxrbatch.film_check.cell_reader import CellReader, cells_in_mixed_precision
from cxrbatch.film_check.estimate import fit_spread
from cxrbatch.film_check.figures import (
    AS_IT_IS,
    SHARE,
    HeldOut,
    classify,
    held_out,
    unknown_kinds,
    upright_cells,
)
from cxrbatch.film_check.fitting import Lesson, films_lesson, others_lesson, phantoms_lesson
from cxrbatch.film_check.reading import read_films
from cxrbatch.intake.walk import walk

GRID = 5
CLEAR_SHARE = 0.95
"""Of inverted and turned films that count as clear cases."""
LEAST_FILMS = 100

FLOAT32_TOLERANCE = 1e-3
"""Of the golden figures, absolute: across runtimes and machines, where log-odds run from -10 to 10."""


class FitError(Exception):
    """The film check cannot be fitted; the message says why."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The bundle as it is now, and the figures on its card: (flagged, of) by kind."""

    bundle: Bundle
    found: dict[str, tuple[int, int]]
    false_alarms: dict[str, tuple[int, int]]
    limits: Limits


def fit_film_check(
    bundle: Bundle,
    films: Path,
    others: Sequence[Path] = (),
    layer: str | None = None,
    seed: int = 20261123,
    threads: int | None = None,
) -> Fitted:
    """Fit, judge by cross-validation, and put the arrays into the bundle's folder; its hash changes.

    Args:
        films: frontal chest films, upright and not inverted; a film that is neither is learned as upright.
        others: folders of pictures that are no frontal chest films.
        layer: the network's layer to look at; by default one in the middle of a known architecture.

    Raises:
        FitError: too few films, or no layer is known.
        BundleError: the layer does not fit.
        InputNotFoundError: a folder does not exist.
        OSError: the bundle's folder cannot be written.
    """
    tap = Tap(layer or _middle(bundle), GRID)
    sources = list(walk([str(films)]))
    read = CellReader(bundle, tap, threads)
    lesson = films_lesson(read_films(films), read, len(sources), seed)
    patients = len(set(lesson.group))
    if patients < LEAST_FILMS:
        raise FitError(f"{films} has films of {patients} patients; at least {LEAST_FILMS} are needed.")
    other, phantoms = others_lesson(others, read, seed), phantoms_lesson(read, seed)
    judged = held_out(lesson, other + phantoms)
    upright = judged.of(AS_IT_IS)
    flag, clear = above(judged.wrong[upright], SHARE), np.quantile(judged.wrong[~upright], 1 - CLEAR_SHARE)
    limits = Limits(flag, max(flag, float(clear)))
    unknown = unknown_kinds(lesson + phantoms, other, limits.flag)
    check = _check(bundle, read, lesson, other + phantoms, judged, limits)
    found, false_alarms = _figures(judged, unknown)
    about = {
        "method": _method(patients, sorted(unknown)),
        "found": _shares(found),
        "false_alarms": _shares(false_alarms),
    }
    return Fitted(save_film_check(bundle.folder, check, about), found, false_alarms, limits)


def _middle(bundle: Bundle) -> str:
    known = MIDDLE.get(bundle.card.architecture)
    if known is None:
        raise FitError(
            f"{bundle.card.name} is a whole model: name the layer to look at (--layer), whose output is an "
            "activation at a sixteenth of the input's size or so."
        )
    return known


def _check(
    bundle: Bundle, read: CellReader, films: Lesson, always: Lesson, judged: HeldOut, limits: Limits
) -> FilmCheck:
    classifier = classify(films + always)
    # Distances of held-out films say what is far; those of the films it is fitted to are smaller.
    spread = fit_spread(upright_cells(films)).scaled(above(judged.distance[judged.of(AS_IT_IS)], SHARE))
    pictures = read_golden(bundle).input
    draft = FilmCheck(
        tap=read.tap,
        weights=classifier.weights,
        bias=classifier.bias,
        centre=spread.centre,
        whitening=spread.whitening,
        limits=limits,
        wrong_percentiles=_percentiles(judged.wrong[~judged.of(AS_IT_IS)]),
        golden=np.zeros((len(pictures), 2), np.float32),
        tolerance={},
    )
    golden = _figures_of(draft, np.stack([read.of_input(picture) for picture in pictures]))
    mixed = _figures_of(draft, cells_in_mixed_precision(bundle, read.tap, pictures))
    tolerance = {
        "float32": FLOAT32_TOLERANCE,
        # Twice what bfloat16, the coarser of the 16-bit formats, did here: rounding differs by device.
        "mixed": max(2.0 * float(np.max(np.abs(mixed - golden))), 0.1),
    }
    fields = {name: getattr(draft, name) for name in draft.__dataclass_fields__}
    return FilmCheck(**{**fields, "golden": golden, "tolerance": tolerance})


def _figures_of(check: FilmCheck, cells: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.array([(look.wrong, look.atypicality) for look in check.looks(cells)], np.float32)


def _percentiles(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.quantile(values, (np.arange(100) + 0.5) / 100).astype(np.float32)


Counts = dict[str, tuple[int, int]]


def _figures(judged: HeldOut, unknown: Counts) -> tuple[Counts, Counts]:
    flagged = judged.flagged
    counts = {
        str(name): (int(flagged[judged.of(name)].sum()), int(judged.of(name).sum()))
        for name in dict.fromkeys(judged.variant)
    }
    alarms = {"held-out films as they are": counts.pop(AS_IT_IS)}
    return {**counts, **{f"unknown kind: {kind}": share for kind, share in unknown.items()}}, alarms


def _shares(counts: Counts) -> dict[str, dict[str, int]]:
    return {name: {"count": count, "of": of} for name, (count, of) in counts.items()}


def _method(patients: int, kinds: Sequence[str]) -> str:
    return (
        f"Films of {patients} patients against their inverted and turned selves, in 5-fold cross-validation "
        "over patients; each fold's limit is the other folds' 99th percentile. Pictures of no chest "
        f"({', '.join(kinds)}) by a check that was fitted without any picture of that kind."
    )


def take_over(bundle: Bundle, source: Bundle, threads: int | None = None) -> Bundle:
    """Give `bundle` the film check of `source`, whose network is the same up to the layer it looks at.

    So after training that leaves the lower layers as they were nothing has to be fitted again. That they are
    the same is not believed but seen: the golden input must give the golden figures.

    Raises:
        FitError: `source` has no film check, or the networks differ there.
        BundleError: the layer does not fit.
        OSError: the bundle's folder cannot be written.
    """
    check = read_film_check(source)
    if check is None or source.card.film_check is None:
        raise FitError(f"{source.card.name} has no film check to take over.")
    if bundle.card.input != source.card.input:
        raise FitError(
            f"{bundle.card.name} and {source.card.name} take different inputs: fit anew with --films."
        )
    read = CellReader(bundle, check.tap, threads)
    cells = np.stack([read.of_input(picture) for picture in read_golden(source).input])
    differs = float(np.max(np.abs(_figures_of(check, cells) - check.golden)))
    if not differs <= check.tolerance["float32"]:
        raise FitError(
            f"Up to the layer '{check.tap.layer}' {bundle.card.name} is another network than "
            f"{source.card.name} (the golden figures differ by {differs:.2g}): fit anew with --films."
        )
    return save_film_check(
        bundle.folder, check, source.card.film_check.model_dump(exclude={"file", "sha256"})
    )
