"""The table of findings in a report: values, thresholds, above or below, and the bar beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cxrbatch.bundles.card import Card
from cxrbatch.scoring.decision import is_flagged, logit, margin

BAR_WIDTH = 200.0
"""Of a bar in its own units; the templates scale it."""
AXIS = (0.01, 0.99)
"""Probabilities at the two ends of a bar."""
AXIS_MARKS = (0.01, 0.1, 0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding of one image or study.

    `value` and `threshold` are what is printed: calibrated where the card has a curve (the threshold mapped
    through the same curve), else raw. `value_at` and `threshold_at` are places on the bar.
    """

    name: str
    value: float
    threshold: float
    raw: float
    raw_threshold: float
    margin: float
    above: bool
    value_at: float
    threshold_at: float


def bar_position(probability: float) -> float:
    """Where a probability lies on a bar, 0 to `BAR_WIDTH`; logit scale, held at the ends of `AXIS`.

    On a logit scale the distance between value and threshold is the margin that the lines are sorted by,
    and small probabilities of rare findings can be told apart.
    """
    low, high = (logit(end) for end in AXIS)
    share = (logit(probability) - low) / (high - low)
    return round(BAR_WIDTH * min(max(share, 0.0), 1.0), 1)


def shown(card: Card, finding: str, probability: float) -> float:
    """The value to print for a raw probability: calibrated where the card has a curve."""
    return card.calibration[finding](probability) if card.calibration else probability


def finding_lines(card: Card, probabilities: Sequence[float]) -> tuple[FindingLine, ...]:
    """A line for each finding of the card, those above threshold first, then by margin.

    Args:
        probabilities: raw, in the order of ``card.findings``.
    """
    lines = [
        _line(card, name, probability) for name, probability in zip(card.findings, probabilities, strict=True)
    ]
    return tuple(sorted(lines, key=lambda line: (not line.above, -line.margin, line.name)))


def _line(card: Card, name: str, probability: float) -> FindingLine:
    raw_threshold = card.thresholds[name]
    value, threshold = shown(card, name, probability), shown(card, name, raw_threshold)
    return FindingLine(
        name=name,
        value=value,
        threshold=threshold,
        raw=probability,
        raw_threshold=raw_threshold,
        margin=margin(probability, raw_threshold),
        above=is_flagged(probability, raw_threshold),
        value_at=bar_position(value),
        threshold_at=bar_position(threshold),
    )
