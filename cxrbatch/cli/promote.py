"""``cxrbatch model promote``: make a bundle the site's current model, on the strength of a verdict."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.terminal import say

if TYPE_CHECKING:
    from cxrbatch.bundles.bundle import Bundle
    from cxrbatch.bundles.promotion import Evidence


def promote(
    bundle: Annotated[str, typer.Argument(help="The new model: a name, or the folder of a bundle.")],
    against: Annotated[str, typer.Option(metavar="CURRENT", help="The model that it replaces.")],
    scores: Annotated[
        Path | None,
        typer.Option(metavar="VERDICT", help="What `cxrbatch compare` wrote: its folder, or verdict.json."),
    ] = None,
    override: Annotated[
        str | None, typer.Option(metavar="REASON", help="Promote without a passing verdict; goes on record.")
    ] = None,
) -> None:
    """Make BUNDLE the site's current model (`score --model current`) in the place of CURRENT.

    Exit status: 0 promoted, 5 no passing verdict about these two models, 2 wrong usage, 1 a bundle or the
    record was changed, or the record cannot be written.
    """
    from cxrbatch.bundles import promotion
    from cxrbatch.bundles.errors import BundleError

    new, old = _open(bundle), _open(against)
    evidence = None if scores is None else _evidence(scores)
    try:
        line = promotion.promote(new, old, evidence, override)
    except promotion.PromotionRefusedError as error:
        leave(Exit.VERDICT_NOT_PASSED, error)
    except BundleError as error:
        leave(Exit.COULD_NOT_FINISH, error)
    how = f"by override: {line['override']}" if line["objection"] else f"verdict {line['verdict']['verdict']}"
    say(f"{new.card.name} {new.card.version} ({new.sha256[:12]}) is the current model; {how}")


def _open(name: str) -> Bundle:
    from cxrbatch.bundles.bundle import open_bundle
    from cxrbatch.bundles.errors import BundleError
    from cxrbatch.bundles.folders import find

    try:
        find(name)
    except BundleError as error:
        leave(Exit.WRONG_USAGE, error)
    try:
        return open_bundle(name)
    except BundleError as error:
        leave(Exit.COULD_NOT_FINISH, error)


def _evidence(path: Path) -> Evidence:
    """The verdict, and whether the tables it was made of are still the same where they still are."""
    from cxrbatch.bundles.promotion import Evidence
    from cxrbatch.evaluation.verdict import Verdict
    from cxrbatch.evaluation.verdict_file import VerdictError, read_verdict
    from cxrbatch.intake.studies import percent_decode

    try:
        content = read_verdict(path)
    except VerdictError as error:
        leave(Exit.WRONG_USAGE, error)
    gone = []
    for name, entry in content["inputs"].items():
        try:
            with Path(percent_decode(entry["path"])).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            gone.append(name)
            continue
        if digest != entry["sha256"]:
            leave(
                Exit.WRONG_USAGE, f"{entry['path']} is not the file that the verdict is about: compare again."
            )
    return Evidence(
        verdict=content["verdict"],
        passed=Verdict(content["verdict"]).passed,
        words=content["words"],
        margin=content["margin"],
        sha256_a=content["models"]["a"]["sha256"],
        sha256_b=content["models"]["b"]["sha256"],
        digest=content["digest"],
        file=str(path.resolve()),
        unchecked=tuple(gone),
        stated=tuple(
            letter.upper() for letter, model in content["models"].items() if model["identified_by"] != "table"
        ),
    )
