"""How the losses went, as a picture and as one plain sentence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.training.disk import writing
from cxrbatch.training.records import History

_BLUE, _ORANGE, _GREY, _SHADE = "#1f4e79", "#c55a11", "#5f6b76", "#e9edf1"
_FEW_EPOCHS = 40
"""Up to so many have a dot each."""


def draw_curves(history: History, path: Path) -> None:
    """Write ``curves.png``: losses, validation macro AUROC and learning rate by epoch.

    Epochs in which the head alone learned are shaded, the best epoch is marked. `history` needs the columns
    epoch, deep, loss, val_loss, val_macro_auroc and learning_rate. Raises TrainingError when
    the disk is full.
    """
    figure = Figure(figsize=(7.5, 8.0), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    losses, areas, rates = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    epochs = history.column("epoch")
    _draw(losses, epochs, history.column("loss"), _BLUE, "training")
    _draw(losses, epochs, history.column("val_loss"), _ORANGE, "validation")
    losses.set_ylabel("loss")
    _draw_areas(areas, epochs, history.column("val_macro_auroc"))
    rates.step(epochs, history.column("learning_rate"), where="mid", marker=".", color=_BLUE)
    rates.set_yscale("log")
    rates.set_ylabel("learning rate")
    rates.set_xlabel("epoch")
    rates.xaxis.set_major_locator(MaxNLocator(integer=True))
    rates.set_xlim(epochs.min(initial=1.0) - 0.5, epochs.max(initial=1.0) + 0.5)
    if (history.column("deep") == 0).any():
        losses.set_title("shaded: the head alone learned", fontsize=9, loc="left", color=_GREY)
    for axis in (losses, areas, rates):
        _shade_warmup(axis, epochs, history.column("deep"))
        axis.grid(visible=True, color="#dde2e7", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    losses.legend(frameon=False, fontsize=9)
    buffer = io.BytesIO()
    canvas.print_figure(buffer, dpi=130, format="png")
    with writing(path, "the picture of the curves"):
        write_atomic(path, buffer.getvalue())


def loss_sentence(history: History) -> str:
    """One sentence: the training loss fell, from what to what; or that it did not, and what to look at."""
    loss = history.column("loss")
    count = len(loss)
    if count == 0:
        return "No epoch was finished, so nothing can be said of the training loss."
    if count == 1:
        return f"The training loss was {loss[0]:.4g} in the only epoch: whether it falls takes two to see."
    first, last = float(loss[0]), float(loss[-1])
    if last < first:
        return f"The training loss fell from {first:.4g} to {last:.4g} over {count} epochs."
    return (
        f"The training loss did not fall: it went from {first:.4g} to {last:.4g} over {count} epochs; look "
        "at whether the labels belong to the images (TensorBoard shows training images), at the learning "
        "rates (a tenth, or three times as much), and at whether an epoch has enough steps."
    )


def _draw_areas(axis: Any, epochs: NDArray[np.float64], areas: NDArray[np.float64]) -> None:
    axis.set_ylabel("validation macro AUROC")
    if not np.isfinite(areas).any():
        axis.text(
            0.5, 0.5, "no finding has both classes in validation", ha="center", transform=axis.transAxes
        )
        axis.set_yticks([])
        return
    _draw(axis, epochs, areas, _ORANGE, "")
    best = int(np.nanargmax(areas))
    axis.plot(epochs[best], areas[best], "o", markersize=9, markerfacecolor="none", color=_BLUE)
    axis.set_title(
        f"best: {areas[best]:.3f} in epoch {epochs[best]:.0f}", fontsize=9, loc="left", color=_BLUE
    )


def _draw(axis: Any, x: NDArray[np.float64], y: NDArray[np.float64], colour: str, label: str) -> None:
    marker = "o" if len(x) <= _FEW_EPOCHS else ""
    axis.plot(x, y, color=colour, label=label, marker=marker, markersize=3.5, linewidth=1.6)


def _shade_warmup(axis: Any, epochs: NDArray[np.float64], deep: NDArray[np.float64]) -> None:
    head = epochs[deep == 0]
    if len(head):
        axis.axvspan(head[0] - 0.5, head[-1] + 0.5, color=_SHADE, zorder=0)
