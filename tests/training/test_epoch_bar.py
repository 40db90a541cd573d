"""What a person sees of an epoch: a bar on a terminal, a line a minute in a log."""

from __future__ import annotations

import io
import logging

import pytest

from cxrbatch.training import epoch_bar
from cxrbatch.training.epoch_bar import EpochBar


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(epoch_bar, "time", clock)
    return clock


def test_a_log_gets_one_line_a_minute(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    bar = EpochBar(epochs=3, steps=300, images_per_step=8)
    with caplog.at_level(logging.INFO, "cxrbatch"):
        for epoch in range(2):
            bar.on_epoch_begin(epoch)
            for step in range(300):
                clock.now += 1.0
                bar.on_train_batch_end(step, {"loss": 0.25})
            bar.on_epoch_end(epoch, {"loss": 0.25, "val_macro_auroc": 0.7125})
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 10
    assert lines[0] == "Epoch 1 of 3: step 60 of 300, loss 0.2500, 8.0 images/s, 4 min left in this epoch"
    assert lines[5].startswith("Epoch 2 of 3: step 60 of 300, loss 0.2500, validation AUROC 0.7")


def test_a_terminal_gets_a_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "150")
    bar = EpochBar(epochs=2, steps=10, images_per_step=8)
    for epoch in range(2):
        bar.on_epoch_begin(epoch)
        for step in (0, 2, 1, 3, 4, 5, 6, 7, 9, 8):  # beside the steps, so not always in order
            clock.now += 1.0
            bar.on_train_batch_end(step, {"loss": 0.5})
        bar.on_epoch_end(epoch, {"loss": 0.4321, "val_macro_auroc": 0.7125})
    first, second = (
        terminal.getvalue().split("Epoch 2 of 2")[0],
        terminal.getvalue().split("Epoch 1 of 2")[-1],
    )
    assert "80/80" in first
    assert "images/s" in first
    assert "validation AUROC 0.71" in second
    assert "loss 0.4321" in first
