"""``cxrbatch model pull``: public weights, by name, to a bundle."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cxrbatch.bundles import folders
from cxrbatch.bundles.adding import add_bundle, check_name
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.digests import file_digest
from cxrbatch.bundles.download import OnBytes, download
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.presets import PRESETS
from cxrbatch.bundles.public_weights import PublicWeights, entry_named
from cxrbatch.bundles.torch_file import require_torch


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: an entry's `key`, the new model's `name` (by default the key), a `file` in hand
    instead of a download, and the `sha256` that the user vouches for.
    """

    key: str
    name: str | None = None
    file: Path | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file whose hash was compared. `temporary`: it was downloaded, and goes when the bundle is made."""

    file: Path
    key: str
    entry: PublicWeights
    name: str
    sha256: str
    temporary: bool


def fetch(wish: Wish, on_bytes: OnBytes = lambda *_: None) -> Fetched:
    """Download the weights, or take the file in hand, and compare its hash.

    Raises:
        DownloadError: the file could not be fetched.
        BundleError: the wish cannot be granted; everything that can be told before the download is.
    """
    entry = entry_named(wish.key)
    name = wish.name or wish.key
    check_name(name)
    sha256 = _expected(wish, entry)
    if PRESETS[entry.preset].from_torch:
        require_torch(wish.file or Path(entry.file_name))
    if wish.file is not None:
        return Fetched(_held_against(wish.file, sha256), wish.key, entry, name, sha256, temporary=False)
    file = folders.added_folder().parent / "downloads" / wish.key / entry.file_name
    if not (file.is_file() and file_digest(file) == sha256):
        assert entry.url is not None  # _expected refuses entries without one
        download(entry.url, file, sha256, on_bytes)
    return Fetched(file, wish.key, entry, name, sha256, temporary=True)


def make_bundle(fetched: Fetched, tell: Callable[[str], None] = lambda _: None) -> Bundle:
    """Make the bundle. A download of which none can be made is kept, and taken the next time.

    Raises:
        BundleError: the file is not what the registry says, or does not fit.
    """
    entry, preset = fetched.entry, PRESETS[fetched.entry.preset]
    data = f"{preset.variant.data}; t" if preset.variant else "T"
    vouched = f"pinned, {entry.verified}" if entry.sha256 == fetched.sha256 else "given by this site"
    fields = {
        "licence": f"{entry.licence}. Source: {entry.project}. {entry.citation}.",
        "training_data": {
            "description": f"{data}raining patients unknown here. {entry.title}; SHA-256 of the file "
            f"{fetched.sha256} ({vouched})."
        },
    }
    bundle = add_bundle(fetched.file, fetched.name, preset=entry.preset, card_fields=fields, tell=tell)
    if fetched.temporary:
        shutil.rmtree(fetched.file.parent, ignore_errors=True)
    return bundle


def _expected(wish: Wish, entry: PublicWeights) -> str:
    """The SHA-256 that the file must have."""
    given = wish.sha256.strip().lower() if wish.sha256 is not None else None
    if given is not None and not re.fullmatch(r"[0-9a-f]{64}", given):
        raise BundleError("--sha256 takes 64 hexadecimal digits, as sha256sum prints them.")
    if wish.file is None:
        _require_fetchable(wish, entry)
    pinned = None if wish.file is not None and entry.published_as == "pickle" else entry.sha256
    if pinned and given and pinned != given:
        raise BundleError(f"'{wish.key}' is pinned to SHA-256 {pinned}; --sha256 says {given}: leave it out.")
    expected = pinned or given
    if expected is None:
        raise BundleError(_ask_for_hash(wish, entry))
    return expected


def _require_fetchable(wish: Wish, entry: PublicWeights) -> None:
    if entry.published_as == "pickle":
        raise BundleError(
            f"'{wish.key}' is published ({entry.url}) as a whole pickled network, a program that runs when "
            "it is loaded, which is never opened here. If you trust its source, export the state dict where "
            f'the network\'s own code is installed, with python -c "{entry.how_to_export}", then: '
            f"cxrbatch model pull {wish.key} --from state.pt --sha256 HASH (sha256sum state.pt prints it)."
        )
    if entry.url is None:
        raise BundleError(
            f"'{wish.key}' is published nowhere that a program may fetch it from: get it by {entry.project}, "
            f"then: cxrbatch model pull {wish.key} --from FILE --sha256 HASH."
        )


def _ask_for_hash(wish: Wish, entry: PublicWeights) -> str:
    unverified = (
        f"The SHA-256 of '{wish.key}' is UNVERIFIED: nobody could compare it when this version was made."
    )
    if wish.file is not None:
        return (
            f"{unverified} Give the one that you trust, from {entry.project} or from where the file was "
            f"made, with --sha256 HASH; sha256sum {wish.file} prints what you have."
        )
    return (
        f"{unverified} Get the file's hash from a source that you trust ({entry.project}) and give it with "
        "--sha256 HASH."
    )


def _held_against(file: Path, sha256: str) -> Path:
    if not file.is_file():
        raise BundleError(f"There is no file {file}.")
    try:
        found = file_digest(file)
    except OSError as error:
        raise BundleError(f"{file} cannot be read: {error.strerror}.") from error
    if found != sha256:
        raise BundleError(f"{file} is not the expected file: SHA-256 expected {sha256}, found {found}.")
    return file
