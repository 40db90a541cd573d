"""Calibrated probabilities at another prevalence than that of the films a model was calibrated on.

Where a finding is rarer among the films of the night, but looks the same, its odds change by the ratio of the
prior odds (Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001, theorem 2; Saerens, Latinne and
Decaestecker, Neural Computation 2002;14:21). Raw probabilities, thresholds and with them every decision stay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from cxrbatch.bundles.card import Card, PlattCurve
from cxrbatch.bundles.errors import BundleError


def at_prevalence(card: Card, stated: Mapping[str, float]) -> Card:
    """The card with its calibration moved to `stated` prevalences; findings that are not named stay.

    Args:
        card: with a calibration and the prevalences that it was made at.
        stated: finding to prevalence, in (0, 1).

    Raises:
        BundleError: the model has no such finding, no calibration, or its card does not tell at which
            prevalence it was calibrated.
    """
    if not stated:
        return card
    unknown = sorted(set(stated) - set(card.findings))
    if unknown:
        raise BundleError(
            f"A prevalence is stated for {', '.join(unknown)}, which the model {card.name} does not have; it "
            f"has {', '.join(card.findings)}."
        )
    if card.calibration is None or card.calibration_prevalence is None:
        raise BundleError(
            f"The card of {card.name} does not tell at which prevalence it was calibrated, so no other can "
            "be stated: leave `prevalence` out, or train a bundle of your own, whose card tells."
        )
    curves = dict(card.calibration)
    for name, prevalence in stated.items():
        curve = curves[name]
        if not isinstance(curve, PlattCurve):
            raise BundleError(
                f"The values of {card.name} for {name} are scaled to its operating point and are no "
                "frequencies: no prevalence can be stated for it."
            )
        moved = _logit(prevalence) - _logit(card.calibration_prevalence[name])
        curves[name] = PlattCurve(slope=curve.slope, intercept=curve.intercept + moved)
    told = ", ".join(f"{name} {stated[name]:g}" for name in card.findings if name in stated)
    sentence = f"{card.calibration_method} Moved to prevalences stated for this run: {told}.".strip()
    return card.model_copy(
        update={
            "calibration": curves,
            "calibration_method": sentence,
            "calibration_prevalence": card.calibration_prevalence | dict(stated),
        }
    )


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)
