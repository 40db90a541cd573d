"""Thresholds for a new bundle, chosen on validation patients by the rules that `validate` judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.operating_points import threshold_for_sensitivity, youden_threshold

Rule = Literal["youden", "sensitivity"]

FALLBACK_SPECIFICITY = 0.9
EDGE = 1e-6
"""A card's thresholds are strictly between 0 and 1."""


@dataclass(frozen=True)
class Thresholds:
    """Per finding, on the raw scale; a film at or above it is called positive.

    `fallback` are findings without both classes among the films: their thresholds follow no rule, see
    `choose_thresholds`.
    """

    youden: dict[str, float]
    sensitivity: dict[str, float]
    at_least: float
    n_films: int
    fallback: tuple[str, ...] = ()

    def stored(self, rule: Rule) -> dict[str, float]:
        """The table for the card's `thresholds`."""
        return self.youden if rule == "youden" else self.sensitivity

    def others(self, rule: Rule) -> dict[str, dict[str, float]]:
        """The table that is not `stored`, by its rule's name."""
        if rule == "youden":
            return {self._sensitivity_rule: self.sensitivity}
        return {"youden": self.youden}

    def method(self, rule: Rule) -> str:
        """For the card's `thresholds_method`."""
        chosen = (
            "the raw probability with the largest sensitivity + specificity (Youden)"
            if rule == "youden"
            else f"the highest raw probability with {self._sensitivity_rule}"
        )
        text = (
            f"Per finding, {chosen} on {self.n_films} validation films, whose patients were not trained on."
        )
        if self.fallback:
            text += f" {self.fallback_sentence}"
        return text

    @property
    def fallback_sentence(self) -> str:
        """For card and log; blank without such findings."""
        if not self.fallback:
            return ""
        return (
            f"{', '.join(self.fallback)}: not both classes among the validation films, so the threshold is "
            f"the raw probability that {FALLBACK_SPECIFICITY:.0%} of all of them stay below, a placeholder."
        )

    @property
    def _sensitivity_rule(self) -> str:
        return f"sensitivity >= {self.at_least:g}"


def choose_thresholds(
    labels: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    findings: Sequence[str],
    at_least: float = 0.9,
) -> Thresholds:
    """Both rules for each finding.

    Args:
        labels: (n, k) of 1, 0, and NaN where unknown (left out). n is at least 1.
        probabilities: (n, k), raw, in [0, 1].
        findings: (k,) names.
        at_least: the sensitivity that the second rule must reach, in (0, 1].

    Where a finding has one class only, no rule can choose: both thresholds are then the raw probability that
    90 % of all films stay below.
    """
    youden, sensitive, fallback = {}, {}, []
    for name, truth, score in zip(findings, np.asarray(labels).T, np.asarray(probabilities).T, strict=True):
        if np.any(truth == 1) and np.any(truth == 0):
            youden[name] = _inside(youden_threshold(truth, score))
            sensitive[name] = _inside(threshold_for_sensitivity(truth, score, at_least))
        else:
            youden[name] = sensitive[name] = _inside(float(np.quantile(score, FALLBACK_SPECIFICITY)))
            fallback.append(name)
    return Thresholds(youden, sensitive, at_least, len(labels), tuple(fallback))


def _inside(threshold: float) -> float:
    return min(max(threshold, EDGE), 1.0 - EDGE)
