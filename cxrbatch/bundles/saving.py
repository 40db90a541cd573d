"""Write a bundle: weights copied beside their card, golden pair computed, hashes taken, all or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from cxrbatch.bundles import digests
from cxrbatch.bundles.bundle import CARD_FILE, GOLDEN_FILE, Bundle, open_bundle, write_sums
from cxrbatch.bundles.card import Card
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.golden import Floats, golden_input, make_golden, write_golden
from cxrbatch.pipeline.input_spec import InputSpec


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
        card = _card(fields, kept)
        (draft / CARD_FILE).write_text(
            card.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8"
        )
        _write_golden_pair(draft / GOLDEN_FILE, kept, card)
        write_sums(draft)
        draft.chmod(0o755)
        _move_into_place(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return open_bundle(folder)


def golden_output(weights: Path, architecture: str, spec: InputSpec, n_findings: int) -> tuple[Floats, float]:
    """Golden probabilities of a network, and how far mixed precision departs from them.

    Raises:
        BundleError: the file does not fit, or the output is NaN or not within 0 and 1.
    """
    from cxrbatch.bundles.network import in_mixed_precision, read_network

    model = read_network(weights, architecture, spec, n_findings)
    for variable in model.weights:
        if not np.all(np.isfinite(variable.numpy())):
            raise BundleError(f"{weights}: the weights '{variable.path}' hold NaN or infinite values.")
    picture = golden_input(spec)
    exact = np.asarray(model(picture, training=False), np.float32)
    if not np.all((exact >= 0.0) & (exact <= 1.0)):
        raise BundleError(
            f"{weights}: the network's outputs are not probabilities: {exact.min():.3g} to "
            f"{exact.max():.3g}. It must end in a sigmoid for each finding."
        )
    mixed = np.asarray(in_mixed_precision(model, "mixed_bfloat16")(picture, training=False), np.float32)
    return exact, float(np.max(np.abs(mixed - exact)))


def _write_golden_pair(path: Path, weights: Path, card: Card) -> None:
    exact, deviation = golden_output(weights, card.architecture, card.input, len(card.findings))
    # Four times what bfloat16, the coarser of the two 16-bit formats, did here; rounding differs by device.
    write_golden(path, make_golden(card.input, lambda _: exact, mixed=max(4.0 * deviation, 1e-3)))


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
    raise BundleError(f"{weights} is no weights file: expected .h5, .weights.h5 or .keras.")


def _move_into_place(draft: Path, folder: Path) -> None:
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
        folder.rename(old / folder.name)
        draft.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        draft.rename(folder)
