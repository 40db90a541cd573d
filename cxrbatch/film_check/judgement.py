"""From how a picture looks to what is said of it: a note on every page, or, if asked for, a rejection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cxrbatch.bundles.film_check import Limits, Look
from cxrbatch.radiographs.read import BLANK_NOTE

IN_WORDS = {
    "inverted": "This looks inverted: black and white may be exchanged.",
    "upside_down": "This looks upside down.",
    "sideways": "This looks turned by a quarter.",
    "not_chest": "This does not look like a frontal chest radiograph.",
}
ATYPICAL = "This film is unlike the films that the model was trained on: its values may mean less here."
LEFT_OUT = "It was left out because of --reject-unusual; without that option it is scored and marked."


@dataclass(frozen=True, slots=True)
class Judgement:
    """`notes` for the pages; `rejection` is the detail for rejected.csv, blank where the film is scored."""

    notes: tuple[str, ...] = ()
    rejection: str = ""


@dataclass(frozen=True, slots=True)
class Judge:
    """The limits a run works with, where they are from, and whether clear cases are left out.

    `origin` is ``bundle``, or says which site's calibration it was.
    """

    limits: Limits
    origin: str = "bundle"
    reject: bool = False

    def __call__(self, look: Look | None, notes: Sequence[str]) -> Judgement:
        """What is to be said of a film that looks so; `notes` are those of its decoding."""
        blank = BLANK_NOTE in notes
        if look is None or blank:
            # A picture of one grey value is no matter of likelihood, and has its own note already.
            return Judgement((), f"{BLANK_NOTE} {LEFT_OUT}" if blank and self.reject else "")
        if look.wrong >= self.limits.flag:
            words = IN_WORDS[look.kind]
            clear = self.reject and look.wrong >= self.limits.clear
            return Judgement((words,), f"{words} {LEFT_OUT}" if clear else "")
        return Judgement((ATYPICAL,) if look.atypicality > self.limits.atypicality else ())

    def settings(self) -> dict[str, Any]:
        """For run.json and the ledger: what a resumed run goes on with."""
        return {
            "film_limits": asdict(self.limits),
            "film_limits_from": self.origin,
            "reject_unusual": self.reject,
        }


def judge_begun_with(settings: Mapping[str, Any], reject: bool) -> Judge:
    """With the limits in `Judge.settings` of a run that goes on, whatever the site has calibrated since."""
    return Judge(Limits(**settings["film_limits"]), settings["film_limits_from"], reject)
