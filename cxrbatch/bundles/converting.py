"""From a torch state dict and its preset to weights of ours, and what the card says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.presets import Preset
from cxrbatch.bundles.torch_densenet import checked_arrays, torchvision_keys, write_keras_weights
from cxrbatch.bundles.torch_file import read_state_dict
from cxrbatch.bundles.torchxrayvision import DEFAULT, OUTPUTS, VARIANTS, Variant, variant_with

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Converted:
    """`weights`: a ``.weights.h5`` file. `findings`: of the outputs that were kept. `card_fields`: what the
    conversion knows better than the preset. `notes`: sentences for the user.
    """

    weights: Path
    findings: tuple[str, ...]
    card_fields: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Outputs:
    """What is known of the outputs: name (blank: none) and operating point (NaN: none) of each."""

    source: str
    names: tuple[str, ...]
    points: tuple[float, ...] | None
    notes: tuple[str, ...] = ()
    variant: Variant | None = None


def convert(path: Path, preset: Preset, folder: Path) -> Converted:
    """Convert the state dict in `path` into ``folder / "converted.weights.h5"``.

    Outputs without a name, and those of torchxrayvision without an operating point, are left out.

    Raises:
        BundleError: the file holds no state dict, or not of this preset's network.
    """
    state = torchvision_keys(path, read_state_dict(path, preset.export))
    outputs = _xrv_outputs(path, preset, state) if preset.is_xrv else _plain_outputs(path, preset, state)
    points = outputs.points or (0.5,) * len(outputs.names)
    kept = [i for i, name in enumerate(outputs.names) if name and not np.isnan(points[i])]
    if not kept:
        raise BundleError(f"{path}: no output of the network has a name and an operating point.")
    target = folder / "converted.weights.h5"
    arrays = checked_arrays(path, state, preset.input.channels, len(outputs.names))
    write_keras_weights(arrays, preset.input, kept, target)
    fields: dict[str, Any] = {"limits": _limits(len(kept), len(outputs.names))}
    if outputs.points is not None:
        fields |= _operating_points(outputs, kept)
    if outputs.variant is not None:
        trained = f"{preset.description}, {outputs.variant.name}, trained on {outputs.variant.data}"
        fields["training_data"] = {"description": f"{trained}; training patients unknown here"}
    left_out = _left_out(outputs.names, kept)
    findings = tuple(outputs.names[i] for i in kept)
    return Converted(target, findings, fields, (*outputs.notes, *left_out))


def _plain_outputs(path: Path, preset: Preset, state: dict[str, torch.Tensor]) -> _Outputs:
    if "op_threshs" in state:
        raise BundleError(
            f"{path} has op_threshs, as only networks of torchxrayvision do: use the preset torchxrayvision."
        )
    return _Outputs(preset.description, preset.findings, None)


def _xrv_outputs(path: Path, preset: Preset, state: dict[str, torch.Tensor]) -> _Outputs:
    """Names and operating points: the file's own operating points tell which variant it is."""
    told = preset.variant
    if "op_threshs" not in state:
        variant = told or VARIANTS[DEFAULT]
        points = tuple(_float32(p) for p in variant.operating_points)
        note = (
            f"{path.name} holds no operating points: it was taken for {variant.name}, with that one's. If it "
            "is another of torchxrayvision's, add it with its own preset (torchxrayvision-nih, -pc, ...)."
        )
        return _Outputs(variant.name, _names(points), points, () if told else (note,), variant)
    points = _points_in(path, state["op_threshs"])
    found = variant_with(points)
    if found and told and found is not told:
        raise BundleError(
            f"{path} is {found.name} by its operating points, not {told.name}: "
            "use the preset torchxrayvision."
        )
    if found is None:
        note = f"The operating points in {path.name} are of none of torchxrayvision's published weights."
        return _Outputs(f"op_threshs in {path.name}", _names(points), points, (note,))
    note = f"By its operating points it is {found.name}."
    return _Outputs(found.name, _names(points), points, (note,), found)


def _points_in(path: Path, tensor: torch.Tensor) -> tuple[float, ...]:
    if tuple(tensor.shape) != (len(OUTPUTS),):
        raise BundleError(f"{path}: op_threshs must be {len(OUTPUTS)} numbers, found {list(tensor.shape)}.")
    points = tuple(float(value) for value in tensor)
    wrong = [point for point in points if not np.isnan(point) and not 0.0 < point < 1.0]
    if wrong:
        raise BundleError(f"{path}: op_threshs must lie between 0 and 1, or be NaN; found {wrong[0]:g}.")
    return points


def _names(points: tuple[float, ...]) -> tuple[str, ...]:
    """An output without an operating point has none of torchxrayvision's names either."""
    return tuple("" if np.isnan(p) else name for name, p in zip(OUTPUTS, points, strict=True))


def _float32(point: float | None) -> float:
    """As torchxrayvision holds it, so that a raw value is on the same side of it."""
    return float("nan") if point is None else float(np.float32(point))


def _operating_points(outputs: _Outputs, kept: list[int]) -> dict[str, Any]:
    assert outputs.points is not None
    points = {outputs.names[i]: outputs.points[i] for i in kept}
    return {
        "thresholds": points,
        "thresholds_method": (
            f"The operating points (op_threshs) of {outputs.source}, chosen by its authors on films of "
            "theirs. Nobody chose them on yours: check them on your own labelled films."
        ),
        "calibration": {name: {"operating_point": point} for name, point in points.items()},
        "calibration_method": (
            "torchxrayvision's op_norm: piecewise linear, so that the operating point becomes 0.5. "
            "The values are no frequencies."
        ),
    }


def _limits(kept: int, outputs: int) -> str:
    limits = "Not validated here. No medical device. Of a film that is not square, the ends are not seen."
    if kept < outputs:
        limits += f" {outputs - kept} of the network's {outputs} outputs have no name and are left out."
    return limits


def _left_out(names: tuple[str, ...], kept: list[int]) -> tuple[str, ...]:
    gone = [str(i + 1) for i in range(len(names)) if i not in kept]
    if not gone:
        return ()
    which = f"number {gone[0]} has" if len(gone) == 1 else f"numbers {', '.join(gone)} have"
    return (
        f"Of the network's {len(names)} outputs, {which} no name or no operating point: left out; "
        f"{len(kept)} findings stay.",
    )
