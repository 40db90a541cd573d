"""From probabilities to what the worklist says: margins over thresholds, flags, urgency."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple


def logit(probability: float) -> float:
    """ln(p / (1 - p)); probabilities that have rounded to 0 or 1 are held at 1e-7 from them."""
    p = min(max(probability, 1e-7), 1.0 - 1e-7)
    return math.log(p / (1.0 - p))


def margin(probability: float, threshold: float) -> float:
    """How far above the threshold, on the logit scale; negative below it."""
    return logit(probability) - logit(threshold)


def is_flagged(probability: float, threshold: float) -> bool:
    """At or above the threshold."""
    return probability >= threshold


class Urgency(NamedTuple):
    """The largest margin among the acute findings, and among the others; -inf where there are none."""

    acute: float
    other: float

    def sort_key(self, study_key: str) -> tuple[float, float, str]:
        """Ascending order of this key is most urgent first; ties by study key."""
        return (-self.acute, -self.other, study_key)


def urgency(
    findings: Sequence[str],
    probabilities: Sequence[float],
    thresholds: Mapping[str, float],
    acute: Collection[str],
) -> Urgency:
    """Urgency of a study from its highest probabilities, in the order of `findings`."""
    largest = {True: -math.inf, False: -math.inf}
    for name, probability in zip(findings, probabilities, strict=True):
        is_acute = name in acute
        largest[is_acute] = max(largest[is_acute], margin(probability, thresholds[name]))
    return Urgency(largest[True], largest[False])
