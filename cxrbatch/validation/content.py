"""From figures to what the report's pages show: plots, lines, checklist, and the films of failures."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from cxrbatch import __version__
from cxrbatch.evaluation import plots, published
from cxrbatch.evaluation.account import CohortAccount
from cxrbatch.evaluation.checklist import checklist
from cxrbatch.evaluation.cohort import Cohort
from cxrbatch.evaluation.failures import most_confident_failures
from cxrbatch.evaluation.metric_records import FindingMetrics, Metrics
from cxrbatch.evaluation.subgroups import CAUTION
from cxrbatch.intake.studies import percent_encode
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.reporting.run_summary import flat_lines
from cxrbatch.reporting.validation_content import ChecklistRow, FailureCase, PublishedRow, ValidationContent
from cxrbatch.validation.inputs import Inputs, Options

FAILURES_EACH = 2
"""False positives and false negatives of each finding in the gallery."""


def report_content(
    inputs: Inputs,
    options: Options,
    metrics: Metrics,
    account: CohortAccount,
    found: Mapping[str, Any],
    ledger: Ledger | None,
) -> ValidationContent:
    """Everything on the pages. `found` is the content of metrics.json; `ledger` that of the scored run."""
    names, pictures = _pictures(account.cohort, metrics)
    failures = () if ledger is None else _failures(account.cohort, metrics, ledger)
    thresholds = _thresholds(inputs, options)
    return ValidationContent(
        title=f"Validation of {inputs.model.card.name} {inputs.model.card.version}"
        if inputs.model
        else f"Validation of {inputs.scores.name}",
        model=inputs.model.label if inputs.model else "model unknown (no --model)",
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        version=__version__,
        metrics=found,
        alarms=tuple(found["alarms"]),
        notices=tuple(found["notices"]),
        flow=account.lines(),
        flow_examples=account.examples(),
        provenance=tuple(flat_lines(found["provenance"])),
        thresholds=thresholds,
        caution=CAUTION,
        published_sources=tuple((source.name, source.citation) for source in published.SOURCES),
        published_rows=_published(metrics),
        published_caution=published.SPLITS_DIFFER,
        checklist=tuple(
            ChecklistRow(item.topic, item.guidelines, item.text, item.known)
            for item in checklist(_known(inputs, options, metrics, account, thresholds, bool(failures)))
        ),
        figures=names,
        pictures=pictures,
        failures=tuple(failures),
        without_gallery=""
        if failures
        else "No image was called wrongly at the operating points."
        if ledger is not None
        else "The images are not at hand: give a run folder as SCORES to see the most confident failures.",
    )


def _pictures(cohort: Cohort, metrics: Metrics) -> tuple[dict[str, str], dict[str, bytes]]:
    """File name of each finding's figure, and all pictures by file name."""
    curves = [
        plots.curves(
            row.finding, cohort.y_true[:, j], cohort.y_score[:, j], row.auroc, row.auprc, _marked_point(row)
        )
        for j, row in enumerate(metrics.findings)
    ]
    names: dict[str, str] = {}
    pictures = {"overview.png": plots.overview(curves), "histograms.png": plots.histograms(curves)}
    for number, one in enumerate(curves, start=1):
        safe = re.sub(r"[^A-Za-z0-9.-]+", "-", one.name).strip("-.") or "finding"
        names[one.name] = f"finding-{number:02d}-{safe[:60]}.png"
        pictures[names[one.name]] = plots.finding_figure(one)
    return names, pictures


def _marked_point(row: FindingMetrics) -> tuple[float, float | None, float | None] | None:
    point = row.operating_point
    return None if point is None else (point.threshold, point.sensitivity.value, point.specificity.value)


def _failures(cohort: Cohort, metrics: Metrics, ledger: Ledger) -> list[FailureCase]:
    """The most confident failures, with what the ledger knows of their images."""
    cuts = {row.finding: row.operating_point.threshold for row in metrics.findings if row.operating_point}
    wrong = most_confident_failures(cohort.y_true, cohort.y_score, cohort.findings, cuts, FAILURES_EACH)
    wanted = {cohort.ids[failure.row] for failure in wrong}
    images = {
        name: image
        for study, _ in ledger.studies()
        for image in study.images
        if (name := percent_encode(image.path)) in wanted
    }
    return [
        FailureCase(images[cohort.ids[f.row]], f.finding, f.score, f.threshold, f.false_positive)
        for f in wrong
        if cohort.ids[f.row] in images
    ]


def _published(metrics: Metrics) -> tuple[PublishedRow, ...]:
    others = published.published_aurocs([row.finding for row in metrics.findings])
    digits = [source.decimals for source in published.SOURCES]
    rows = [
        PublishedRow(
            row.finding,
            row.auroc,
            tuple(f"{value:.{d}f}" for value, d in zip(others[row.finding], digits, strict=True)),
        )
        for row in metrics.findings
        if row.finding in others
    ]
    if len(rows) > 1 and all(row.ours is not None for row in rows):
        ours = float(np.mean([row.ours for row in rows if row.ours is not None]))
        means = np.mean([others[row.finding] for row in rows], axis=0)
        shown = tuple(f"{value:.{d}f}" for value, d in zip(means, digits, strict=True))
        rows.append(PublishedRow(f"mean of these {len(rows)}", ours, shown))
    return tuple(rows)


def _thresholds(inputs: Inputs, options: Options) -> str:
    """Where the operating points are from, in a sentence or two."""
    part = options.tune_fraction
    other = (
        "chosen by their rule on the data they are judged on, which flatters them"
        if part is None
        else f"chosen by their rule on {part:.0%} of the patients and judged on the others"
    )
    if inputs.model is None:
        return f"No stored thresholds are known. All are {other}; the main one is Youden's."
    method = inputs.model.card.thresholds_method.rstrip(".")
    judged = "" if part is None else f", judged on the {1 - part:.0%} of the patients not used for choosing"
    return f"The main ones are those of the model's card{judged}: {method}. The others are {other}."


def _known(
    inputs: Inputs,
    options: Options,
    metrics: Metrics,
    account: CohortAccount,
    thresholds: str,
    gallery: bool,
) -> dict[str, str]:
    """What the program can say on the topics of the checklist."""
    flow = account.cohort.flow
    facts = {
        "data_source": f"{inputs.scores.name} and {inputs.labels_name}; SHA-256 under Provenance. "
        "Their origin: to be provided",
        "participants": f"{flow.rows_scored} rows scored, {flow.rows_labels} labelled, {flow.matched} "
        f"matched, {metrics.n_patients} patients; see Cohort flow",
        "missing": f"Unknown labels are left out for that finding only; {account.unlabelled} images "
        "have none known; unmatched rows are excluded and counted",
        "thresholds": thresholds,
        "measures": "AUROC with patient-clustered bootstrap and DeLong intervals; average precision; "
        "sensitivity, specificity, PPV, NPV with Wilson intervals; Brier score, ECE, calibration slope and "
        "intercept",
        "results": f"{metrics.macro_labels} of {len(metrics.findings)} findings; see Figures by finding",
        "calibration": "Reliability plots, slope and intercept; see Calibration",
        "fairness": f"By {', '.join(metrics.subgroups)}; see Subgroups" if metrics.subgroups else "",
        "failures": "The most confident errors with their heat maps; see Failures" if gallery else "",
    }
    if inputs.model is not None:
        card = inputs.model.card
        facts |= {
            "intended_use": card.intended_use,
            "model": f"{card.name} {card.version}, {card.architecture}, SHA-256 {inputs.model.sha256[:12]}; "
            f"probabilities of {len(card.findings)} findings",
            "preprocessing": f"{card.input.height} x {card.input.width} pixels, {card.input.channels} "
            f"channels, scaling {card.input.scaling.value}, fit {card.input.fit.value}",
            "training": card.training_data.description if card.training_data else "",
            "partitions": "Patient ids compared with the training patients of the model's card; see page one"
            if card.training_data and card.training_data.patient_id_hashes
            else "",
            "explainability": "Class activation maps" if card.heat_maps else "The model has none",
            "limitations": card.limits,
            "availability": f"Model: {card.licence.rstrip('.')}. Data: to be provided",
        }
    return facts
