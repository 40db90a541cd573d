"""Write a bundle: weights copied beside their card, golden pair computed, hashes taken, all or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cxrbatch.bundles import digests
from cxrbatch.bundles.bundle import CARD_FILE, GOLDEN_FILE, Bundle, open_bundle, read_card, write_sums
from cxrbatch.bundles.card import Card
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.film_check import FILM_CHECK_FILE, FilmCheck, write_arrays
from cxrbatch.bundles.golden import FLOAT32_TOLERANCE, GoldenPair, write_golden
from cxrbatch.bundles.inspection import inspect_network


def save_bundle(folder: Path, weights: Path, fields: Mapping[str, Any], replace: bool = False) -> Bundle:
    """Make the bundle `folder` from a weights file and the card's fields, all but ``weights``.

    The network is built, its golden output computed in float32 and its deviation in mixed precision
    measured. Only a complete bundle appears under `folder`; an old one stays until then.

    Raises:
        BundleError: `folder` exists and `replace` is false, a field is wrong, the weights do not fit,
            or the network gives anything but probabilities.
    """
    if folder.exists() and not replace:
        raise BundleError(f"There is already a model in {folder}: choose another name, or remove it first.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        kept = draft / f"weights{_ending(weights)}"
        shutil.copyfile(weights, kept)
        _complete(draft, _card(fields, kept), weights)
        draft.chmod(0o755)
        _move_into_place(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return open_bundle(folder)


def rewrite_card(folder: Path, fields: Mapping[str, Any]) -> Bundle:
    """Change fields of the card of the bundle in `folder`, which nobody uses yet: weights and golden pair
    stay, and with them every probability.

    Raises:
        BundleError: a field is wrong, or it is the weights.
    """
    old = read_card(folder)
    if "weights" in fields:
        raise BundleError("The card of the new model: weights: are those of the bundle.")
    content = old.model_dump(mode="json", exclude={"weights"}) | dict(fields)
    card = _card(content, folder / old.weights.file)
    if not old.heat_maps:
        card = card.model_copy(update={"heat_maps": False, "map_scale": None})
    _write_card(folder, card)
    return open_bundle(folder)


def save_film_check(folder: Path, check: FilmCheck, about: Mapping[str, Any]) -> Bundle:
    """Give the bundle in `folder` this film check, in the place of one it may have. Weights and golden pair
    stay, and with them every probability; the bundle's hash changes.

    Args:
        about: the fields of `card.FilmCheckFile` but `file` and `sha256`.

    Raises:
        BundleError: a field is wrong.
        OSError: the folder cannot be written.
    """
    old = open_bundle(folder)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        shutil.copytree(folder, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".openvino"))
        write_arrays(draft / FILM_CHECK_FILE, check)
        entry = {**about, "file": FILM_CHECK_FILE, "sha256": digests.file_digest(draft / FILM_CHECK_FILE)}
        fields = old.card.model_dump(mode="json", exclude={"weights"}) | {"film_check": entry}
        _write_card(draft, _card(fields, draft / old.card.weights.file))
        draft.chmod(0o755)
        _move_into_place(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return open_bundle(folder)


def _complete(draft: Path, card: Card, weights: Path) -> None:
    """Inspect the network, then write golden pair, card and sums. Errors name `weights`, the user's file."""
    found = inspect_network(weights, card.architecture, card.input, len(card.findings))
    # Twice what bfloat16, the coarser of the 16-bit formats, did here: rounding differs by device.
    mixed = max(2.0 * found.mixed_deviation, 1e-3)
    tolerance = {"float32": FLOAT32_TOLERANCE, "mixed": mixed}
    write_golden(draft / GOLDEN_FILE, GoldenPair(found.input, found.probabilities, tolerance))
    if not found.has_heat_maps:
        card = card.model_copy(update={"heat_maps": False, "map_scale": None})
    _write_card(draft, card)


def _write_card(folder: Path, card: Card) -> None:
    text = card.model_dump_json(indent=2, exclude_none=True) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    write_sums(folder)


def _card(fields: Mapping[str, Any], weights: Path) -> Card:
    entry = {"file": weights.name, "sha256": digests.file_digest(weights)}
    try:
        return Card.model_validate({**fields, "weights": entry})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the card"
        raise BundleError(f"The card of the new model: {key}: {first['msg']}.") from error


def _ending(weights: Path) -> str:
    name = weights.name.lower()
    for ending in (".weights.h5", ".keras", ".h5", ".hdf5"):
        if name.endswith(ending):
            return ".h5" if ending == ".hdf5" else ending
    raise BundleError(
        f"{weights} is no weights file: expected .h5, .weights.h5 or .keras, or, with a preset, torch's."
    )


def _move_into_place(draft: Path, folder: Path) -> None:
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
        folder.rename(old / folder.name)
        draft.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        draft.rename(folder)
