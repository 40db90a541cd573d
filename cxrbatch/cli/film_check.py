"""``cxrbatch model fit-intake | calibrate-intake``: does a picture look like a frontal chest film?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrbatch.chatter import imports_kept_quiet
from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.terminal import say

if TYPE_CHECKING:
    from cxrbatch.bundles.bundle import Bundle

Model = Annotated[str, typer.Argument(metavar="BUNDLE", help="Name of a model, or the folder of a bundle.")]


def fit_intake(
    model: Model,
    films: Annotated[Path | None, typer.Option(help="Frontal chest films, upright, not inverted.")] = None,
    others: Annotated[list[Path] | None, typer.Option(help="Pictures of anything else; repeatable.")] = None,
    layer: Annotated[str | None, typer.Option(help="The network's layer to look at.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything drawn.")] = 20261123,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Take over this model's film check.")
    ] = None,
) -> None:
    """Give BUNDLE a film check, which tells inverted, turned and other pictures from frontal chest films.

    It is fitted to --films, or taken --from a model whose lower layers are the same: give one of the two.

    No probability changes, but the bundle's hash does: fit before you promote.
    """
    from cxrbatch.bundles.errors import BundleError
    from cxrbatch.intake.walk import InputNotFoundError

    if (films is None) == (source is None):
        leave(Exit.WRONG_USAGE, "Give either --films or --from.")
    bundle = _open(model)
    with imports_kept_quiet():
        from cxrbatch.film_check.fit import FitError, fit_film_check, take_over
    try:
        if source is not None:
            bundle = take_over(bundle, _open(source), threads)
            say(f"{bundle.card.name}: {bundle.folder}, {bundle.sha256}")
            return
        assert films is not None
        fitted = fit_film_check(bundle, films, others or (), layer, seed, threads)
    except (FitError, BundleError, InputNotFoundError) as error:
        leave(Exit.WRONG_USAGE, error)
    except OSError as error:
        leave(Exit.COULD_NOT_FINISH, f"The model could not be written: {error.strerror}: {error.filename}.")
    for name, (count, of) in {**fitted.found, **fitted.false_alarms}.items():
        say(f"{name}: {count} of {of} flagged")
    say(f"{fitted.bundle.card.name}: {fitted.bundle.folder}, {fitted.bundle.sha256}")


def calibrate_intake(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run of the site's own films.")],
    model: Annotated[
        str | None, typer.Option(help="The model the run was scored with; by default the site's.")
    ] = None,
    share: Annotated[
        float, typer.Option(min=0.0, max=0.2, help="Of these films that each limit may flag.")
    ] = 0.01,
    config: Annotated[
        Path | None, typer.Option(help="cxrbatch.toml.", envvar="CXRBATCH_CONFIG", show_envvar=True)
    ] = None,
) -> None:
    """Set this site's limits for what is unusual, from films of its own: for all runs that start from now on.

    The films are taken to be frontal and upright. Nothing of the model changes.
    """
    from cxrbatch.config import ConfigError, load_config
    from cxrbatch.film_check.site_limits import CalibrationError, calibrate
    from cxrbatch.ledger.run_json import RunJsonError
    from cxrbatch.ledger.schema import LedgerError

    try:
        bundle = _open(model or load_config(config).score.model)
        found = calibrate(run, bundle, share)
    except (ConfigError, CalibrationError, RunJsonError, LedgerError) as error:
        leave(Exit.WRONG_USAGE, error)
    except OSError as error:
        leave(Exit.COULD_NOT_FINISH, f"The limits could not be written: {error.strerror}: {error.filename}.")
    say(f"{found.films} films: {found.flagged_before} flagged by the model's own limits.")
    say(f"New limits, which flag {found.flagged_after} of them: {found.file}")
    before, after = found.before, found.after
    say(f"Looks wrong: from {after.flag:.2f}, was {before.flag:.2f}.")
    say(f"Clear cases: from {after.clear:.2f}, was {before.clear:.2f}.")
    say(f"Atypical: above {after.atypicality:.2f}, was {before.atypicality:.2f}.")
    kept = f"{found.sensitivity:.1%}"
    say(f"Of the inverted and turned films that the model was judged on {kept} are still flagged.")
    if found.sensitivity < 0.95:
        say("That is less than 95%: look for inverted or turned films in this run first.", err=True)
    say(f"Look at these studies, which look least like frontal films: {', '.join(found.strangest)}", err=True)


def _open(model: str) -> Bundle:
    from cxrbatch.bundles.bundle import open_bundle
    from cxrbatch.bundles.errors import BundleError

    try:
        return open_bundle(model)
    except BundleError as error:
        leave(Exit.WRONG_USAGE, error)
