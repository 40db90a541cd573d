from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from cxrbatch.evaluation.plots import curves, finding_figure, histograms, overview


@pytest.fixture
def one():
    rng = np.random.default_rng(0)
    y = (rng.random(5000) < 0.2).astype(float)
    s = 1 / (1 + np.exp(-(rng.normal(size=5000) + 1.5 * y)))
    y[:50] = np.nan
    return y, s


def test_thinned_curves_keep_their_areas(one):
    y, s = one
    drawn = curves("Mass", y, s, 0.8, 0.4, (0.5, 0.7, 0.7))
    known = ~np.isnan(y)
    assert len(drawn.roc) <= 302
    assert auc(drawn.roc[:, 0], drawn.roc[:, 1]) == pytest.approx(roc_auc_score(y[known], s[known]), abs=2e-3)
    recall, precision = drawn.precision_recall.T
    expected = average_precision_score(y[known], s[known])
    assert np.sum(np.diff(recall, prepend=0) * precision) == pytest.approx(expected, abs=5e-3)
    assert drawn.roc[0].tolist() == [0, 0]
    assert drawn.roc[-1].tolist() == [1, 1]


@pytest.mark.parametrize("draw", [lambda c: overview([c, c]), lambda c: histograms([c] * 6), finding_figure])
def test_pictures_are_png_and_the_same_every_time(one, draw):
    drawn = curves("Pleural_Thickening", *one, 0.8, 0.4, (0.5, 0.7, 0.7))
    picture = Image.open(io.BytesIO(draw(drawn)))
    assert picture.format == "PNG"
    assert np.asarray(picture.convert("L")).min() < 100
    assert draw(drawn) == draw(drawn)


@pytest.mark.parametrize(
    ("y", "s"),
    [
        (np.zeros(5), np.full(5, 0.3)),
        (np.full(5, np.nan), np.full(5, 0.5)),
        (np.array([0.0, 1]), np.array([0.0, 1])),
    ],
)
def test_a_finding_with_nothing_to_draw_is_an_empty_panel(y, s):
    drawn = curves("Mass", y, s, None, None, None)
    for data in (overview([drawn]), histograms([drawn]), finding_figure(drawn)):
        assert data.startswith(b"\x89PNG")
