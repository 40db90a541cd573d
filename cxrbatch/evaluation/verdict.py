"""May model B replace model A? One word, by a rule that is fixed before the data are seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cxrbatch.evaluation.intervals import Interval

VETO_MARGINS = 2.0
MARGIN_LIMIT = 0.5
LEVEL = 0.95


class Verdict(StrEnum):
    SUPERIOR = "superior"
    NON_INFERIOR = "non_inferior"
    INFERIOR = "inferior"
    INCONCLUSIVE = "inconclusive"

    @property
    def passed(self) -> bool:
        """B may replace A."""
        return self in (Verdict.SUPERIOR, Verdict.NON_INFERIOR)


@dataclass(frozen=True)
class Decision:
    """The verdict; `without_veto` is what the primary endpoint alone says, `vetoed_by` who overruled it."""

    verdict: Verdict
    without_veto: Verdict
    vetoed_by: tuple[str, ...]


def rule(margin: float) -> tuple[str, ...]:
    """The rule in sentences, for the report and for verdict.json."""
    return (
        "Primary endpoint: the difference B - A in macro AUROC on the images that both models scored, with "
        "its patient-clustered bootstrap 95% interval. In the mean are the findings with at least two "
        "patients in each class.",
        "superior: the lower bound is above 0.",
        f"non_inferior: otherwise, the lower bound is above -{margin:g} (the margin).",
        f"inferior: otherwise, the upper bound is below -{margin:g}, or it is below 0 and the difference "
        f"below -{margin:g}.",
        "inconclusive: otherwise, or when there is no interval.",
        "Veto: superior and non_inferior become inferior if the whole corrected interval of a single finding "
        f"lies below -{VETO_MARGINS * margin:g} (two margins). Corrected: 95% for all findings at once, by "
        "Bonferroni.",
    )


def decide(
    difference: float | None,
    interval: Interval | None,
    corrected: Mapping[str, Interval],
    margin: float,
) -> Decision:
    """Apply the rule.

    difference and interval: B - A in macro AUROC and its 95% interval, None where it is undefined; corrected:
    finding -> simultaneous interval of its difference; margin in (0, 0.5). Raises ValueError for another.
    """
    if not 0.0 < margin < MARGIN_LIMIT:
        raise ValueError(f"`margin` must be above 0 and below {MARGIN_LIMIT}. Received: {margin}")
    primary = _primary(difference, interval, margin)
    below = tuple(name for name, (_, high) in corrected.items() if high < -VETO_MARGINS * margin)
    if primary.passed and below:
        return Decision(Verdict.INFERIOR, primary, below)
    return Decision(primary, primary, ())


def _primary(difference: float | None, interval: Interval | None, margin: float) -> Verdict:
    if difference is None or interval is None:
        return Verdict.INCONCLUSIVE
    low, high = interval
    if low > 0:
        return Verdict.SUPERIOR
    if low > -margin:
        return Verdict.NON_INFERIOR
    if high < -margin or (high < 0 and difference < -margin):
        return Verdict.INFERIOR
    return Verdict.INCONCLUSIVE
