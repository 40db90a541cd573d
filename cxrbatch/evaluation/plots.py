"""Plots of a validation as PNG: ROC, precision-recall, reliability, and the scores of either class.

Figures are made on an Agg canvas of their own: there is no pyplot state, and nothing is shown.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrbatch.evaluation.auroc import Floats
from cxrbatch.evaluation.calibration import ReliabilityBins, reliability_bins
from cxrbatch.evaluation.operating_points import roc_curve, wilson_interval

COLUMNS = 5
_POINTS = 300
"""A curve is drawn through at most so many of its points: more cannot be seen."""
_BLUE, _ORANGE, _GREY = "#1f4e79", "#c55a11", "#8a949e"
_HISTOGRAM_BINS = 40
_LOGIT_ENDS = (0.002, 0.998)
_LOGIT_TICKS = (0.01, 0.1, 0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Curves:
    """What is drawn of one finding; `roc` and `precision_recall` are None without both classes.

    roc: (points, 2) of 1 - specificity and sensitivity; precision_recall: (points, 2) of recall and
    precision; bins of equal width; positive and negative: scores of either class; operating_point:
    threshold, sensitivity and specificity, None where there is none.
    """

    name: str
    roc: Floats | None
    precision_recall: Floats | None
    bins: ReliabilityBins
    positive: Floats
    negative: Floats
    auroc: float | None
    auprc: float | None
    operating_point: tuple[float, float | None, float | None] | None


def curves(
    name: str,
    y_true: Floats,
    y_score: Floats,
    auroc: float | None,
    auprc: float | None,
    operating_point: tuple[float, float | None, float | None] | None,
) -> Curves:
    """Prepare one finding. y_true (n,): 0, 1, NaN (left out); y_score (n,) in [0, 1]."""
    known = ~np.isnan(y_true)
    truth, score = y_true[known], y_score[known]
    roc = recall = None
    if truth.size and truth.min() != truth.max():
        curve = roc_curve(truth, score)
        roc = np.column_stack([1.0 - curve.specificity, curve.sensitivity])
        tp = curve.sensitivity[1:] * np.sum(truth == 1)
        called = tp + (1.0 - curve.specificity[1:]) * np.sum(truth == 0)
        recall = np.column_stack([curve.sensitivity[1:], tp / called])
    return Curves(
        name=name,
        roc=None if roc is None else _thin(roc),
        precision_recall=None if recall is None else _thin(recall),
        bins=reliability_bins(truth, score),
        positive=score[truth == 1],
        negative=score[truth == 0],
        auroc=auroc,
        auprc=auprc,
        operating_point=operating_point,
    )


def overview(findings: Sequence[Curves]) -> bytes:
    """One page: a panel a finding for ROC, for precision-recall and for reliability, in three blocks."""
    rows = math.ceil(len(findings) / COLUMNS)
    columns = min(COLUMNS, len(findings))
    figure, canvas = _figure(1.45 * max(columns, 3), 3 * (1.02 * rows + 0.3))
    blocks = figure.subfigures(3, 1)
    kinds: tuple[tuple[str, Callable[[Any, Curves], None]], ...] = (
        ("ROC: sensitivity against 1 - specificity (dot: operating point; AUROC)", _draw_roc),
        ("Precision (PPV) against recall (dashed: prevalence; average precision)", _draw_precision_recall),
        (
            "Reliability: observed share against mean probability, 95% Wilson (dashed: ideal)",
            _draw_reliability,
        ),
    )
    for block, (title, draw) in zip(blocks, kinds, strict=True):
        block.suptitle(title, fontsize=7.5, x=0.01, ha="left", weight="bold")
        axes = block.subplots(rows, columns, squeeze=False).ravel()
        for axis, one in zip(axes, findings, strict=False):
            draw(axis, one)
            _unit_square(axis, small=True)
        for axis in axes[len(findings) :]:
            axis.set_visible(False)
    return _png(figure, canvas, 170)


def finding_figure(one: Curves) -> bytes:
    """One finding: ROC, precision-recall, reliability and the scores by class, side by side."""
    figure, canvas = _figure(10.4, 2.9)
    axes = figure.subplots(1, 4)
    for axis, draw, across, up in (
        (axes[0], _draw_roc, "1 - specificity", "sensitivity"),
        (axes[1], _draw_precision_recall, "recall (sensitivity)", "precision (PPV)"),
        (axes[2], _draw_reliability, "mean probability", "observed share"),
    ):
        draw(axis, one)
        _unit_square(axis, small=False)
        axis.set_xlabel(across, fontsize=8)
        axis.set_ylabel(up, fontsize=8)
    _draw_histogram(axes[3], one)
    axes[3].set_ylabel("share of the class", fontsize=8)
    axes[3].set_xlabel("probability, logit scale", fontsize=8)
    for axis, title in zip(axes, ("ROC", "Precision-recall", "Reliability", "Scores by class"), strict=True):
        said = axis.get_title(loc="left").removeprefix(in_words(one.name)).strip()
        axis.set_title("", loc="left")
        axis.set_title(f"{title} {said}".strip(), fontsize=8.5, loc="left")
    return _png(figure, canvas, 130)


def histograms(findings: Sequence[Curves]) -> bytes:
    """The scores of either class, a panel a finding."""
    columns = min(COLUMNS, len(findings))
    rows = math.ceil(len(findings) / COLUMNS)
    figure, canvas = _figure(1.45 * max(columns, 3), 1.3 * rows + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, one in zip(axes, findings, strict=False):
        _draw_histogram(axis, one)
        axis.tick_params(labelsize=5, length=1.5)
    for axis in axes[len(findings) :]:
        axis.set_visible(False)
    figure.supxlabel(
        "probability, logit scale; share of each class (outlined: with the finding; grey: without)",
        fontsize=7,
    )
    return _png(figure, canvas, 170)


def in_words(name: str) -> str:
    """`Pleural_Thickening` as it is written in a title."""
    return name.replace("_", " ")


def _draw_roc(axis: Any, one: Curves) -> None:
    axis.plot([0, 1], [0, 1], color=_GREY, linewidth=0.6, linestyle="--")
    if one.roc is not None:
        axis.plot(one.roc[:, 0], one.roc[:, 1], color=_BLUE, linewidth=1.1)
    if one.operating_point is not None and None not in one.operating_point:
        _, sensitivity, specificity = one.operating_point
        axis.plot([1.0 - (specificity or 0.0)], [sensitivity], "o", color=_ORANGE, markersize=3)
    _title(axis, one, one.auroc)


def _draw_precision_recall(axis: Any, one: Curves) -> None:
    total = one.positive.size + one.negative.size
    if total:
        axis.axhline(one.positive.size / total, color=_GREY, linewidth=0.6, linestyle="--")
    if one.precision_recall is not None:
        axis.plot(one.precision_recall[:, 0], one.precision_recall[:, 1], color=_BLUE, linewidth=1.1)
    _title(axis, one, one.auprc)


def _draw_reliability(axis: Any, one: Curves) -> None:
    axis.plot([0, 1], [0, 1], color=_GREY, linewidth=0.6, linestyle="--")
    bins = one.bins
    for p, rate, count in zip(bins.mean_probability, bins.observed_rate, bins.count, strict=True):
        interval = wilson_interval(round(rate * count), int(count))
        if interval is not None:
            axis.plot([p, p], interval, color=_BLUE, linewidth=0.7, alpha=0.6)
    axis.plot(bins.mean_probability, bins.observed_rate, "-o", color=_BLUE, linewidth=0.9, markersize=2)
    _title(axis, one, None)


def _draw_histogram(axis: Any, one: Curves) -> None:
    edges = np.linspace(_logit(_LOGIT_ENDS[0]), _logit(_LOGIT_ENDS[1]), _HISTOGRAM_BINS + 1)
    for scores, colour in ((one.negative, _GREY), (one.positive, _ORANGE)):
        if scores.size:
            shares = np.histogram(_logit(np.clip(scores, *_LOGIT_ENDS)), edges)[0] / scores.size
            axis.stairs(shares, edges, fill=True, color=colour, alpha=0.45)
            if colour == _ORANGE:  # the outline tells the classes apart in grey print
                axis.stairs(shares, edges, color="black", linewidth=0.7)
    if one.operating_point is not None:
        axis.axvline(_logit(np.clip(one.operating_point[0], *_LOGIT_ENDS)), color="black", linewidth=0.9)
    axis.set_xticks([_logit(tick) for tick in _LOGIT_TICKS], [f"{tick:g}" for tick in _LOGIT_TICKS])
    axis.set_xlim(edges[0], edges[-1])
    axis.set_yticks([])
    axis.tick_params(labelsize=6.5, length=2)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.set_title(in_words(one.name), fontsize=6.5, loc="left", pad=2)


def _title(axis: Any, one: Curves, value: float | None) -> None:
    shown = "" if value is None else f" {value:.3f}"
    axis.set_title(f"{in_words(one.name)}{shown}", fontsize=6.5, loc="left", pad=2)


def _unit_square(axis: Any, small: bool) -> None:
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.02)
    axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.tick_params(labelsize=5 if small else 7, length=1.5 if small else 3, pad=1.5)
    axis.spines[["top", "right"]].set_visible(False)


def _logit(p: Any) -> Any:
    return np.log(p / (1.0 - p))


def _thin(points: Floats) -> Floats:
    """At most `_POINTS` of a curve's points, evenly along its length, the first and last among them."""
    if len(points) <= _POINTS:
        return points
    steps = np.hypot(np.diff(points[:, 0]), np.diff(points[:, 1]))
    along = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.searchsorted(along, np.linspace(0.0, along[-1], _POINTS))
    return points[np.unique(np.clip(np.append(wanted, [0, len(points) - 1]), 0, len(points) - 1))]


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, FigureCanvasAgg(figure)


def _png(figure: Any, canvas: Any, dpi: int) -> bytes:
    figure.set_dpi(dpi)
    data = io.BytesIO()
    canvas.print_png(data, metadata={"Software": None})
    return data.getvalue()
