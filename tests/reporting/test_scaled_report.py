"""A report by a model of other findings, whose values are scaled to operating points, of a cropped film."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from cxrbatch.bundles.card import Card, OperatingPointCurve
from cxrbatch.bundles.torchxrayvision import OUTPUTS, VARIANTS
from cxrbatch.ledger.records import StudyRecord
from cxrbatch.pipeline.input_spec import Fit, InputSpec, Scaling
from cxrbatch.reporting.content import ReportSettings, RunFacts
from cxrbatch.reporting.study_report import render_study

POINTS = dict(zip(OUTPUTS, VARIANTS["densenet121-res224-all"].operating_points, strict=True))


@pytest.fixture
def scaled(new_card: Callable[..., Card]) -> Card:
    """torchxrayvision's 18 findings, some of which no hospital's list of ours has."""
    return new_card(
        name="xrv",
        findings=OUTPUTS,
        thresholds=POINTS,
        thresholds_method="The operating points (op_threshs) of densenet121-res224-all.",
        calibration={name: OperatingPointCurve(operating_point=point) for name, point in POINTS.items()},
        calibration_method="torchxrayvision's op_norm. The values are no frequencies.",
        input=InputSpec(height=224, width=224, channels=1, scaling=Scaling.XRV, fit=Fit.CROP),
        validation=None,
    )


@pytest.fixture
def study(make_study: Callable[..., StudyRecord]) -> StudyRecord:
    """Below its point everywhere but at Fracture (0.3 of 0.036) and Lung Lesion."""
    values = [point / 2 for point in POINTS.values()]
    values[OUTPUTS.index("Fracture")], values[OUTPUTS.index("Lung Lesion")] = 0.3, 0.06
    y, x = np.mgrid[:7, :7]
    maps = np.stack([3 * np.exp(-((y - 1) ** 2 + (x - 5) ** 2) / 3.0) - 0.4] * 18, axis=-1)
    return make_study(probabilities=(tuple(values),), maps=maps.astype(np.float16))


def test_the_report_is_of_the_bundles_own_findings_in_its_own_scale(
    tmp_path: Path,
    study: StudyRecord,
    scaled: Card,
    new_facts: Callable[[Card], RunFacts],
    read_page: Callable[[Path], Any],
) -> None:
    render_study(tmp_path, study, new_facts(scaled), ReportSettings(hospital="St. Anna"))

    folder = tmp_path / "reports" / study.key
    page = read_page(folder / "report.html").text
    pdf = "".join("".join(p.extract_text().split()) for p in PdfReader(folder / "report.pdf").pages)
    for words in (
        "Enlarged cardiomediastinum", "Lung opacity", "Scaled", "no frequencies", "0.637 0.500 above",
        "0.250 0.500 below", "op_threshs",
    ):  # fmt: skip
        assert words in page, words
        assert "".join(words.split()) in pdf, words
    assert page.count("above") >= 2
    assert "Calibrated probabilities" not in page
    assert "0.5 has no meaning" not in page
    # 1 - (1 - 0.3) / (2 (1 - 0.035975814)), by hand
    assert "0.637" in page
