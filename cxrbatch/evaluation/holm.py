"""Several tests at once: Holm's adjusted p values, and the level of simultaneous intervals."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Holm's adjusted p values, in the order given; None (no test) is left out of the count and stays None.

    With the m values sorted, p_(i) becomes the largest of (m - j + 1) p_(j) over j <= i, at most 1. Rejecting
    those at or below alpha keeps the chance of any false rejection at alpha, whatever the dependence (Holm,
    Scandinavian Journal of Statistics 1979;6:65). Raises ValueError for a value outside [0, 1].
    """
    tested = [(value, place) for place, value in enumerate(p_values) if value is not None]
    if any(not 0.0 <= value <= 1.0 for value, _ in tested):
        raise ValueError(f"`p_values` must be within [0, 1]. Received: {list(p_values)}")
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (value, place) in enumerate(sorted(tested)):
        largest = max(largest, min(1.0, (len(tested) - rank) * value))
        adjusted[place] = largest
    return tuple(adjusted)


def simultaneous_level(level: float, intervals: int) -> float:
    """Bonferroni: the level of each of so many intervals, so that all of them hold at once at `level`.

    Holm's procedure has no simultaneous intervals that say more than its tests do (Strassburger and Bretz,
    Statistics in Medicine 2008;27:4914), so intervals are corrected by Bonferroni: somewhat wider than they
    would have to be.
    """
    return 1.0 - (1.0 - level) / max(intervals, 1)
