"""How well a film check does on what it was not fitted to: other patients' films, other kinds of picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from cxrbatch.bundles.film_check import UPRIGHT
from cxrbatch.film_check.above import above
from cxrbatch.film_check.estimate import Classifier, balance, fit_classifier, fit_spread
from cxrbatch.film_check.fitting import Lesson
from cxrbatch.film_check.pictures import SELVES

FOLDS = 5
SHARE = 0.01
"""Of upright films that may be flagged."""

AS_IT_IS = next(iter(SELVES))


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Of every picture that was not restaged: its variant, its fold, and what a check fitted to the other
    folds says: `wrong` and `distance` (n,), the latter only meaningful for upright films."""

    variant: NDArray[np.str_]
    fold: NDArray[np.intp]
    wrong: NDArray[np.float64]
    distance: NDArray[np.float64]

    def of(self, variant: str) -> NDArray[np.bool_]:
        return np.asarray(self.variant == variant)

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """(n,) whether each is flagged at the limit that the *other* folds' upright films set."""
        flagged = np.zeros(len(self.wrong), bool)
        upright = self.of(AS_IT_IS)
        for fold in np.unique(self.fold):
            limit = above(self.wrong[upright & (self.fold != fold)], SHARE)
            flagged |= (self.fold == fold) & (self.wrong >= limit)
        return flagged


def held_out(films: Lesson, always: Lesson) -> HeldOut:
    """Cross-validation over patients; what is `always` learned from is in every fold."""
    n = len(films.label)
    fold, wrong, distance = np.zeros(n, np.intp), np.zeros(n), np.zeros(n)
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    for number, (_, out) in enumerate(folds.split(films.cells, groups=films.group)):
        is_out = np.zeros(n, bool)
        is_out[out] = True
        known = films.part(~is_out)
        fold[is_out] = number
        wrong[is_out] = classify(known + always).wrong(films.cells[is_out])
        distance[is_out] = fit_spread(upright_cells(known)).distance(films.cells[is_out])
    kept = films.variant != ""
    return HeldOut(films.variant[kept], fold[kept], wrong[kept], distance[kept])


def unknown_kinds(films: Lesson, others: Lesson, limit: float) -> dict[str, tuple[int, int]]:
    """Per kind of other picture, how many of how many are flagged by a check that knows no picture of it.

    Restaged copies are not counted.
    """
    found = {}
    for kind in sorted(set(others.group)):
        is_kind = others.group == kind
        check = classify(films + others.part(~is_kind))
        shown = others.cells[is_kind & (others.variant != "")]
        found[kind] = (int(np.sum(check.wrong(shown) >= limit)), len(shown))
    return found


def classify(lesson: Lesson) -> Classifier:
    """A classifier of all that `lesson` holds."""
    return fit_classifier(lesson.cells, lesson.label, balance(lesson.label, lesson.group))


def upright_cells(films: Lesson) -> NDArray[np.float32]:
    """Of the upright films as they are: restaged ones would widen what counts as typical."""
    return films.cells[(films.label == UPRIGHT) & (films.variant == AS_IT_IS)]
