"""``cxrbatch model list | show | add | pull | verify | localise | promote``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrbatch.chatter import imports_kept_quiet
from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.film_check import calibrate_intake, fit_intake
from cxrbatch.cli.localise import localise
from cxrbatch.cli.promote import promote
from cxrbatch.cli.pull import pull, say_added
from cxrbatch.cli.terminal import printable, say, say_lines

if TYPE_CHECKING:
    from cxrbatch.bundles.bundle import Bundle
    from cxrbatch.pipeline.input_spec import InputSpec

app = typer.Typer(help="The models that films are scored with.", no_args_is_help=True)
app.command()(promote)
app.command()(fit_intake)
app.command()(calibrate_intake)
app.command()(pull)
app.command()(localise)

Model = Annotated[str, typer.Argument(help="Name of a model, or the folder of a bundle.")]


@app.command("list")
def list_models() -> None:
    """Name, version, architecture and folder of every model that can be named."""
    from cxrbatch.bundles.bundle import list_bundles, read_card
    from cxrbatch.bundles.errors import BundleError

    for name, folder in list_bundles().items():
        try:
            card = read_card(folder)
        except BundleError as error:
            say(f"{name}: {error}", err=True)
            continue
        cells = (name, card.version, card.architecture, f"{len(card.findings)} findings", str(folder))
        typer.echo("\t".join(map(printable, cells)))


@app.command()
def show(model: Model) -> None:
    """The model's card and hash, as JSON."""
    import json

    bundle = _open(model)
    card = bundle.card.model_dump(mode="json", exclude_none=True)
    if "training_data" in card:
        card["training_data"]["patient_id_hashes"] = len(card["training_data"]["patient_id_hashes"])
    content = {"folder": str(bundle.folder), "sha256": bundle.sha256, "card": card}
    say_lines(json.dumps(content, indent=2, ensure_ascii=False))


@app.command()
def verify(
    model: Model,
    runtime: Annotated[str, typer.Option(help="auto, keras or openvino.")] = "auto",
) -> None:
    """Compare the model's files with their hashes, and its output with its golden output."""
    from cxrbatch.bundles.errors import BundleError
    from cxrbatch.bundles.folders import find

    if runtime not in ("auto", "keras", "openvino"):
        leave(Exit.WRONG_USAGE, f"--runtime must be auto, keras or openvino; received '{runtime}'.")
    try:
        find(model)
    except BundleError as error:
        leave(Exit.WRONG_USAGE, error)
    from cxrbatch.bundles.bundle import open_bundle
    from cxrbatch.scoring.predictor import load_predictor

    try:
        bundle = open_bundle(model)
        with imports_kept_quiet():
            predictor = load_predictor(bundle, runtime)  # type: ignore[arg-type]
    except BundleError as error:
        leave(Exit.COULD_NOT_FINISH, error)
    say(f"{bundle.card.name} {bundle.card.version} is whole: {bundle.sha256}")
    say(f"Its golden output is met by {predictor.runtime_version}, threads of a pass: {predictor.threads}.")


@app.command()
def add(
    weights: Annotated[
        Path, typer.Argument(help="An .h5, .weights.h5 or .keras file, or a torch state dict.")
    ],
    name: Annotated[str, typer.Option(help="The new model's name.")],
    preset: Annotated[
        str | None,
        typer.Option(
            help="coursera-nih, chexnet-keras; of torch: chexnet-torch, torchxrayvision (the file says which "
            "of its weights), torchxrayvision-all, -nih, -pc, -chex, -rsna, -mimic_nb, -mimic_ch."
        ),
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="densenet121 or efficientnet-lite0.")] = None,
    findings: Annotated[str | None, typer.Option(help="Names in the order of outputs, with commas.")] = None,
    size: Annotated[int | None, typer.Option(help="Height and width of the input, in pixels.")] = None,
    channels: Annotated[int, typer.Option(help="Channels of the input.")] = 3,
    scaling: Annotated[str, typer.Option(help="unit, imagenet, standardise or xrv.")] = "imagenet",
    fit: Annotated[
        str, typer.Option(help="pad keeps the aspect ratio, stretch does not, crop cuts the ends.")
    ] = "pad",
) -> None:
    """Make a bundle of weights in a file, and check that they fit.

    A preset says what the public weights of the field are; for others say --findings and --size, and for a
    weights file --architecture. Torch is needed to add a state dict, and never to score with the model.
    """
    from cxrbatch.bundles.adding import add_bundle
    from cxrbatch.bundles.errors import BundleError

    names = [part.strip() for part in findings.split(",")] if findings is not None else None
    spec = _input_spec(size, channels, scaling, fit) if size is not None else None
    notes: list[str] = []
    try:
        with imports_kept_quiet():
            bundle = add_bundle(weights, name, preset, architecture, names, spec, tell=notes.append)
    except BundleError as error:
        leave(Exit.WRONG_USAGE, error)
    except OSError as error:
        leave(Exit.COULD_NOT_FINISH, f"The model could not be written: {error.strerror}: {error.filename}.")
    say_added(bundle, notes)


def _input_spec(size: int, channels: int, scaling: str, fit: str) -> InputSpec:
    from pydantic import ValidationError

    from cxrbatch.pipeline.input_spec import InputSpec

    fields = {"height": size, "width": size, "channels": channels, "scaling": scaling, "fit": fit}
    try:
        return InputSpec.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        option = {"height": "size"}.get(str(first["loc"][0]), first["loc"][0])
        leave(Exit.WRONG_USAGE, f"--{option}: {first['msg']}.")


def _open(model: str) -> Bundle:
    from cxrbatch.bundles.bundle import open_bundle
    from cxrbatch.bundles.errors import BundleError

    try:
        return open_bundle(model)
    except BundleError as error:
        leave(Exit.WRONG_USAGE, error)
