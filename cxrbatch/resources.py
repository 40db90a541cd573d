"""Where the templates, the shipped model bundles and the samples lie.

In a checkout they are the top-level folders ``templates/``, ``models/`` and ``sample_data/``; the
wheel carries the same folders below ``cxrbatch/_data/`` (see ``pyproject.toml``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(name: Literal["templates", "models", "sample_data"]) -> Path:
    """The folder `name` of this installation, whether a wheel or a checkout.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"cxrbatch is installed without its folder '{name}': install it again.")
