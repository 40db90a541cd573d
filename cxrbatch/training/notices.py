"""What a data scientist should know of a cohort before it is trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cxrbatch.training.records import Cohort, Side, TrainingError
from cxrbatch.training.splits import fold_patient_id


@dataclass(frozen=True, slots=True)
class OneClass:
    """A finding that the films to train on cannot teach: all of one kind. Counts are of films."""

    finding: str
    positive: int
    negative: int
    positive_elsewhere: int


def one_class_findings(cohort: Cohort) -> tuple[OneClass, ...]:
    """Findings without a positive or without a negative film on the training side.

    A soft target counts as both: it teaches.
    """
    train = cohort.rows(Side.TRAIN)
    elsewhere = np.setdiff1d(np.arange(len(cohort.films)), train)
    found = []
    for j, name in enumerate(cohort.findings):
        if cohort.soft is not None and not np.isnan(cohort.soft[train, j]).all():
            continue
        column = cohort.labels[train, j]
        positive, negative = int((column == 1).sum()), int((column == 0).sum())
        if not positive or not negative:
            other = int((cohort.labels[elsewhere, j] == 1).sum())
            found.append(OneClass(name, positive, negative, other))
    return tuple(found)


def require_both_classes(cohort: Cohort) -> None:
    """Refuse a training that would make a classifier of nothing.

    Raises:
        TrainingError: names the findings and the option that trains the others.
    """
    poor = one_class_findings(cohort)
    if not poor:
        return
    named = "; ".join(
        f"{one.finding} ({one.positive} positive, {one.negative} negative"
        + (f", {one.positive_elsewhere} positive on the other sides)" if one.positive_elsewhere else ")")
        for one in poor
    )
    others = [name for name in cohort.findings if name not in {one.finding for one in poor}]
    if not others:
        raise TrainingError(
            f"No finding has both a positive and a negative film to train on: {named}. Look whether "
            f"{cohort.labels_path.name} is the right table."
        )
    raise TrainingError(
        f"{len(poor)} of {len(cohort.findings)} findings have no positive or no negative film to train on: "
        f"{named}. Get films of both kinds, or train the others with --findings {','.join(others)}"
    )


def notices(cohort: Cohort) -> list[str]:
    """Sentences for the log about what was left out or looks odd: counts, nobody's ID and no path."""
    account, films = cohort.account, len(cohort.films)
    found = []
    if account.not_used:
        found.append(
            f"{sum(account.not_used.values())} files are not trained on: {listed(account.not_used)}."
        )
    if account.labels_without_image:
        found.append(
            f"{len(account.labels_without_image)} of {account.rows_in_labels} rows of the labels have no "
            "image among those used."
        )
    if account.images_without_labels:
        found.append(
            f"{len(account.images_without_labels)} of {account.images_found} images have no labels and are "
            "left out."
        )
    if account.undecodable:
        found.append(f"{len(account.undecodable)} films do not decode and are left out.")
    nameless = sum(not fold_patient_id(name) for name in cohort.patient_ids)
    if nameless:
        found.append(
            f"{nameless} of {films} films have no patient ID: each study counts as a patient of its own, and "
            "a patient with several may be on two sides of the split."
        )
    if cohort.soft is not None:
        without = int(np.isnan(cohort.soft).all(axis=1).sum())
        if without:
            found.append(f"{without} of {films} films have no soft target and learn from their labels alone.")
    largest = Counter(cohort.patients).most_common(1)[0][1]
    if largest > max(10, films // 5):
        found.append(
            f"One patient ID is that of {largest} of {films} films: if it stands for `unknown`, the split "
            "cannot tell these patients apart."
        )
    return found


def listed(counts: Mapping[str, int]) -> str:
    """`decode_failed 2, not_chest 1`: what is counted, by name."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
