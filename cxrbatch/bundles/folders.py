"""Where bundles lie: shipped with cxrbatch, in a site's folders, or where ``model add`` puts them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cxrbatch.bundles.errors import BundleError
from cxrbatch.resources import shipped_folder

ENVIRONMENT = "CXRBATCH_MODELS"
"""Folders of bundles, separated as in PATH."""

CURRENT = "current"
"""The name of the model that was promoted last."""

CURRENT_FILE = "current.json"


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which bundle is the site's current model: its folder, and the hash that it had when promoted."""

    folder: Path
    sha256: str


def added_folder() -> Path:
    """Where new bundles go: ``$XDG_DATA_HOME/cxrbatch/models``, by default below ``~/.local/share``."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "cxrbatch" / "models"


def search_folders() -> list[Path]:
    """Folders that hold bundles, in the order in which a name is looked up."""
    site = [Path(part) for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if part]
    return [shipped_folder("models"), *site, added_folder()]


def site_folder() -> Path:
    """Where a site keeps what is its own: the first folder of ``$CXRBATCH_MODELS``, else `added_folder`."""
    site = [Path(part) for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if part]
    return site[0] if site else added_folder()


def current() -> Pointer | None:
    """The site's current model; None before the first promotion.

    Raises:
        BundleError: the pointer cannot be read.
    """
    path = site_folder() / CURRENT_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Pointer(Path(content["folder"]), str(content["sha256"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} cannot be read ({error}): promote a model again.") from error


def known() -> dict[str, Path]:
    """Name to folder of every bundle in `search_folders`; the first of a name wins."""
    found: dict[str, Path] = {}
    for folder in search_folders():
        for card in sorted(folder.glob("[!.]*/card.json")):
            found.setdefault(card.parent.name, card.parent)
    return dict(sorted(found.items()))


def find(name_or_path: str | Path) -> Path:
    """The folder of a bundle, by its name or its path. A plain word is a name first, then a folder.

    ``current`` is the bundle that was promoted last.

    Raises:
        BundleError: there is none; the message lists the known names.
    """
    text, path = str(name_or_path), Path(name_or_path)
    bundles = known()
    if text == CURRENT:
        pointer = current()
        if pointer is None:
            raise BundleError("No model is current: promote one with `cxrbatch model promote`.")
        if not (pointer.folder / "card.json").is_file():
            raise BundleError(f"The current model's folder {pointer.folder} is gone: restore it.")
        return pointer.folder
    if text in bundles:
        return bundles[text]
    if (path / "card.json").is_file():
        return path.resolve()
    if path.is_dir():
        raise BundleError(f"The folder {path} is no model bundle: it has no card.json.")
    names = ", ".join(bundles) or "none"
    raise BundleError(
        f"There is no model '{text}'. Known models: {names}. Give one of these or the folder of a bundle."
    )
