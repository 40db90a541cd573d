"""A forest plot of differences: the mean on top, a row each, with the margins of the rule. matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A difference with its 95% interval and, if there is one, the wider corrected interval."""

    name: str
    difference: float
    interval: Pair | None
    corrected: Pair | None
    bold: bool = False


def forest_plot(rows: Sequence[ForestRow], margin: float, veto: float) -> bytes:
    """PNG; `margin` and `veto` are the (negative) differences at which lines are drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.2, 0.7 + 0.175 * len(rows)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axis = figure.subplots()
    for place, row in enumerate(rows):
        y = -place
        if row.corrected is not None:
            axis.plot(row.corrected, (y, y), color="#9aa7b3", linewidth=1.0, zorder=2)
        if row.interval is not None:
            axis.plot(row.interval, (y, y), color="black", linewidth=2.4 if row.bold else 1.7, zorder=3)
        marker, size = ("D", 5.5) if row.bold else ("o", 4.0)
        hollow = row.interval is None
        axis.plot(
            [row.difference],
            [y],
            marker,
            color="black",
            markersize=size,
            markerfacecolor="white" if hollow else "black",
            zorder=4,
        )
    axis.axvline(0.0, color="black", linewidth=0.8)
    axis.axvline(margin, color="#b35900", linewidth=1.1, linestyle="--")
    axis.axvline(veto, color="#a01010", linewidth=1.1, linestyle=":")
    top = axis.get_xaxis_transform()
    height = 0.7 + 0.175 * len(rows)
    # One line apart: with wide intervals the two stand close together.
    for x, above, text, colour in (
        (margin, 1.0, f"margin {margin:g}", "#b35900"),
        (veto, 1.0 + 0.14 / height, f"veto {veto:g}", "#a01010"),
    ):
        axis.text(x, above, text, transform=top, fontsize=6.5, color=colour, ha="right", va="bottom")
    axis.text(0.0, 1.0, "no difference", transform=top, fontsize=6.5, ha="left", va="bottom")
    axis.set_yticks([-place for place in range(len(rows))], [row.name for row in rows], fontsize=7)
    for label, row in zip(axis.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.bold else "normal")
    axis.set_ylim(-len(rows) + 0.4, 0.6)
    axis.tick_params(axis="x", labelsize=7, length=2)
    axis.tick_params(axis="y", length=0)
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:+.3f}".rstrip("0") if abs(x) > 1e-9 else "0")
    axis.set_xlabel("difference in AUROC, B - A  (left: A is better; right: B is better)", fontsize=7)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.grid(axis="y", color="#eeeeee", linewidth=0.6)
    axis.set_axisbelow(True)
    data = io.BytesIO()
    figure.set_dpi(170)
    canvas.print_png(data, metadata={"Software": None})
    return data.getvalue()
