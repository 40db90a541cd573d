"""A cohort made smaller or dealt out: films that do not decode, copies, and the sides of the split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.studies import percent_encode
from cxrbatch.pipeline.decoder_pool import FilmFile
from cxrbatch.pipeline.decoding import UndecodedFilm
from cxrbatch.training.notices import listed
from cxrbatch.training.records import NO_SIDE, Cohort, TrainingError
from cxrbatch.training.splits import split_patients

EXAMPLES = 3


def with_sides(cohort: Cohort, validation_fraction: float, test_fraction: float, seed: int) -> Cohort:
    """The same with every film on a side: that of the column `split` if there is one, else by seed.

    Raises TrainingError where there are too few patients (`split_patients`).
    """
    if not (cohort.sides == NO_SIDE).any():
        return cohort
    sides = split_patients(cohort.patients, cohort.labels, validation_fraction, test_fraction, seed)
    return replace(cohort, sides=sides)


def without_undecodable(cohort: Cohort, failed: Iterable[tuple[FilmFile, UndecodedFilm]]) -> Cohort:
    """The same without films that do not decode; they go to the account.

    Raises TrainingError when none is left.
    """
    reasons = {film.path: failure for film, failure in failed}
    if not reasons:
        return cohort
    told = [
        (percent_encode(film.path), f"{reasons[film.path].reason.value}: {reasons[film.path].detail}")
        for film in cohort.films
        if film.path in reasons
    ]
    kept = [i for i, film in enumerate(cohort.films) if film.path not in reasons]
    if not kept:
        counts = listed(Counter(failure.reason.value for failure in reasons.values()))
        raise TrainingError(
            f"None of the {len(cohort.films)} films decodes ({counts}), such as {told[0][0]}: {told[0][1]} "
            "`cxrbatch doctor` says which codecs are missing."
        )
    account = replace(cohort.account, undecodable=(*cohort.account.undecodable, *told))
    return replace(take(cohort, kept), account=account)


def without_copies(cohort: Cohort, groups: Iterable[Sequence[FilmFile]]) -> Cohort:
    """The same with one of each group of films that are one file under several names: the first by path.

    Before `with_sides`: whoever such films are said to be of counts as one patient, who may have
    two IDs, so that no patient is on two sides.

    Raises:
        TrainingError: the labels of copies differ, or the column `split` has such a patient on two sides.
    """
    patients = np.array(cohort.patients, dtype=object)
    pairs = [(first, other) for first, *others in map(_ordinals, groups) for other in others]
    if not pairs:
        return cohort
    _require_same_labels(cohort, pairs)
    for first, other in pairs:
        patients[patients == patients[other]] = patients[first]
    for first, other in pairs:
        if len(set(cohort.sides[patients == patients[first]].tolist())) > 1:
            raise TrainingError(
                f"The column `split` has the patient of {_names(cohort, [(first, other)])}, which are one "
                "file under two names, on more than one side: give all films of a patient the same side."
            )
    dropped = {other for _, other in pairs}
    not_used = Counter(cohort.account.not_used)
    not_used[Reason.DUPLICATE.value] += len(dropped)
    account = replace(cohort.account, not_used=dict(sorted(not_used.items())))
    kept = [i for i in range(len(cohort.films)) if i not in dropped]
    return replace(take(replace(cohort, patients=tuple(patients)), kept), account=account)


def _ordinals(group: Sequence[FilmFile]) -> list[int]:
    return sorted(film.ordinal for film in group)


def _require_same_labels(cohort: Cohort, pairs: Sequence[tuple[int, int]]) -> None:
    torn = [
        (first, other)
        for first, other in pairs
        if not np.array_equal(cohort.labels[first], cohort.labels[other], equal_nan=True)
    ]
    if torn:
        raise TrainingError(
            f"{len(torn)} films are there twice, byte for byte, with other labels ({_names(cohort, torn)}): "
            "take the wrong one of each out of the folder or the labels."
        )


def _names(cohort: Cohort, pairs: Sequence[tuple[int, int]]) -> str:
    """The first few pairs of file names; the last two parts of the path, as copies often share the last."""
    names = [
        percent_encode("/".join(cohort.films[row].path.split("/")[-2:]))
        for pair in pairs[:EXAMPLES]
        for row in pair
    ]
    return "; ".join(f"{one} and {two}" for one, two in zip(names[::2], names[1::2], strict=True))


def take(cohort: Cohort, rows: Sequence[int]) -> Cohort:
    """The films of `rows`, which ascend, numbered anew; the account stays."""
    return replace(
        cohort,
        films=tuple(replace(cohort.films[row], ordinal=i) for i, row in enumerate(rows)),
        labels=cohort.labels[rows],
        soft=None if cohort.soft is None else cohort.soft[rows],
        patients=tuple(cohort.patients[row] for row in rows),
        patient_ids=tuple(cohort.patient_ids[row] for row in rows),
        image_uids=tuple(cohort.image_uids[row] for row in rows),
        study_uids=tuple(cohort.study_uids[row] for row in rows),
        views=tuple(cohort.views[row] for row in rows),
        sides=cohort.sides[rows],
    )
