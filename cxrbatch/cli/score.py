"""``cxrbatch score``: the nightly run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.privacy import keep_private, own_path
from cxrbatch.cli.terminal import say


class Runtime(StrEnum):
    AUTO = "auto"
    KERAS = "keras"
    OPENVINO = "openvino"


class GroupBy(StrEnum):
    STUDY = "study"
    FOLDER = "folder"


class Reports(StrEnum):
    BOTH = "html,pdf"
    HTML = "html"
    PDF = "pdf"
    NONE = "none"


class EngineName(StrEnum):
    LOCAL = "local"
    RAY = "ray"


def score(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Folders or files, nested or not.")],
    out: Annotated[Path, typer.Option(help="The run folder. One that exists is resumed.")],
    model: Annotated[str | None, typer.Option(help="A bundle's name or folder.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Labels (CSV): adds a validation/ folder.")] = None,
    reports: Annotated[Reports | None, typer.Option(help="Which reports to write.")] = None,
    findings: Annotated[
        str | None, typer.Option(help="Heat maps to show: flagged, top:4, all, or NAME,NAME.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images in a forward pass.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that decode, and as many that print reports.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads of one forward pass (1, and as many passes as processors)."),
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="local: this machine; ray: a Ray cluster (docs/scale.md).")
    ] = EngineName.LOCAL,
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Join this cluster ('auto': of this machine).")
    ] = None,
    cpus_per_scorer: Annotated[
        int | None, typer.Option(min=1, help="Processors of each model on a Ray cluster (up to 4).")
    ] = None,
    runtime: Annotated[Runtime | None, typer.Option(help="auto: Keras on a GPU, OpenVINO on a CPU.")] = None,
    mixed_precision: Annotated[
        bool | None, typer.Option("--mixed-precision", help="16-bit arithmetic (Keras).")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="cxrbatch.toml.", envvar="CXRBATCH_CONFIG", show_envvar=True)
    ] = None,
    group_by: Annotated[GroupBy | None, typer.Option(help="What makes PNG and JPEG files a study.")] = None,
    settle: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Leave files that changed this lately.")
    ] = None,
    skip_known: Annotated[
        Path | None,
        typer.Option(metavar="RUNS", help="Leave out studies that a finished run below RUNS has scored."),
    ] = None,
    verify_inputs: Annotated[bool, typer.Option(help="On resuming, digest every file again.")] = False,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="On resuming, try again what failed or crashed its decoder."),
    ] = False,
    decode_timeout: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="After this a decoder counts as hanging (60)."),
    ] = None,
    prevalence: Annotated[
        str | None,
        typer.Option(metavar="NAME=P,NAME=P", help="Of findings among these films, for calibrated values."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Score no more than this many studies.")] = None,
    fresh: Annotated[bool, typer.Option(help="Remove what the run folder holds and start over.")] = False,
    deidentify: Annotated[
        bool, typer.Option("--deidentify", help="Pseudonyms in place of names, IDs, UIDs, dates and paths.")
    ] = False,
    allow_burned_in: Annotated[
        bool,
        typer.Option("--allow-burned-in", help="With --deidentify: show films that may have text burned in."),
    ] = False,
    fast_decode: Annotated[
        bool,
        typer.Option("--fast-decode", help="Decode large JPEG 2000 films at half size where that is enough."),
    ] = False,
    reject_unusual: Annotated[
        bool | None,
        typer.Option("--reject-unusual", help="Leave out what is clearly turned, inverted or no chest."),
    ] = None,
) -> None:
    """Score every frontal chest radiograph below INPUT; write tables, reports and a worklist to RUN.

    Exit status: 0 finished, 3 finished but some inputs or reports failed, 1 nothing readable or could not
    finish, 2 wrong usage, 4 another run holds the folder, 130/143 stopped (start again to go on).
    """
    for given, option in ((ray_address, "--ray-address"), (cpus_per_scorer, "--cpus-per-scorer")):
        if given is not None and engine is not EngineName.RAY:
            leave(Exit.WRONG_USAGE, f"{option} is for --engine ray: add that, or leave it out.")

    from cxrbatch import night
    from cxrbatch.bundles.errors import BundleError
    from cxrbatch.config import ConfigError, load_config
    from cxrbatch.deidentification.free_text import withheld
    from cxrbatch.deidentification.settings import anonymous_pages
    from cxrbatch.evaluation.delimited import TableError
    from cxrbatch.intake.walk import InputNotFoundError
    from cxrbatch.ledger.lease import FolderHeldError
    from cxrbatch.ledger.run_folder import RunFolderError
    from cxrbatch.ledger.schema import LedgerError
    from cxrbatch.ledger.space import NoSpaceError
    from cxrbatch.request import Deidentify, Request, RequestError
    from cxrbatch.scoring.engine import EngineLostError, EngineUnavailableError

    if allow_burned_in and not deidentify:
        leave(Exit.WRONG_USAGE, "--allow-burned-in is for --deidentify: without it every film is shown.")
    try:
        site = load_config(config)
        keep_private(site.patient_data.umask)
        ours = site.patient_data
        pages = site.report_settings(findings=findings, formats=reports.value if reports else None)
        request = Request(
            inputs=tuple(inputs),
            out=out,
            model=model or site.score.model,
            labels=labels,
            runtime=runtime.value if runtime else site.score.runtime,
            batch_size=batch_size or site.score.batch_size,
            threads=threads or site.score.threads,
            workers=workers or site.score.workers,
            engine=engine.value,
            ray_address=ray_address,
            cpus_per_scorer=cpus_per_scorer,
            mixed_precision=site.score.mixed_precision if mixed_precision is None else mixed_precision,
            group_by=group_by.value if group_by else site.score.group_by,
            settle=site.score.settle if settle is None else settle,
            skip_known=skip_known,
            verify_inputs=verify_inputs,
            retry_failed=retry_failed,
            decode_timeout=decode_timeout or site.score.decode_timeout,
            prevalence=site.score.prevalence if prevalence is None else _prevalences(prevalence),
            fast_decode=fast_decode,
            reject_unusual=site.score.reject_unusual if reject_unusual is None else reject_unusual,
            limit=limit,
            fresh=fresh,
            deidentify=Deidentify(ours.key_file, ours.crosswalk, allow_burned_in) if deidentify else None,
            reports=anonymous_pages(pages) if deidentify else pages,
        )
        summary = night.score(request)
    except TableError as error:
        # A night's output is kept in logs: the ids that a table's errors quote have no place there.
        where = error.place.replace(str(error.path), "the labels table") if deidentify else error.place
        leave(Exit.WRONG_USAGE, f"{where}: {withheld(error.problem)}")
    except InputNotFoundError as error:
        leave(Exit.WRONG_USAGE, "An input does not exist: check their names." if deidentify else error)
    except (ConfigError, BundleError, RunFolderError, RequestError, EngineUnavailableError) as error:
        leave(Exit.WRONG_USAGE, error)
    except FolderHeldError as error:
        leave(Exit.FOLDER_HELD, error)
    except (LedgerError, NoSpaceError, EngineLostError) as error:
        leave(Exit.COULD_NOT_FINISH, error)
    except OSError as error:
        where = f" ({shown})" if (shown := own_path(error, out)) else ""
        leave(
            Exit.COULD_NOT_FINISH,
            f"{error.strerror or error}{where}. Mend that and start the same command again: it goes on.",
        )
    say(summary.message, err=True)
    raise typer.Exit(summary.exit_code)


def _prevalences(text: str) -> dict[str, float]:
    """Of ``Effusion=0.05,Mass=0.01``; leaves with a message where it is none."""
    stated: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, value = part.rpartition("=")
        try:
            stated[name.strip()] = float(value)
        except ValueError:
            stated[name.strip()] = 0.0
        if not (name.strip() and 0.0 < stated[name.strip()] < 1.0):
            message = "takes NAME=P with P between 0 and 1, such as Effusion=0.05,Mass=0.01"
            leave(Exit.WRONG_USAGE, f"--prevalence {message}. Received: {part!r}.")
    return stated
