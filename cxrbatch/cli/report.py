"""``cxrbatch report``: render every report again from what the run folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.privacy import keep_private, own_path
from cxrbatch.cli.terminal import say


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    config: Annotated[
        Path | None, typer.Option(help="cxrbatch.toml.", envvar="CXRBATCH_CONFIG", show_envvar=True)
    ] = None,
    findings: Annotated[
        str | None, typer.Option(help="Heat maps to show: flagged, top:4, all, or NAME,NAME.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that print reports.")] = None,
) -> None:
    """Render every report, the worklist and the audit again: no inference, no inputs needed."""
    from cxrbatch import rerendering
    from cxrbatch.config import ConfigError, load_config
    from cxrbatch.ledger.lease import FolderHeldError
    from cxrbatch.ledger.run_folder import RunFolderError
    from cxrbatch.ledger.run_json import RunJsonError, read_run_json
    from cxrbatch.ledger.schema import LedgerError
    from cxrbatch.request import RequestError

    try:
        site = load_config(config)
        keep_private(site.patient_data.umask)
        begun_with = read_run_json(run)["settings"]
        settings = site.report_settings(findings=findings, begun_with=begun_with)
        summary = rerendering.report(run, settings, workers)
    except (ConfigError, RunFolderError, RunJsonError, LedgerError, RequestError) as error:
        leave(Exit.WRONG_USAGE, error)
    except FolderHeldError as error:
        leave(Exit.FOLDER_HELD, error)
    except OSError as error:
        where = f" ({shown})" if (shown := own_path(error, run)) else ""
        leave(
            Exit.COULD_NOT_FINISH,
            f"{error.strerror or error}{where}. Mend that and start the same command again.",
        )
    say(summary.message, err=True)
    raise typer.Exit(summary.exit_code)
