"""--findings: which heat maps are drawn."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cxrbatch.bundles.card import Card
from cxrbatch.reporting.choice import acute_on, check_findings, findings_to_draw

# thresholds: Effusion .4, Pneumothorax .3, Pleural_Thickening .2, Nodule .1, Hernia .05
TWO_FLAGGED = (0.5, 0.1, 0.9, 0.02, 0.01)
NONE_FLAGGED = (0.1, 0.29, 0.01, 0.02, 0.01)


def test_flagged_are_those_at_or_above_threshold_by_margin(card: Card) -> None:
    assert findings_to_draw("flagged", card, TWO_FLAGGED) == ["Pleural_Thickening", "Effusion"]
    exactly_at = (0.4, 0.1, 0.1, 0.02, 0.01)
    assert findings_to_draw("flagged", card, exactly_at) == ["Effusion"]


def test_flagged_draws_the_top_one_by_margin_when_none_is(card: Card) -> None:
    # Pneumothorax has not the largest ratio or probability by accident: it is closest to its threshold.
    assert findings_to_draw("flagged", card, NONE_FLAGGED) == ["Pneumothorax"]


def test_top_n_takes_the_best_validated_not_the_most_probable(card: Card) -> None:
    # AUROC: Hernia .95, Pneumothorax .9, Effusion .8, Pleural_Thickening .6; Nodule has none
    assert set(findings_to_draw("top:2", card, TWO_FLAGGED)) == {"Hernia", "Pneumothorax"}
    assert set(findings_to_draw("TOP:9", card, TWO_FLAGGED)) == set(card.findings) - {"Nodule"}


def test_all_draws_every_finding_most_above_first(card: Card) -> None:
    drawn = findings_to_draw("all", card, TWO_FLAGGED)
    assert sorted(drawn) == sorted(card.findings)
    assert drawn[:2] == ["Pleural_Thickening", "Effusion"]


@pytest.mark.parametrize(
    "spec", ["pleural thickening,NODULE", "Pleural_Thickening, nodule,", "pleuralthickening,Nodule"]
)
def test_names_match_regardless_of_case_spaces_and_underscores(card: Card, spec: str) -> None:
    assert set(findings_to_draw(spec, card, TWO_FLAGGED)) == {"Pleural_Thickening", "Nodule"}


@pytest.mark.parametrize("spec", ["Effusion,Efusion", "", ",", "top:0", "top:x", "top:-1", "top:1.5"])
def test_what_cannot_be_drawn_is_refused(card: Card, spec: str) -> None:
    with pytest.raises(ValueError, match=r"Known|Received"):
        findings_to_draw(spec, card, TWO_FLAGGED)
    with pytest.raises(ValueError, match=r"Known|Received"):
        check_findings(spec, card)


def test_unknown_name_is_said_with_the_known_ones(card: Card) -> None:
    with pytest.raises(ValueError, match=r"'Efusion'.*Known: Effusion, Pneumothorax"):
        check_findings("Effusion,Efusion", card)


def test_top_n_without_validated_aurocs_is_refused(new_card: Callable[..., Card]) -> None:
    with pytest.raises(ValueError, match="has none"):
        check_findings("top:2", new_card(validation=None))


def test_acute_findings_match_regardless_of_case_and_spaces(card: Card) -> None:
    assert acute_on(card, ("pneumothorax", "pleural thickening")) == ("Pneumothorax", "Pleural_Thickening")


def test_default_acute_finding_may_be_missing_on_a_card(card: Card) -> None:
    assert acute_on(card, ("edema", "Effusion")) == ("Edema", "Effusion")


def test_acute_finding_that_nothing_is_called_like_is_refused(card: Card) -> None:
    with pytest.raises(ValueError, match=r"'Pneumothoraks'.*Known: "):
        acute_on(card, ("Effusion", "Pneumothoraks"))
