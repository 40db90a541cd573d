"""Confidence intervals for an AUROC from its variance."""

from __future__ import annotations

import math
from statistics import NormalDist

from scipy.special import stdtrit

Interval = tuple[float, float]


def normal_quantile(level: float) -> float:
    """Two-sided: 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + level / 2.0)


def t_quantile(level: float, degrees: float) -> float:
    """Two-sided quantile of Student's t; infinite degrees of freedom give the normal quantile."""
    return normal_quantile(level) if math.isinf(degrees) else float(stdtrit(degrees, 0.5 + level / 2.0))


def logit_interval(
    auroc: float, variance: float, level: float = 0.95, degrees: float = math.inf
) -> Interval | None:
    """Wald interval on the logit scale, mapped back to [0, 1]; None where it is undefined.

    se(logit A) = se(A) / (A (1 - A)) by the delta method (Pepe 2003, section 5.2.4). On the plain scale the
    interval leaves [0, 1] and covers too little with few positives. `degrees` of freedom make it Student's t,
    which allows for the variance being an estimate itself. Undefined when A is 0
    or 1, where the estimated variance is 0 whatever the truth.
    """
    if not (0.0 < auroc < 1.0) or not math.isfinite(variance) or variance < 0 or degrees < 1:
        return None
    half = t_quantile(level, degrees) * math.sqrt(variance) / (auroc * (1.0 - auroc))
    centre = math.log(auroc / (1.0 - auroc))
    return _expit(centre - half), _expit(centre + half)


def _expit(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
