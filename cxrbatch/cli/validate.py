"""``cxrbatch validate``: how well do probabilities agree with labels?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.privacy import keep_private
from cxrbatch.cli.terminal import say

if TYPE_CHECKING:
    from cxrbatch.validation.run import Validated


def validate(
    scores: Annotated[
        Path,
        typer.Argument(metavar="SCORES", help="scores.csv, any table of probabilities, or a run folder."),
    ],
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="The reference standard: NIH's layout or a wide table.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the report, its figures and tables.")],
    model: Annotated[
        str | None,
        typer.Option(help="The bundle that gave the scores: judge its thresholds, look for its patients."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=2, help="Bootstrap rounds.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap and of the split.")] = 0,
    prevalence: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Also give PPV and NPV at this prevalence.")
    ] = None,
    sensitivity: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Also the most specific point with this sensitivity.")
    ] = 0.9,
    specificity: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Also the most sensitive point with this specificity.")
    ] = 0.9,
    tune_fraction: Annotated[
        float | None,
        typer.Option(help="Choose thresholds on this share of the patients, judge them on the others."),
    ] = None,
    subgroups: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", help="Columns (default: sex,age,view,manufacturer,site)."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="cxrbatch.toml.", envvar="CXRBATCH_CONFIG", show_envvar=True)
    ] = None,
) -> None:
    """Measure probabilities against labels, and write a report for a committee.

    Exit status: 0 done, 1 the folder could not be written, 2 wrong usage or a table that cannot be used.
    """
    from cxrbatch.bundles.errors import BundleError
    from cxrbatch.config import ConfigError, load_config
    from cxrbatch.evaluation.delimited import TableError
    from cxrbatch.evaluation.thresholds import Targets
    from cxrbatch.ledger.run_json import RunJsonError
    from cxrbatch.ledger.schema import LedgerError
    from cxrbatch.reporting.pdf import PdfError
    from cxrbatch.validation.inputs import Options
    from cxrbatch.validation.run import ValidationError
    from cxrbatch.validation.run import validate as hold_against

    columns = None if subgroups is None else tuple(n.strip() for n in subgroups.split(",") if n.strip())
    options = Options(rounds, seed, prevalence, Targets(sensitivity, specificity), tune_fraction, columns)
    try:
        site = load_config(config)
        keep_private(site.patient_data.umask)
        settings = site.report_settings()
        validated = hold_against(scores, labels, out, options, model, settings)
    except (ConfigError, TableError, ValidationError, BundleError, RunJsonError, LedgerError) as error:
        leave(Exit.WRONG_USAGE, error)
    except PdfError as error:
        leave(Exit.COULD_NOT_FINISH, error)
    except OSError as error:
        leave(Exit.COULD_NOT_FINISH, f"{error.filename or out} cannot be written: {error.strerror or error}")
    _tell(validated)
    say(f"See {out / 'validation.html'}", err=True)


def _tell(validated: Validated) -> None:
    """The gist, on stderr: alarms first."""
    for alarm in validated.alarms:
        say(f"ALARM: {alarm}", err=True)
    flow = validated.account.cohort.flow
    say(
        f"{flow.matched} images matched, of {flow.rows_scored} scored and {flow.rows_labels} labelled",
        err=True,
    )
    for what, names in validated.account.examples():
        # Terminals are logged: ids of images and patients are named in the report only.
        told = (
            f"{names.partition(':')[0]}, see the report" if "labelled" in what or "scored" in what else names
        )
        say(f"{what}: {told}", err=True)
    for notice in validated.notices:
        say(notice, err=True)
    metrics = validated.metrics
    for finding in metrics.findings:
        if finding.auroc is None:
            say(f"{finding.finding}: no AUROC, {finding.reason}", err=True)
            continue
        say(
            f"{finding.finding}: AUROC {finding.auroc:.4f}{_bracketed(finding.auroc_ci95)}, "
            f"{finding.n_pos} positive, {finding.n_neg} negative",
            err=True,
        )
    if metrics.macro_auroc is not None:
        say(
            f"macro AUROC {metrics.macro_auroc:.4f}{_bracketed(metrics.macro_auroc_ci95)} "
            f"over {metrics.macro_labels} findings",
            err=True,
        )


def _bracketed(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" [{interval[0]:.4f}, {interval[1]:.4f}]"
