"""Who trains, who validates, who tests: patient by patient, alike in every finding.

The split decides the number that a validation reports, and a patient on two sides flatters it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cxrbatch.training.records import Side, TrainingError

_WRITTEN = {
    "train": Side.TRAIN,
    "training": Side.TRAIN,
    "val": Side.VALIDATION,
    "valid": Side.VALIDATION,
    "validation": Side.VALIDATION,
    "test": Side.TEST,
    "testing": Side.TEST,
}
_NUMBER_WITH_DECIMALS = re.compile(r"([0-9]+)[.,]0+")
_PARTED_DIGITS = re.compile(r"[0-9] [0-9]")
_EXAMPLES = 3


def fold_patient_id(text: str) -> str:
    """An ID without what differs between its spellings; "" where nothing is left.

    Compatibility forms (NFKD), case, accents, invisible characters, white space and punctuation do not
    count, nor do a number's leading zeros, digits of other scripts, and the `.0` of a table once read as
    numbers: `75`, `0075`, `7５.0` are one, and `p^0075 ` is `P-75`.

    It folds too much rather than too little: two patients joined onto one side do no harm there, one patient
    parted does. Letters that only look alike (Cyrillic `А`, Latin `A`) stay different.
    """
    parts = _parts(text)
    return "".join(part.lstrip("0") for part in parts) or "".join(parts)[:1]


def group_patients(texts: Sequence[str]) -> tuple[str, ...]:
    """`fold_patient_id` of each ID of a cohort; also where digits are parted in one spelling only.

    `19-075`, `19-75` and `19075` may be one patient, so with punctuation or space between digits anywhere in
    the cohort it is not known where a number begins, and no zero counts. This joins more patients that are
    strangers, and parts none.
    """
    if not any(_PARTED_DIGITS.search(_spaced(text)) for text in texts):
        return tuple(map(fold_patient_id, texts))
    return tuple(_without_zeros(fold_patient_id(text)) for text in texts)


def split_patients(
    patients: Sequence[str],
    labels: ArrayLike,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> NDArray[np.int8]:
    """Sides of films (n,) as `Side`, the same for all films of a patient.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011, algorithm 1) of patients: the
    finding with the fewest positive patients left is dealt out first, each to the side that lacks it most,
    then the one that lacks films most. A finding with as many positive patients as there are sides gets at
    least one on each where single moves can bring that about. The result depends on the patients, their
    labels and the seed, not on the order of the rows.

    Args:
        patients: (n,) `group_patients`.
        labels: (n, k): 1 where positive; 0 and NaN are not.
        validation_fraction, test_fraction: of the films; 0 for no such side.

    Raises:
        TrainingError: fewer patients than sides.
    """
    fractions = np.array([1.0 - validation_fraction - test_fraction, validation_fraction, test_fraction])
    matrix = np.asarray(labels, dtype=np.float64)
    people = _people(patients, matrix, fractions[fractions > 0].min(), seed)
    wanted = int((fractions > 0).sum())
    if len(people.names) < wanted:
        raise TrainingError(
            f"The {len(patients)} films are of {len(people.names)} patients, fewer than the {wanted} sides "
            "of the split (training, validation, test): get films of more patients, or look whether the "
            "patient IDs are right."
        )
    dealt = _deal(people, fractions)
    _give_each_side_one(people, dealt, fractions)
    side_of = dict(zip(people.names, dealt.tolist(), strict=True))
    return np.array([side_of[name] for name in patients], dtype=np.int8)


def given_split(
    values: Sequence[str], patients: Sequence[str], lines: Sequence[int] | None = None
) -> NDArray[np.int8]:
    """Sides (n,) as a `split` column gives them: train, val/valid/validation or test, in any case.

    Args:
        values, patients: (n,), of the same films.
        lines: (n,) where each stands in the labels, for messages; patients are not named in them.

    Raises:
        TrainingError: another value or a blank one, a patient on two sides, or no film to train on.
    """
    where = lines or range(1, len(values) + 1)
    sides = [_WRITTEN.get(value.strip().casefold()) for value in values]
    wrong = [i for i, side in enumerate(sides) if side is None]
    if wrong:
        examples = "; ".join(f"{values[i]!r} on line {where[i]}" for i in wrong[:_EXAMPLES])
        raise TrainingError(
            f"The column `split` has {len(wrong)} values that are not train, val or test ({examples}): "
            "mend them, or leave the column out for a split by seed."
        )
    found = np.array([int(side) for side in sides if side is not None], dtype=np.int8)
    rows = defaultdict(list)
    for i, name in enumerate(patients):
        rows[name].append(i)
    torn = [members for members in rows.values() if len(set(found[members].tolist())) > 1]
    if torn:
        pairs = [
            (where[a[0]], where[next(i for i in a if found[i] != found[a[0]])]) for a in torn[:_EXAMPLES]
        ]
        examples = "; ".join(f"lines {a} and {b}" for a, b in pairs)
        raise TrainingError(
            f"The column `split` puts {len(torn)} patients on more than one side ({examples}; IDs that "
            "differ in zeros, case or punctuation only count as one): give all films of a patient the same "
            "side."
        )
    if Side.TRAIN not in found:
        raise TrainingError("The column `split` leaves no film to train on: write `train` for some patients.")
    return found


def side_counts(sides: NDArray[np.int8]) -> dict[str, int]:
    """Films a side, for messages."""
    counts = Counter(sides.tolist())
    return {side.name.lower(): counts.get(int(side), 0) for side in Side}


def _spaced(text: str) -> str:
    """Folded letters and ASCII digits, one space for each run of anything else between them."""
    decimal = _NUMBER_WITH_DECIMALS.fullmatch(unicodedata.normalize("NFKC", text).strip())
    kept = []
    plain = unicodedata.normalize("NFKD", decimal[1] if decimal else text).casefold()
    for character in unicodedata.normalize("NFKD", plain):
        category = unicodedata.category(character)
        if category in ("Cf", "Mn", "Me") or (category == "Cc" and not character.isspace()):
            continue
        value = unicodedata.decimal(character, None)
        if value is not None:
            kept.append(str(value))
        else:
            # Turkish keyboards and locales give a dotless i where others give i.
            kept.append({"ı": "i"}.get(character, character) if character.isalnum() else " ")
    return " ".join("".join(kept).split())


def _parts(text: str) -> list[str]:
    """Letters and numbers of the folded ID in turn."""
    return re.findall(r"[0-9]+|[^0-9 ]+", _spaced(text))


def _without_zeros(folded: str) -> str:
    return folded.replace("0", "") or folded[:1]


@dataclass(frozen=True)
class _People:
    """Patients in a random order of `seed`, but those with very many films first: films (p,), positive
    findings (p, k), and whether they have very many (p,)."""

    names: tuple[str, ...]
    films: NDArray[np.float64]
    positive: NDArray[np.bool_]
    large: NDArray[np.bool_]


def _people(patients: Sequence[str], labels: NDArray[np.float64], smallest: float, seed: int) -> _People:
    """`smallest` is the share of the smallest side: more films than a tenth of it are very many."""
    films = Counter(patients)

    def is_large(name: str) -> bool:
        return films[name] > max(1.0, 0.1 * smallest * len(patients))

    def place(name: str) -> tuple[bool, bytes, str]:
        digest = hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogatepass")).digest()
        return not is_large(name), digest, name

    names = tuple(sorted(films, key=place))
    index = {name: i for i, name in enumerate(names)}
    rows = np.array([index[name] for name in patients], dtype=np.intp)
    positive = np.zeros((len(names), labels.shape[1]), dtype=bool)
    np.logical_or.at(positive, rows, labels == 1.0)
    return _People(
        names,
        np.array([films[name] for name in names], dtype=np.float64),
        positive,
        np.array([is_large(name) for name in names]),
    )


def _deal(people: _People, fractions: NDArray[np.float64]) -> NDArray[np.int8]:
    """A side for each patient."""
    lacks_films = fractions * people.films.sum()
    lacks_films[fractions == 0] = -np.inf
    lacks = _positives_wanted(people.positive.sum(axis=0), fractions)
    sides = np.full(len(people.names), -1, dtype=np.int8)
    left = people.positive.sum(axis=0)
    while left.any():
        finding = int(np.argmin(np.where(left > 0, left, np.iinfo(np.int64).max)))
        for patient in np.flatnonzero(people.positive[:, finding] & (sides < 0)):
            has = people.positive[patient]
            # Whoever has very many films is not to overfill a small side.
            fits = ~people.large[patient] | (lacks_films >= people.films[patient])
            side = max(range(3), key=lambda s: (fits[s], lacks[s, finding], lacks_films[s]))
            sides[patient] = side
            lacks[side, has] -= 1
            lacks_films[side] -= people.films[patient]
            left = left - has
    for patient in np.flatnonzero(sides < 0):
        side = int(np.argmax(lacks_films))
        sides[patient] = side
        lacks_films[side] -= people.films[patient]
    return sides


def _positives_wanted(positives: NDArray[np.int64], fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, k) positive patients that each side should get: its share, but one if there is one for each."""
    wanted = fractions[:, None] * positives
    enough = positives >= (fractions > 0).sum()
    for side in np.flatnonzero(fractions[1:] > 0) + 1:
        wanted[side, enough] = np.maximum(wanted[side, enough], 1.0)
    wanted[0] = positives - wanted[1:].sum(axis=0)
    wanted[fractions == 0] = -np.inf
    return wanted


def _give_each_side_one(people: _People, sides: NDArray[np.int8], fractions: NDArray[np.float64]) -> None:
    """Move single patients, in place, until each finding that could be on every side is, or no move helps;
    each side gets a patient, too.

    Each move fills a gap and opens none, so this ends.
    """
    wanted = np.flatnonzero(fractions > 0)
    # To be somebody counts as one finding more.
    has = np.column_stack((people.positive, np.ones(len(sides), dtype=bool)))
    counts = np.stack([has[sides == side].sum(axis=0) for side in range(3)])
    total = counts.sum(axis=0)
    enough = total >= len(wanted)
    for finding in np.argsort(total, kind="stable"):
        for side in wanted:
            if not enough[finding] or counts[side, finding]:
                continue
            candidates = np.flatnonzero(has[:, finding])
            for patient in candidates[np.argsort(people.films[candidates], kind="stable")]:
                if (counts[sides[patient], has[patient] & enough] > 1).all():
                    counts[sides[patient], has[patient]] -= 1
                    counts[side, has[patient]] += 1
                    sides[patient] = side
                    break
