"""What a mode, and a start, make of the settings."""

from __future__ import annotations

import pytest

from cxrbatch.training.settings import Mode, TrainSettings, make_plan


def test_a_known_head_is_not_warmed_up_and_is_kept_near() -> None:
    plan = make_plan("full", TrainSettings(), head_is_known=True)
    assert (plan.warmup_epochs, plan.start_share) == (0, 0.5)


def test_a_new_head_is_warmed_up_and_goes_all_the_way() -> None:
    plan = make_plan("full", TrainSettings(), head_is_known=False)
    assert (plan.warmup_epochs, plan.start_share) == (2, 0.0)
    assert make_plan("full", TrainSettings(epochs=1)).warmup_epochs == 1


def test_a_trial_trains_the_head_alone_whatever_it_knows() -> None:
    plan = make_plan("subset", TrainSettings(), head_is_known=True)
    assert (plan.warmup_epochs, plan.epochs, plan.start_share) == (3, 3, 0.0)


@pytest.mark.parametrize("mode", ["full", "subset"])
@pytest.mark.parametrize("head_is_known", [True, False])
def test_what_is_asked_for_is_done(mode: Mode, head_is_known: bool) -> None:
    for share in (0.0, 0.3):
        settings = TrainSettings(warmup_epochs=1, start_share=share, epochs=4)
        plan = make_plan(mode, settings, head_is_known=head_is_known)
        assert (plan.warmup_epochs, plan.start_share, plan.epochs) == (1, share, 4)
