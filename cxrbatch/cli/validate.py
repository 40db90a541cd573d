"""``cxrbatch validate``: how well do probabilities agree with labels?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrbatch.cli.exits import Exit, leave

if TYPE_CHECKING:
    from cxrbatch.evaluation.cohort import CohortFlow
    from cxrbatch.evaluation.metrics import Metrics

_NAMED = 5


def validate(
    scores: Annotated[
        Path, typer.Argument(metavar="SCORES", help="scores.csv, or any table of probabilities.")
    ],
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="The reference standard: NIH's layout or a wide table.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and metrics.csv.")],
    rounds: Annotated[int, typer.Option(min=1, help="Bootstrap rounds.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    prevalence: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Also give PPV and NPV at this prevalence.")
    ] = None,
) -> None:
    """Measure probabilities against labels: AUROC with intervals, operating points, calibration."""
    from cxrbatch.evaluation.cohort import join
    from cxrbatch.evaluation.delimited import TableError
    from cxrbatch.evaluation.labels import read_labels
    from cxrbatch.evaluation.metrics import evaluate
    from cxrbatch.evaluation.tables import read_probabilities
    from cxrbatch.ledger.atomic import write_atomic

    try:
        table = read_probabilities(scores)
        reference = read_labels(labels, table.findings)
        cohort = join(reference, table)
    except TableError as error:
        leave(Exit.WRONG_USAGE, error)
    for name, count in reference.unknown_findings.items():
        typer.echo(f"{labels}: {name!r} is no known finding; {count} rows name it", err=True)
    _tell_flow(cohort.flow)
    metrics = evaluate(
        cohort.y_true,
        cohort.y_score,
        cohort.findings,
        cohort.clusters,
        rounds=rounds,
        seed=seed,
        attributes=cohort.attributes,
        stated_prevalence=prevalence,
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / "metrics.json", metrics.to_json().encode())
        write_atomic(out / "metrics.csv", metrics.to_frame().to_csv(index=False).encode())
    except OSError as error:
        leave(Exit.COULD_NOT_FINISH, f"{out} cannot be written: {error.strerror or error}")
    _tell_metrics(metrics)
    typer.echo(f"written to {out}", err=True)


def _tell_flow(flow: CohortFlow) -> None:
    typer.echo(
        f"{flow.matched} images matched, of {flow.rows_scored} scored and {flow.rows_labels} labelled",
        err=True,
    )
    for names, what in (
        (flow.unmatched_scored, "scored, without labels"),
        (flow.unmatched_labels, "labelled, not scored"),
        (flow.findings_scored_only, "findings without labels"),
        (flow.findings_labels_only, "findings without probabilities"),
    ):
        if names:
            more = ", ..." if len(names) > _NAMED else ""
            typer.echo(f"{len(names)} {what}: {', '.join(names[:_NAMED])}{more}", err=True)


def _tell_metrics(metrics: Metrics) -> None:
    for finding in metrics.findings:
        if finding.auroc is None:
            typer.echo(f"{finding.finding}: no AUROC, {finding.reason}", err=True)
            continue
        notes = f" ({'; '.join(finding.warnings)})" if finding.warnings else ""
        typer.echo(
            f"{finding.finding}: AUROC {finding.auroc:.4f}{_bracketed(finding.auroc_ci95)}, "
            f"{finding.n_pos} positive, {finding.n_neg} negative{notes}",
            err=True,
        )
    if metrics.macro_auroc is not None:
        typer.echo(
            f"macro AUROC {metrics.macro_auroc:.4f}{_bracketed(metrics.macro_auroc_ci95)} "
            f"over {metrics.macro_labels} findings",
            err=True,
        )
    for warning in metrics.warnings:
        typer.echo(warning, err=True)


def _bracketed(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" [{interval[0]:.4f}, {interval[1]:.4f}]"
