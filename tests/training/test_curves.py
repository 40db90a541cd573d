"""The sentence says what the losses did; the picture is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrbatch.training.curves import draw_curves, loss_sentence
from cxrbatch.training.history import COLUMNS
from cxrbatch.training.records import History


def history(losses: list[float], areas: list[float] | None = None, warmup: int = 2) -> History:
    rows = []
    for i, loss in enumerate(losses):
        area = np.nan if areas is None else areas[i]
        rate = 1e-3 if i < warmup else 1e-4 * 0.3 ** (i // 6)
        rows.append((i + 1.0, 10.0 * (i + 1), float(i >= warmup), loss, loss * 1.1, area, rate, 60.0, 40.0))
    return History(COLUMNS, tuple(rows))


@pytest.mark.parametrize(
    ("losses", "begins", "holds"),
    [
        ([0.7, 0.9, 0.52], "The training loss fell from 0.7 to 0.52 over 3 epochs.", ""),
        ([0.5, 0.3, 0.51], "The training loss did not fall: it went from 0.5 to 0.51", "learning rates"),
        ([0.5, 0.5], "The training loss did not fall", "labels belong to the images"),
        ([0.5], "The training loss was 0.5 in the only epoch", "two"),
        ([], "No epoch was finished", ""),
    ],
)
def test_one_sentence_says_what_the_loss_did(losses: list[float], begins: str, holds: str) -> None:
    said = loss_sentence(history(losses))
    assert said.startswith(begins)
    assert holds in said
    assert said.count(". ") == 0, "one sentence"


def inked(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        image.load()
        assert image.width > 800
        return np.asarray(image.convert("RGB"), int)


@pytest.mark.parametrize("count", [1, 2, 60])
def test_curves_are_drawn_for_any_number_of_epochs(tmp_path: Path, count: int) -> None:
    losses = list(0.3 + 0.4 * np.exp(-np.arange(count) / 5))
    draw_curves(history(losses, list(1.0 - np.array(losses))), tmp_path / "curves.png")
    with_areas = inked(tmp_path / "curves.png")
    draw_curves(history(losses), tmp_path / "without.png")
    assert (with_areas != inked(tmp_path / "without.png")).any()
    # The validation's orange, of both the loss and the AUROC.
    assert (np.abs(with_areas - (0xC5, 0x5A, 0x11)).max(axis=2) < 10).sum() > 20
