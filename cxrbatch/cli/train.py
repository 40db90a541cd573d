"""``cxrbatch train``: from a hospital's own films and labels to a bundle that can be judged."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.privacy import keep_private, own_path
from cxrbatch.cli.terminal import say


class ModeName(StrEnum):
    SUBSET = "subset"
    FULL = "full"


def train(
    images: Annotated[Path, typer.Option(help="Folder of films, DICOM or PNG or JPEG, nested or not.")],
    labels: Annotated[Path, typer.Option(help="Labels (CSV): NIH's layout or a wide table.")],
    out: Annotated[Path, typer.Option(help="The training's folder. One that exists is resumed.")],
    mode: Annotated[
        ModeName, typer.Option(help="subset: a trial of a few steps, head only. full: all films.")
    ],
    init: Annotated[
        str, typer.Option(metavar="BUNDLE|none", help="Bundle to start from; none: random weights.")
    ] = "cxr-lite",
    findings: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Findings to train; default: all of the labels'.")
    ] = None,
    soft_targets: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Probabilities to learn from beside the labels.")
    ] = None,
    soft_weight: Annotated[
        float | None, typer.Option(min=0, max=1, help="Their share of the target. [0.5]")
    ] = None,
    steps_per_epoch: Annotated[int | None, typer.Option(min=1, help="Subset: 100. Full: every film.")] = None,
    validation_steps: Annotated[int | None, typer.Option(min=1, help="Subset: 25. Full: every film.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most. Subset: 3. Full: 60.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Films a step, over all devices. [8]")] = None,
    size: Annotated[
        int | None, typer.Option(min=32, max=2048, metavar="PX", help="Side of the network's input.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of split, order and augmentation. [0]")] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where decoded films are kept. [OUT/cache]")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that decode.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="cxrbatch.toml.", envvar="CXRBATCH_CONFIG", show_envvar=True)
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove what an earlier training left in OUT.")
    ] = False,
) -> None:
    """Fine-tune a bundle on your own films, and judge it on patients held out.

    Exit status: 0 finished, 1 could not finish, 2 wrong usage or data that cannot be used, 4 another run
    holds the folder, 130/143 stopped (start again to go on).
    """
    from cxrbatch.chatter import imports_kept_quiet
    from cxrbatch.config import ConfigError, load_config

    try:
        site = load_config(config)
    except ConfigError as error:
        leave(Exit.WRONG_USAGE, error)
    keep_private(site.patient_data.umask)
    _require(images, labels, soft_targets)
    if soft_weight is not None and soft_targets is None:
        leave(
            Exit.WRONG_USAGE, "--soft-weight is for --soft-targets: without them there is nothing to weigh."
        )

    with imports_kept_quiet():
        from cxrbatch.training.run import train as run
    from cxrbatch.bundles.errors import BundleError
    from cxrbatch.evaluation.delimited import TableError
    from cxrbatch.ledger.lease import FolderHeldError
    from cxrbatch.ledger.run_json import RunJsonError
    from cxrbatch.ledger.space import NoSpaceError
    from cxrbatch.reporting.pdf import PdfError
    from cxrbatch.training.records import BrokenOffError, TrainingError
    from cxrbatch.training.request import TrainRequest

    chosen = {
        "soft_weight": soft_weight,
        "steps_per_epoch": steps_per_epoch,
        "validation_steps": validation_steps,
        "epochs": epochs,
        "batch_size": batch_size,
        "size": size,
        "seed": seed,
    }
    request = TrainRequest(
        images=images,
        labels=labels,
        out=out,
        mode=mode.value,
        settings=site.train.model_copy(update={k: v for k, v in chosen.items() if v is not None}),
        init=None if init == "none" else init,
        findings=None if findings is None else tuple(n.strip() for n in findings.split(",") if n.strip()),
        soft_targets=soft_targets,
        cache=cache,
        workers=workers,
        fresh=fresh,
        reports=site.report_settings(),
    )
    try:
        summary = run(request)
    except BrokenOffError as error:
        leave(Exit.COULD_NOT_FINISH, error)
    except (TrainingError, TableError, BundleError, RunJsonError) as error:
        leave(Exit.WRONG_USAGE, error)
    except FolderHeldError as error:
        leave(Exit.FOLDER_HELD, error)
    except (NoSpaceError, PdfError) as error:
        leave(Exit.COULD_NOT_FINISH, error)
    except OSError as error:
        where = f" ({shown})" if (shown := own_path(error, out)) else ""
        leave(
            Exit.COULD_NOT_FINISH,
            f"{error.strerror or error}{where}. Mend that and start the same command again: it goes on.",
        )
    say(summary.message, err=True)
    raise typer.Exit(summary.exit_code)


def _require(images: Path, labels: Path, soft_targets: Path | None) -> None:
    """What can be said before TensorFlow is there, which takes seconds."""
    if not images.is_dir():
        leave(Exit.WRONG_USAGE, f"--images {images}: there is no such folder.")
    for option, path in (("--labels", labels), ("--soft-targets", soft_targets)):
        if path is not None and not path.is_file():
            leave(Exit.WRONG_USAGE, f"{option} {path}: there is no such file.")
