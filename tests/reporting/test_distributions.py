"""The plot of the night's scores."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cxrbatch.bundles.card import Card
from cxrbatch.reporting.distributions import score_distributions


@pytest.mark.parametrize("images", [1, 50])
def test_a_picture_is_drawn_for_any_number_of_images(card: Card, images: int) -> None:
    scores = np.random.default_rng(0).uniform(0, 1, (images, len(card.findings)))
    picture = Image.open(io.BytesIO(score_distributions(card, scores.tolist())))
    assert picture.format == "PNG"
    assert picture.width > picture.height
    assert np.asarray(picture.convert("L")).std() > 5


def test_scores_of_0_and_1_are_drawn_at_the_ends(card: Card) -> None:
    assert score_distributions(card, [[0.0, 1.0, 0.0, 1.0, 0.5]]).startswith(b"\x89PNG")
