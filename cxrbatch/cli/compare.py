"""``cxrbatch compare``: is model B as good as model A?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.privacy import keep_private
from cxrbatch.cli.terminal import say


def compare(
    scores_a: Annotated[
        Path,
        typer.Argument(metavar="SCORES_A", help="The model now in use: scores.csv, any table, or a run."),
    ],
    scores_b: Annotated[
        Path, typer.Argument(metavar="SCORES_B", help="The candidate: scores.csv, any table, or a run.")
    ],
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="The reference standard: NIH's layout or a wide table.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for verdict.json, the report and the tables.")],
    margin: Annotated[
        float, typer.Option(help="How much macro AUROC may be lost: above 0, below 0.5.")
    ] = 0.02,
    rounds: Annotated[int, typer.Option(min=100, help="Bootstrap rounds.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    model_a: Annotated[
        str | None, typer.Option(help="Bundle of A: its stored thresholds are the operating points.")
    ] = None,
    model_b: Annotated[str | None, typer.Option(help="Bundle of B, likewise.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="cxrbatch.toml.", envvar="CXRBATCH_CONFIG", show_envvar=True)
    ] = None,
) -> None:
    """Compare two models on the same images, and say whether B may replace A.

    Exit status: 0 superior or non-inferior, 5 inferior or inconclusive, 2 wrong usage, 1 could not finish.
    """
    if not 0.0 < margin < 0.5:
        leave(Exit.WRONG_USAGE, f"--margin must be above 0 and below 0.5; received {margin:g}.")
    from cxrbatch.bundles.errors import BundleError
    from cxrbatch.comparison import CompareRequest, run_comparison
    from cxrbatch.config import ConfigError, load_config
    from cxrbatch.evaluation.delimited import TableError
    from cxrbatch.reporting.pdf import PdfError

    request = CompareRequest(scores_a, scores_b, labels, out, margin, rounds, seed, model_a, model_b)
    try:
        site = load_config(config)
        keep_private(site.patient_data.umask)
        content = run_comparison(request, site.report_settings())
    except (TableError, BundleError, ConfigError, PdfError) as error:
        leave(Exit.WRONG_USAGE, error)
    except OSError as error:
        leave(Exit.COULD_NOT_FINISH, f"{error.filename or out} cannot be written: {error.strerror or error}")
    _tell(content, out)
    raise typer.Exit(int(Exit.FINISHED if content["passed"] else Exit.VERDICT_NOT_PASSED))


def _tell(content: Mapping[str, Any], out: Path) -> None:
    lines = [f"{content['n_images']} images of {content['n_patients']} patients compared"]
    for name, part in content["cohort"]["left_out"].items():
        if part["count"]:
            lines.append(f"{part['count']} {name.replace('_', ' ')}; see the report for their ids")
    for name, where in content["cohort"]["findings_left_out"].items():
        if where != "labels":
            lines.append(f"{name} is left out: only in {where}")
    lines += [
        f"{name!r} is no known finding; {n} rows name it" for name, n in content["unknown_findings"].items()
    ]
    lines += content["warnings"]
    lines.append(f"verdict: {content['verdict']}. {content['words']}")
    if content["sample_size"]:
        lines.append(content["sample_size"]["words"])
    lines.append(f"written to {out}")
    for line in lines:
        say(line, err=True)
