from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from cxrbatch.reporting.comparison_report import write_comparison
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.reporting.forest import ForestRow, forest_plot


def finding(**changes):
    rates = {"a": 0.8, "b": 0.75, "difference": -0.05, "ci95": [-0.1, 0.0], "p": 0.04, "p_holm": 0.08} | {
        "test": "McNemar, exact"
    }
    calls = dict.fromkeys(("called_by_both", "called_by_a_only", "called_by_b_only", "called_by_neither"), 7)
    row = {
        "n_pos": 31,
        "n_neg": 300,
        "in_endpoint": True,
        "auroc": {
            "a": 0.812,
            "b": 0.799,
            "difference": -0.013,
            "ci95": [-0.03, 0.004],
            "ci95_corrected": [-0.04, 0.02],
            "delong": {"standard_error": 0.01, "ci95": [-0.031, 0.005], "p": 0.0004},
            "p_holm": 0.0008,
        },
        "operating_point": {
            "threshold_a": 0.4,
            "threshold_b": 0.3,
            "sensitivity": rates,
            "specificity": rates,
            "reclassification": {
                "positives": calls,
                "negatives": calls,
                "net_reclassification_improvement": -0.1,
            },
        },
        "warnings": [],
    }
    return row | changes


@pytest.fixture
def verdict():
    nothing = {"count": 0, "examples": []}
    undefined = dict.fromkeys(("a", "b", "difference", "ci95", "ci95_corrected", "delong", "p_holm"))
    return {
        "verdict": "inconclusive",
        "words": "These data do not settle it.",
        "rule": ["First sentence.", "Second sentence."],
        "margin": 0.02,
        "primary": {
            "macro_auroc_a": 0.81,
            "macro_auroc_b": 0.8,
            "macro_labels": 1,
            "difference": -0.01,
            "ci95": [-0.03, 0.01],
            "delong": None,
        },
        "veto": {"fired": False, "findings": [], "limit": -0.04},
        "sample_size": {"words": "5,228 patients would."},
        "correction": "Holm and Bonferroni.",
        "corrected_level": 0.975,
        "findings": {
            "Pleural_Thickening": finding(),
            "Hernia": finding(
                auroc=undefined,
                operating_point=None,
                in_endpoint=False,
                warnings=["no interval: one class only"],
            ),
        },
        "n_images": 331,
        "n_patients": 200,
        "bootstrap": {"rounds": 2000, "seed": 5, "clusters": 200, "rounds_left_out": 0},
        "warnings": ["Alarm: A gives every image the same score: Mass", "Only 20 patients."],
        "models": {
            "a": {"label": "old 1 0123456789ab", "name": "old", "version": "1", "sha256": "0123456789ab"}
            | {"identified_by": "command line"},
            "b": dict.fromkeys(("label", "name", "version", "sha256", "identified_by")),
        },
        "inputs": {name: {"path": f"/x/{name}.csv", "sha256": "ab" * 32} for name in ("scores_a", "scores_b")}
        | {"labels": {"path": "/x/<b>labels.csv", "sha256": "cd" * 32}},
        "cohort": {
            "rows_a": 340,
            "rows_b": 341,
            "rows_labels": 342,
            "paired": 331,
            "left_out": {
                "only_in_a": {"count": 7, "examples": [f"<i>{n}.png" for n in range(7)]},
                "only_in_b": nothing,
                "without_labels_in_a": nothing,
                "without_labels_in_b": nothing,
                "labelled_not_scored": nothing,
            },
            "findings_left_out": {"Nodule": "A"},
        },
        "unknown_findings": {"Foo": 3},
        "code": {"cxrbatch": "9.8.7", "python": "3.11", "numpy": "2"},
        "created": "2026-11-23T12:00:00+01:00",
    }


def test_page_one_holds_verdict_rule_figures_and_forest(verdict, tmp_path):
    write_comparison(tmp_path, verdict, ReportSettings(hospital="St. Test"))
    pages = PdfReader(tmp_path / "comparison.pdf").pages
    text = " ".join(pages[0].extract_text().split())
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in " ".join(page.extract_text().split())
    for part in (
        "St. Test",
        "Inconclusive: B may not replace A on these data",
        "5,228 patients would.",
        "First sentence.",
        "Alarm: A gives every image the same score: Mass",
        "old 1 0123456789ab (named on the command line, not in the table)",
        "not named in its table",
        "-0.0100, 95% interval -0.0300 to +0.0100",
        "no finding has a veto",
    ):
        assert part in text
    assert len(pages[0].images) == 1


def test_every_table_is_in_the_html_and_values_are_escaped(verdict, tmp_path):
    write_comparison(tmp_path, verdict, ReportSettings())
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    for part in (
        "-0.013",
        "-0.040 to +0.020",
        "&lt;0.001",
        "Pleural thickening",
        "Hernia: no interval: one class only.",
        "no operating point: one class only",
        "7: &lt;i&gt;0.png",
        "all in left_out.csv",
        "Nodule (only in A)",
        "Foo: 3 rows",
        "/x/&lt;b&gt;labels.csv",
        "2000 rounds, seed 5",
        "cxrbatch 9.8.7",
    ):
        assert part in page, part
    assert "<i>0.png" not in page
    assert "nan" not in page.lower().replace("finance", "")
    assert (tmp_path / "comparison_files" / "forest.png").is_file()


@pytest.mark.parametrize("word", ["superior", "non_inferior", "inferior"])
def test_every_verdict_has_its_title(verdict, tmp_path, word):
    changed = json.loads(json.dumps(verdict)) | {"verdict": word, "sample_size": None}
    changed["veto"] |= {"fired": True, "findings": ["Pleural_Thickening"]}
    write_comparison(tmp_path, changed, ReportSettings())
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert ("B may not replace A" in page) == (word == "inferior")
    assert "vetoed by Pleural thickening" in page


def test_without_any_figure_there_is_still_a_report(verdict, tmp_path):
    verdict["primary"] |= dict.fromkeys(("macro_auroc_a", "macro_auroc_b", "difference", "ci95", "delong"))
    del verdict["findings"]["Pleural_Thickening"]
    write_comparison(tmp_path, verdict, ReportSettings())
    assert len(PdfReader(tmp_path / "comparison.pdf").pages) >= 1


def test_forest_draws_intervals_where_they_are():
    def ink(row):
        picture = Image.open(io.BytesIO(forest_plot([row], -0.02, -0.04))).convert("L")
        return int(np.sum(np.asarray(picture) < 90))

    bare = ForestRow("Mass", 0.01, None, None)
    assert ink(ForestRow("Mass", 0.01, (-0.05, 0.07), (-0.08, 0.1))) > ink(bare) + 100
