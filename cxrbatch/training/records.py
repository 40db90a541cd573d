"""What the parts of training hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.pipeline.decoder_pool import FilmFile


class TrainingError(Exception):
    """Training cannot begin or go on as asked (wrong usage, exit code 2); the message says what to do."""


class BrokenOffError(TrainingError):
    """Training was as asked, began, and could not go on: full disk, NaN (exit code 1)."""


class Side(IntEnum):
    """On which side of the split a film is."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2


NO_SIDE = -1
"""In `Cohort.sides` until `selection.with_sides`, where the labels have no column `split`."""


@dataclass(frozen=True)
class Account:
    """Who is in and who is not, in numbers and examples, for messages and ``run.json``.

    `labels_without_image` and `images_without_labels` are ids; `not_used` is, by reason code, how many files
    the intake screened out or failed on; `undecodable` (path, sentence) are films that did not decode.
    """

    rows_in_labels: int
    images_found: int
    labels_without_image: tuple[str, ...] = ()
    images_without_labels: tuple[str, ...] = ()
    not_used: dict[str, int] = field(default_factory=dict)
    undecodable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Cohort:
    """Films with labels; row i of everything belongs to `films[i]`, whose ordinal is i. Sorted by path.

    `labels` float32 (n, k): 1, 0, or NaN where unknown. `soft` float32 (n, k) in (0, 1), NaN where there is
    none; None without ``--soft-targets``. `patients` are folded IDs (`splits.group_patients`), one of its
    own for a film without one; `patient_ids` are as written. `sides` int8 (n,) of `Side`, or `NO_SIDE`.
    """

    films: tuple[FilmFile, ...]
    findings: tuple[str, ...]
    labels: NDArray[np.float32]
    soft: NDArray[np.float32] | None
    patients: tuple[str, ...]
    patient_ids: tuple[str, ...]
    image_uids: tuple[str, ...]
    study_uids: tuple[str, ...]
    views: tuple[str, ...]
    sides: NDArray[np.int8]
    labels_path: Path
    account: Account

    def rows(self, side: Side) -> NDArray[np.intp]:
        """Of the films on `side`, ascending."""
        return np.flatnonzero(self.sides == side)


@dataclass(frozen=True)
class History:
    """A row an epoch, first to last over all starts of the same run; `columns` name them ("loss",
    "val_loss", "val_macro_auroc", "learning_rate", "seconds", "images_per_second", ...)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]

    def column(self, name: str) -> NDArray[np.float64]:
        """(epochs,)"""
        return np.array([row[self.columns.index(name)] for row in self.rows], dtype=np.float64)
