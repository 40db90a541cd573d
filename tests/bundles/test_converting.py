"""Weights of torch projects, from a PNG to a probability, against the same network in plain torch."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cxrbatch.bundles.adding import add_bundle
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.converting import convert
from cxrbatch.bundles.network import load_classifier, read_network
from cxrbatch.bundles.presets import PRESETS, Preset
from cxrbatch.cli.app import app
from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.preprocess import preprocess_one
from cxrbatch.radiographs.read import read_radiograph

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")

from tests.bundles.torch_densenet import chexnet_checkpoint, op_norm, random_network  # noqa: E402

NAN = float("nan")
# Six without a name; the others lie among the probabilities of the films, so that both branches are taken.
POINTS = [0.3, 0.45, NAN, 0.5, 0.62, NAN, NAN, 0.7, 0.2, NAN, 0.55, NAN, NAN, 0.4, 0.35, 0.66, 0.5, 0.8]
NAMED = [
    *("Atelectasis", "Consolidation", "Pneumothorax", "Edema", "Effusion", "Pneumonia", "Cardiomegaly"),
    *("Hernia", "Lung Lesion", "Fracture", "Lung Opacity", "Enlarged Cardiomediastinum"),
]
SIZES = ((224, 224), (301, 260), (240, 411))
"""Rows and columns of the films: as the network wants them, tall, wide and of odd length."""


def _film(rows: int, columns: int, seed: int) -> Image.Image:
    """Soft shapes with a little noise: something to see at every scale."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.uniform(20, 235, (9, 9)).astype(np.uint8))
    soft = np.asarray(coarse.resize((columns, rows), Image.Resampling.BICUBIC), float)
    return Image.fromarray(np.clip(soft + random.normal(0, 8, (rows, columns)), 0, 255).astype(np.uint8))


def _centre_square(film: Path) -> np.ndarray:
    """torchxrayvision's XRayCenterCrop, on grey values as they are in the file."""
    pixels = np.asarray(Image.open(film), np.float32)
    rows, columns = pixels.shape
    side = min(rows, columns)
    top, left = rows // 2 - side // 2, columns // 2 - side // 2
    return pixels[top : top + side, left : left + side]


def _resized(square: np.ndarray) -> torch.Tensor:
    planes = torch.from_numpy(square.copy())[None, None]
    return torch.nn.functional.interpolate(planes, size=(224, 224), mode="bilinear", antialias=True)


def _xrv_input(film: Path) -> torch.Tensor:
    return _resized((2 * (_centre_square(film) / 255.0) - 1.0) * 1024)


def _imagenet_input(film: Path) -> torch.Tensor:
    grey = _resized(_centre_square(film) / 255.0).repeat(1, 3, 1, 1)
    mean, deviation = (
        torch.tensor(numbers).reshape(1, 3, 1, 1)
        for numbers in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    return (grey - mean) / deviation


@dataclass
class Case:
    """A network, its file, what torch makes of the films, and the classifier that was made of the file."""

    films: list[Path]
    network: torch.nn.Module
    inputs: torch.Tensor
    logits: np.ndarray
    file: Path
    preset: Preset
    classifier: keras.Model | None = None

    def ours(self) -> np.ndarray:
        """The films as the pipeline prepares them, (n, 224, 224, channels)."""
        films = [read_radiograph(film.read_bytes(), FileKind.PNG) for film in self.films]
        return np.stack([preprocess_one(film.pixels, self.preset.input) for film in films])


def _case(folder: Path, preset: Preset, prepare: Callable[[Path], torch.Tensor]) -> Case:
    films = [folder / f"film{i}.png" for i in range(len(SIZES))]
    for seed, (path, size) in enumerate(zip(films, SIZES, strict=True)):
        _film(*size, seed).save(path)
    inputs = torch.cat([prepare(film) for film in films])
    outputs = len(preset.findings)
    network = random_network(preset.input.channels, outputs, inputs, seed=outputs)
    with torch.no_grad():
        logits = network(inputs).numpy()
    return Case(films, network, inputs, logits, folder / "weights.pt", preset)


@dataclass
class Added:
    """A bundle and what its user was told."""

    case: Case
    bundle: Bundle
    told: list[str]


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Added:
    """torchxrayvision's, by ``model add``."""
    folder, told = tmp_path_factory.mktemp("xrv"), []
    case = _case(folder, PRESETS["torchxrayvision"], _xrv_input)
    case.network.register_buffer("op_threshs", torch.tensor(POINTS))
    torch.save(case.network.state_dict(), case.file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        bundle = add_bundle(case.file, "converted", preset="torchxrayvision", tell=told.append)
    case.classifier = load_classifier(bundle)
    return Added(case, bundle, told)


@pytest.fixture(scope="module")
def xrv(added: Added) -> Case:
    return added.case


@pytest.fixture(scope="module")
def chexnet(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """CheXNet's, from a checkpoint as of 2017: an old format, wrapped, under old names."""
    folder = tmp_path_factory.mktemp("chexnet")
    case = _case(folder, PRESETS["chexnet-torch"], _imagenet_input)
    torch.save(chexnet_checkpoint(case.network), case.file, _use_new_zipfile_serialization=False)
    converted = convert(case.file, case.preset, folder)
    assert (converted.findings, converted.notes) == (case.preset.findings, ())
    assert "thresholds" not in converted.card_fields  # nobody has chosen any
    case.classifier = read_network(converted.weights, "densenet121", case.preset.input, 14)
    return case


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-logits))


@pytest.mark.parametrize("case", ["xrv", "chexnet"])
def test_probabilities_of_png_films_are_torchs(case: str, request: pytest.FixtureRequest) -> None:
    each: Case = request.getfixturevalue(case)
    kept = [i for i, p in enumerate(POINTS) if not np.isnan(p)] if case == "xrv" else list(range(14))
    expected = _sigmoid(each.logits)[:, kept]

    ours = np.asarray(each.classifier(each.ours(), training=False))

    assert expected.std(0).min() > 0.02  # every output tells the films apart
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_prepared_films_are_those_of_torch(xrv: Case, chexnet: Case) -> None:
    for case, unit in ((xrv, 2048.0), (chexnet, 1.0 / 0.224)):
        ours = case.ours().transpose(0, 3, 1, 2)
        np.testing.assert_allclose(ours / unit, case.inputs.numpy() / unit, atol=2e-5)


def test_outputs_without_a_name_are_left_out_and_told_of(added: Added) -> None:
    card = added.bundle.card
    assert list(card.findings) == NAMED
    assert any("18 outputs, numbers 3, 6, 7, 10, 12, 13 have no name" in line for line in added.told)
    assert any("none of torchxrayvision's published weights" in line for line in added.told)
    assert "6 of the network's 18 outputs" in card.limits


def test_the_card_says_what_the_file_and_the_project_know(added: Added) -> None:
    card = added.bundle.card
    assert card.thresholds["Lung Opacity"] == pytest.approx(0.5)
    assert "op_threshs" in card.thresholds_method
    assert card.calibration is not None
    assert card.calibration["Effusion"](0.7 * 0.5) == pytest.approx(0.25)
    assert card.licence.startswith("Apache-2.0")
    assert (card.input.channels, card.input.scaling, card.input.fit) == (1, "xrv", "crop")


def test_heat_maps_are_torchs_class_activations(xrv: Case) -> None:
    from cxrbatch.scoring.heatmaps import heat_map_model

    kept = [i for i, p in enumerate(POINTS) if not np.isnan(p)]
    with torch.no_grad():
        features = xrv.network.features(xrv.inputs[1:2]).relu()
        expected = torch.einsum("nchw,kc->nhwk", features, xrv.network.classifier.weight[kept]).numpy()

    found = heat_map_model(xrv.classifier)(xrv.ours()[1:2])

    assert expected.std() > 0.1
    np.testing.assert_allclose(np.asarray(found["maps"]), expected, atol=1e-3 * np.abs(expected).max())
    np.testing.assert_allclose(np.asarray(found["logits"]), xrv.logits[1:2, kept], atol=1e-3)


def test_a_night_gives_torchxrayvisions_values_and_reports_on_the_bundles_own_findings(
    added: Added, tmp_path: Path
) -> None:
    xrv = added.case

    inbox, run = tmp_path / "inbox", tmp_path / "run"
    inbox.mkdir()
    for film in xrv.films:
        (inbox / film.name).write_bytes(film.read_bytes())

    result = CliRunner().invoke(
        app,
        f"score {inbox} --out {run} --model {added.bundle.folder} --runtime keras --reports html --workers 1",
    )

    assert result.exit_code == 0, result.stderr
    raw, scaled = _table(run / "scores.csv"), _table(run / "calibrated.csv")
    torchs = torch.sigmoid(torch.from_numpy(xrv.logits))
    outputs = [i for i, p in enumerate(POINTS) if not np.isnan(p)]
    for number, film in enumerate(xrv.films):
        expected = op_norm(torchs[number : number + 1], POINTS)[0]
        for name, output in zip(NAMED, outputs, strict=True):
            assert raw[film.name][name] == pytest.approx(float(torchs[number, output]), abs=1e-4)
            assert scaled[film.name][name] == pytest.approx(float(expected[output]), abs=1e-4)
    for page in run.glob("reports/*/report.html"):
        text = page.read_text()
        assert "Enlarged cardiomediastinum" in text
        assert "no frequencies" in text
        assert "Infiltration" not in text


@pytest.mark.long
@pytest.mark.parametrize("runtime", ["keras", "openvino"])
def test_the_bundle_is_verified_by_both_runtimes(added: Added, runtime: str) -> None:
    verified = CliRunner().invoke(app, f"model verify {added.bundle.folder} --runtime {runtime}")
    assert verified.exit_code == 0, verified.stderr


@pytest.mark.long
def test_chexnet_is_added_with_placeholders_for_thresholds(chexnet: Case, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path))
        card = add_bundle(chexnet.file, "chexnet", preset="chexnet-torch").card
    assert card.calibration is None
    assert "Not chosen" in card.thresholds_method
    assert card.findings[7:9] == ("Pneumothorax", "Consolidation")


def _table(path: Path) -> dict[str, dict[str, float]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {Path(row["path"]).name: {name: float(row[name]) for name in NAMED} for row in rows}
