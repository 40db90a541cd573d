"""``cxrbatch model pull``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrbatch.chatter import imports_kept_quiet
from cxrbatch.cli.download_bar import DownloadBar
from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.terminal import printable, say

if TYPE_CHECKING:
    from cxrbatch.bundles.bundle import Bundle


def pull(
    weights: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Public weights, as `--list` names them.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The new model's name; by default that of the weights.")
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option("--from", help="Use this file, fetched or exported elsewhere: no network.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="SHA-256 that you trust, for weights whose hash is unverified here.")
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="Print what can be pulled, and exit.")] = False,
) -> None:
    """Fetch public weights, compare their SHA-256, and make a bundle of them.

    The only command that uses a network, unless --from names a file. Proxies are taken from https_proxy and
    no_proxy. A download that was cut off goes on where it stopped.
    """
    if list_all:
        _list()
        return
    if weights is None:
        leave(Exit.WRONG_USAGE, "Name the weights to pull; `cxrbatch model pull --list` names them.")
    from cxrbatch.bundles.errors import BundleError, DownloadError
    from cxrbatch.bundles.pulling import Wish, fetch, make_bundle

    notes: list[str] = []
    try:
        with DownloadBar(weights) as bar:
            fetched = fetch(Wish(weights, name, from_file, sha256), bar)
        with imports_kept_quiet():
            bundle = make_bundle(fetched, notes.append)
    except DownloadError as error:
        leave(Exit.COULD_NOT_FINISH, error)
    except BundleError as error:
        leave(Exit.WRONG_USAGE, error)
    except OSError as error:
        leave(Exit.COULD_NOT_FINISH, f"The model could not be written: {error.strerror}: {error.filename}.")
    say_added(bundle, notes)
    say(f"Licence: {bundle.card.licence}", err=True)


def say_added(bundle: Bundle, notes: list[str]) -> None:
    """What a user should know of a model just made: its place, the notes, where its thresholds are from."""
    from cxrbatch.bundles.adding import THRESHOLDS_NOT_CHOSEN

    say(f"{bundle.card.name}: {bundle.folder}, {bundle.sha256}")
    for note in notes:
        say(note, err=True)
    if bundle.card.thresholds_method == THRESHOLDS_NOT_CHOSEN:
        say("Its thresholds are placeholders of 0.5: choose them on labelled films.", err=True)
    else:
        say(f"Thresholds: {bundle.card.thresholds_method}", err=True)


def _list() -> None:
    from cxrbatch.bundles.public_weights import registry

    for name, entry in registry().items():
        how = {"pickle": "--from an exported state dict"}.get(entry.published_as, "by URL")
        cells = (
            name,
            entry.preset,
            f"about {entry.megabytes} MB",
            how if entry.url else "--from a file in hand",
            "SHA-256 pinned" if entry.sha256 else "SHA-256 UNVERIFIED: asks for --sha256",
            entry.licence,
            entry.project,
        )
        typer.echo("\t".join(map(printable, cells)))
