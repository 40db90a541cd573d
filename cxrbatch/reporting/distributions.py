"""The score distribution of a night, one small histogram a finding. matplotlib, once a night."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np

from cxrbatch.bundles.card import Card
from cxrbatch.reporting.wording import finding as in_words
from cxrbatch.scoring.decision import logit

COLUMNS = 4
BINS = 40
_ENDS = (0.002, 0.998)
_TICKS = (0.01, 0.1, 0.5, 0.9, 0.99)


def score_distributions(card: Card, probabilities: Sequence[Sequence[float]]) -> bytes:
    """PNG of a histogram of raw probabilities for each finding, its threshold marked.

    Args:
        probabilities: (images, findings), raw, in the order of ``card.findings``; at least one image.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = math.ceil(len(card.findings) / COLUMNS)
    figure = Figure(figsize=(8.2, 0.45 + 1.42 * rows), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    scores = np.clip(np.asarray(probabilities, dtype=np.float64), *_ENDS)
    logits = np.log(scores / (1.0 - scores))
    edges = np.linspace(logit(_ENDS[0]), logit(_ENDS[1]), BINS + 1)
    for column, (name, axis) in enumerate(zip(card.findings, axes, strict=False)):
        threshold = card.thresholds[name]
        axis.hist(logits[:, column], bins=edges.tolist(), color="#7d8b98")
        axis.axvline(logit(threshold), color="black", linewidth=1.2)
        above = int(np.count_nonzero(np.asarray(probabilities)[:, column] >= threshold))
        axis.set_title(f"{in_words(name)}: {above} above {threshold:.3f}", fontsize=7, loc="left")
        axis.set_xticks([logit(tick) for tick in _TICKS], [f"{tick:g}" for tick in _TICKS])
        axis.set_xlim(edges[0], edges[-1])
        axis.yaxis.get_major_locator().set_params(integer=True, nbins=3)
        axis.tick_params(labelsize=6, length=2)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(card.findings) :]:
        axis.set_visible(False)
    figure.supxlabel("raw probability, logit scale (black line: threshold)", fontsize=7)
    figure.supylabel("images", fontsize=7)
    data = io.BytesIO()
    figure.set_dpi(160)
    canvas.print_png(data, metadata={"Software": None})
    return data.getvalue()
