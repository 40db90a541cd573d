"""``cxrbatch model localise``: where a model's heat maps look, on phantoms with known lesions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cxrbatch.chatter import imports_kept_quiet
from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.terminal import say, say_lines

if TYPE_CHECKING:
    from cxrbatch.bundles.card import Localisation


def localise(
    model: Annotated[str, typer.Argument(help="Name of a model, or the folder of a bundle.")],
    films: Annotated[int, typer.Option(min=1, max=10_000, help="Phantoms for each finding.")] = 40,
    on_card: Annotated[
        bool, typer.Option("--on-card", help="Write the figures onto the model's card; its hash changes.")
    ] = False,
) -> None:
    """Where the heat maps look: on phantoms with planted lesions, and with the weights made random.

    Phantoms are drawings. A map that points at a planted lesion need not point at a real one; one that does
    not deserves no trust.
    """
    from tqdm import tqdm

    from cxrbatch.bundles.bundle import open_bundle
    from cxrbatch.bundles.errors import BundleError
    from cxrbatch.bundles.saving import rewrite_card

    try:
        bundle = open_bundle(model)
    except BundleError as error:
        leave(Exit.WRONG_USAGE, error)
    with imports_kept_quiet():
        from cxrbatch import localisation

    try:
        found = localisation.localise(
            bundle, films, lambda plan: tqdm(plan, desc="Phantoms", unit="film", disable=None)
        )
        say_lines("\n".join(table(found)))
        if on_card:
            changed = rewrite_card(bundle.folder, {"localisation": found.model_dump(mode="json")})
            say(f"Written onto the card of {bundle.card.name}, whose hash is now {changed.sha256}.")
    except (BundleError, localisation.LocalisationError) as error:
        leave(Exit.WRONG_USAGE, error)
    except OSError as error:
        leave(Exit.COULD_NOT_FINISH, f"The card could not be written: {error.strerror}: {error.filename}.")


def table(found: Localisation) -> list[str]:
    """The figures, a line a finding, and what they mean."""
    from cxrbatch.evaluation.operating_points import wilson_interval

    wide = max(len("finding"), *(len(name) for name in found.findings))
    lines = [f"{'finding':{wide}}  highest point at the lesion  by chance  overlap"]
    for name, row in found.findings.items():
        interval = wilson_interval(row.hits.count, row.hits.of)
        assert interval is not None, "there is at least one film"
        hits = f"{row.hits.count} of {row.hits.of} ({interval[0]:.0%} to {interval[1]:.0%})"
        lines.append(f"{name:{wide}}  {hits:27}  {row.by_chance:9.1%}  {row.overlap:7.2f}")
    lines += ["", found.method, "", "random weights in     order of the map that stays"]
    lines += [f"{part:20}  {left:+.2f}" for part, left in found.randomised.items()]
    return [*lines, "", found.randomisation_method]
