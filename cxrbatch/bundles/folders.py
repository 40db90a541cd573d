"""Where bundles lie: shipped with cxrbatch, in a site's folders, or where ``model add`` puts them."""

from __future__ import annotations

import os
from pathlib import Path

from cxrbatch.bundles.errors import BundleError
from cxrbatch.resources import shipped_folder

ENVIRONMENT = "CXRBATCH_MODELS"
"""Folders of bundles, separated as in PATH."""


def added_folder() -> Path:
    """Where new bundles go: ``$XDG_DATA_HOME/cxrbatch/models``, by default below ``~/.local/share``."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "cxrbatch" / "models"


def search_folders() -> list[Path]:
    """Folders that hold bundles, in the order in which a name is looked up."""
    site = [Path(part) for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if part]
    return [shipped_folder("models"), *site, added_folder()]


def known() -> dict[str, Path]:
    """Name to folder of every bundle in `search_folders`; the first of a name wins."""
    found: dict[str, Path] = {}
    for folder in search_folders():
        for card in sorted(folder.glob("[!.]*/card.json")):
            found.setdefault(card.parent.name, card.parent)
    return dict(sorted(found.items()))


def find(name_or_path: str | Path) -> Path:
    """The folder of a bundle, by its name or its path. A plain word is a name first, then a folder.

    Raises:
        BundleError: there is none; the message lists the known names.
    """
    text, path = str(name_or_path), Path(name_or_path)
    bundles = known()
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
