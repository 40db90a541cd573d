"""Are patients of the cohort among those the model was trained on? From salted hashes of their ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_WIDEST = 16
"""Ids of digits are also tried with zeros in front, up to this many digits."""


@dataclass(frozen=True)
class PatientOverlap:
    """What the check found; `checked` is False when it could not be made, for the reason in `why_not`.

    `same` are patients whose id is that of a training patient, `respelled` those who have it only in another
    spelling: leading zeros, spaces, punctuation, case.
    """

    checked: bool
    why_not: str = ""
    training_patients: int = 0
    cohort_patients: int = 0
    same: tuple[str, ...] = ()
    respelled: tuple[str, ...] = ()

    @property
    def patients(self) -> tuple[str, ...]:
        """Everyone who was, or may have been, in the training data."""
        return (*self.same, *self.respelled)


def patient_overlap(
    patient_ids: Iterable[str], salt: str, hashes: Iterable[str], trained_on: int | None = None
) -> PatientOverlap:
    """Look for patients of the cohort in a bundle's training data.

    patient_ids: as written in the tables, blanks are no patients; hashes: SHA-256 in hexadecimal of
    salt + id in UTF-8, as a bundle's card has them; trained_on: how many patients they stand for, if a card
    says so, since one may have several hashes.
    """
    trained = {digest.casefold() for digest in hashes}
    count = len(trained) if trained_on is None else trained_on
    patients = sorted({name for name in patient_ids if name.strip()})
    if not trained:
        return PatientOverlap(False, "the model's card lists no training patients")
    if not patients:
        return PatientOverlap(False, "the tables name no patients", count)
    same, respelled = [], []
    for name in patients:
        if _digest(salt, name) in trained:
            same.append(name)
        elif any(_digest(salt, other) in trained for other in spellings(name)):
            respelled.append(name)
    return PatientOverlap(True, "", count, len(patients), tuple(same), tuple(respelled))


def training_hashes(patient_ids: Iterable[str], salt: str) -> tuple[str, ...]:
    """What a card keeps of its training patients, so that `patient_overlap` finds them; sorted.

    Each id is hashed as it is written, and in its plainest spelling (`plainest`): whoever writes a blank, a
    dash or zeros otherwise comes to the same plainest spelling.
    """
    named = {name for name in patient_ids if name.strip()}
    return tuple(sorted({_digest(salt, name) for one in named for name in (one, plainest(one))}))


def plainest(patient_id: str) -> str:
    """Letters and digits alone, in capitals, the number at the end without leading zeros: `p-075 ` is `P75`.

    An id without any only loses the blanks around it. Every id of the same plainest spelling has it among its
    `spellings`.
    """
    plain = _without_decimals(patient_id.strip())
    letters = "".join(c for c in plain if c.isalnum()).upper()
    return next(_zeros(letters), letters) or plain


def spellings(patient_id: str) -> Iterator[str]:
    """Other ways in which the same id may be written: `0075` is `75`, `p-75 ` is `P75`, `75.0` is `75`."""
    plain = _without_decimals(patient_id.strip())
    seen = {patient_id}
    for base in (plain, "".join(plain.split()), "".join(c for c in plain if c.isalnum())):
        for cased in (base, base.upper(), base.lower()):
            for name in (cased, *_zeros(cased)):
                if name not in seen:
                    seen.add(name)
                    yield name


def _without_decimals(plain: str) -> str:
    """A table once read as numbers has 75.0 for 75."""
    return plain[:-2] if plain.endswith(".0") and plain[:-2].isdigit() else plain


def _zeros(name: str) -> Iterator[str]:
    """The number at the end of an id without its leading zeros, and with them."""
    head = name.rstrip("0123456789")
    digits = name[len(head) :].lstrip("0")
    if name[len(head) :]:
        for width in range(len(digits) or 1, _WIDEST + 1):
            yield head + digits.zfill(width)


def _digest(salt: str, name: str) -> str:
    return hashlib.sha256((salt + name).encode("utf-8", "surrogatepass")).hexdigest()
