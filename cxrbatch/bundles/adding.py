"""Make a bundle of weights that a user brings (``cxrbatch model add``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cxrbatch.bundles import folders
from cxrbatch.bundles.architectures import ARCHITECTURES, WHOLE_MODEL
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.presets import PRESETS, Preset
from cxrbatch.pipeline.input_spec import InputSpec

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""As `Card.name`: safe as the name of a folder."""

THRESHOLDS_NOT_CHOSEN = (
    "Not chosen: 0.5 for every finding, as a placeholder. 0.5 is no operating point; choose thresholds on "
    "your own labelled films before anyone reads the flags."
)


_SAY_FINDINGS = "the findings in order of the outputs (--findings NAME,NAME)"
_SAY_INPUT = "the input's height and width (--size PIXELS)"


def add_bundle(
    weights: Path,
    name: str,
    preset: str | None = None,
    architecture: str | None = None,
    findings: Sequence[str] | None = None,
    input_spec: InputSpec | None = None,
    card_fields: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Bundle:
    """Add the weights in a file under `name`, in `folders.added_folder`.

    Say what they are in one of three ways: a `preset`; an `architecture` with `findings` in the order
    of the outputs and `input_spec`; or, for a whole ``.keras`` model, `findings` and `input_spec`.
    `card_fields` (thresholds, calibration, licence, ...) replace the plain ones that are filled in.
    `tell` is given what the user should know besides, a sentence at a time.

    Raises:
        BundleError: the name is taken or the file does not fit; the message gives the reason.
    """
    if not weights.is_file():
        raise BundleError(f"There is no file {weights}.")
    check_name(name)
    fields = _described(weights, preset, architecture, findings, input_spec)
    if preset is not None and PRESETS[preset].from_torch:
        return _add_converted(weights, name, PRESETS[preset], fields, card_fields or {}, tell)
    return _save(weights, name, {**fields, **(card_fields or {})})


def check_name(name: str) -> None:
    """Raise BundleError if no new model can have this name."""
    if not NAME.fullmatch(name):
        raise BundleError(f"'{name}' is no name for a model: letters, digits, '.', '_' and '-', at most 64.")
    if name in folders.known():
        raise BundleError(f"There is already a model '{name}': choose another name.")


def _save(weights: Path, name: str, fields: Mapping[str, Any]) -> Bundle:
    from cxrbatch.bundles.saving import save_bundle

    return save_bundle(folders.added_folder() / name, weights, {**fields, "name": name})


def _add_converted(
    weights: Path,
    name: str,
    preset: Preset,
    fields: dict[str, Any],
    card_fields: Mapping[str, Any],
    tell: Callable[[str], None],
) -> Bundle:
    from cxrbatch.bundles.converting import convert

    with TemporaryDirectory(prefix="cxrbatch-converted-") as folder:
        converted = convert(weights, preset, Path(folder))
        fields["findings"] = converted.findings
        fields["thresholds"] = dict.fromkeys(converted.findings, 0.5)
        bundle = _save(converted.weights, name, {**fields, **converted.card_fields, **card_fields})
    for note in converted.notes:
        tell(note)
    return bundle


def _described(
    weights: Path,
    preset: str | None,
    architecture: str | None,
    findings: Sequence[str] | None,
    input_spec: InputSpec | None,
) -> dict[str, Any]:
    """The card's fields that do not come from the network itself."""
    if preset is not None:
        return _from_preset(weights, preset, architecture, findings, input_spec)
    whole = weights.suffix == ".keras"
    if whole and architecture not in (None, WHOLE_MODEL):
        raise BundleError(f"{weights} is a whole model: leave the architecture out.")
    if not whole and architecture is None:
        raise BundleError(
            f"{weights} holds weights only: name a preset (--preset: {', '.join(PRESETS)}) or the "
            f"architecture (--architecture: {', '.join(ARCHITECTURES)})."
        )
    missing = [says for says, value in ((_SAY_FINDINGS, findings), (_SAY_INPUT, input_spec)) if value is None]
    if findings is None or input_spec is None:
        raise BundleError(f"{weights}: without a preset, say {' and '.join(missing)}.")
    _require_names(findings)
    chosen = WHOLE_MODEL if whole else architecture
    return _plain_fields(f"{weights.name}, added by this site", chosen, tuple(findings), input_spec)


def _require_names(findings: Sequence[str]) -> None:
    """Every output stands on every report, so that none may be without a name."""
    blank = [str(i) for i, name in enumerate(findings, start=1) if not name.strip()]
    if blank:
        raise BundleError(
            f"--findings: {len(blank)} of {len(findings)} names are blank (number {', '.join(blank)}): name "
            "each output, in their order."
        )


def _from_preset(weights: Path, preset: str, *described: object) -> dict[str, Any]:
    if preset not in PRESETS:
        raise BundleError(f"There is no preset '{preset}'; there are {', '.join(PRESETS)}.")
    if any(value is not None for value in described):
        raise BundleError(f"The preset '{preset}' says architecture, findings and input: leave them out.")
    known = PRESETS[preset]
    if weights.suffix == ".keras":
        kind = "a state dict of torch" if known.from_torch else "an .h5 weights file"
        raise BundleError(f"{weights} is a whole model; the preset '{preset}' is for {kind}.")
    if not known.from_torch:
        _require_no_torch(weights, preset)
    fields = _plain_fields(known.description, known.architecture, known.findings, known.input)
    fields["licence"] = known.licence
    return fields


def _require_no_torch(weights: Path, preset: str) -> None:
    if weights.suffix in (".pt", ".pth", ".tar"):
        from_torch = ", ".join(name for name, each in PRESETS.items() if each.from_torch)
        raise BundleError(
            f"{weights} is of torch by its name; the preset '{preset}' is for an .h5 file of Keras. "
            f"For torch there are {from_torch}."
        )


def _plain_fields(
    source: str, architecture: str | None, findings: tuple[str, ...], spec: InputSpec
) -> dict[str, Any]:
    return {
        "version": "1",
        "architecture": architecture,
        "findings": findings,
        "input": spec.model_dump(mode="json"),
        "thresholds": dict.fromkeys(findings, 0.5),
        "thresholds_method": THRESHOLDS_NOT_CHOSEN,
        "training_data": {"description": f"{source}; training patients unknown here"},
        "intended_use": "Set by the site that added the model. Every result is reviewed by a radiologist.",
        "limits": "Not validated here. No medical device.",
        "licence": "That of the weights' source; cxrbatch grants none.",
    }
