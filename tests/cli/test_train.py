from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import cxrbatch.training.run
from cxrbatch.cli.train import train
from cxrbatch.ledger.lease import FolderHeldError
from cxrbatch.ledger.space import NoSpaceError
from cxrbatch.request import Summary
from cxrbatch.training.folder import open_folder
from cxrbatch.training.records import BrokenOffError, TrainingError


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(train)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def asked(tmp_path) -> list[object]:
    """A command that could be run, as far as its options go."""
    (tmp_path / "images").mkdir()
    labels = tmp_path / "labels.csv"
    labels.write_text("image,patient_id,Mass\na.png,1,1\nb.png,2,0\n")
    out = tmp_path / "out"
    return ["--images", tmp_path / "images", "--labels", labels, "--out", out, "--mode", "subset"]


@pytest.fixture
def received(monkeypatch):
    """Requests that reach the training, which is not run."""
    requests = []

    def record(request):
        requests.append(request)
        return Summary(0, "done")

    monkeypatch.setattr(cxrbatch.training.run, "train", record)
    return requests


def test_defaults(run, asked, received):
    result = run(*asked)
    assert result.exit_code == 0, result.output
    (request,) = received
    assert (request.mode, request.init, request.findings, request.fresh) == (
        "subset",
        "cxr-lite",
        None,
        False,
    )
    assert (request.settings.batch_size, request.settings.seed, request.settings.epochs) == (8, 0, None)


def test_the_command_line_overrides_the_sites_file(run, asked, received, tmp_path):
    site = tmp_path / "site.toml"
    site.write_text(
        "[train]\nbatch_size = 4\nlearning_rate = 3e-4\nepochs = 9\n[train.augmentation]\nrotation = 2.0\n"
    )
    soft = tmp_path / "soft.csv"
    soft.write_text("image,Mass\na.png,0.5\n")
    result = run(*asked, "--config", site, "--epochs", 2, "--size", 64, "--findings", "Mass, Nodule",
                 "--init", "none", "--soft-targets", soft, "--soft-weight", 0.25, "--seed", 3)  # fmt: skip
    assert result.exit_code == 0, result.output
    (request,) = received
    settings = request.settings
    assert (settings.batch_size, settings.learning_rate, settings.augmentation.rotation) == (4, 3e-4, 2.0)
    assert (settings.epochs, settings.size, settings.soft_weight, settings.seed) == (2, 64, 0.25, 3)
    assert (request.init, request.findings, request.soft_targets) == (None, ("Mass", "Nodule"), soft)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TrainingError("no"), 2),
        (BrokenOffError("no"), 1),
        (NoSpaceError("no"), 1),
        (OSError(28, "No space left on device"), 1),
        (FolderHeldError(Path("out"), None), 4),
    ],
)
def test_errors_become_a_line_and_an_exit_code(run, asked, monkeypatch, error, code):
    def fail(_):
        raise error

    monkeypatch.setattr(cxrbatch.training.run, "train", fail)
    result = run(*asked)
    assert result.exit_code == code
    assert len(result.output.strip().splitlines()) == 1
    assert result.output.startswith("cxrbatch: ")


def test_a_stopped_training_ends_with_its_signals_code(run, asked, monkeypatch):
    monkeypatch.setattr(cxrbatch.training.run, "train", lambda _: Summary(143, "Stopped."))
    assert run(*asked).exit_code == 143


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--images": "nowhere"}, "--images nowhere: there is no such folder"),
        ({"--labels": "nothing.csv"}, "--labels nothing.csv: there is no such file"),
        ({"--soft-targets": "nothing.csv"}, "--soft-targets nothing.csv"),
        ({"--soft-weight": "0.5"}, "--soft-targets"),
        ({"--init": "no-such-model"}, "no-such-model"),
        ({"--mode": "quick"}, "subset"),
        ({"--size": "8"}, "--size"),
    ],
)
def test_wrong_usage_is_told(run, asked, change, says):
    given = dict(zip(asked[::2], asked[1::2], strict=True)) | change
    result = run(*(part for pair in given.items() for part in pair))
    assert result.exit_code == 2
    assert says in result.output
    assert not Path(str(given["--out"])).exists()


def test_an_empty_folder_of_images_is_told(run, asked):
    result = run(*asked)
    assert result.exit_code == 2
    assert "no frontal chest radiograph" in result.output


def test_a_folder_that_is_being_trained_in_is_refused(run, asked):
    with open_folder(asked[5]):
        result = run(*asked)
    assert result.exit_code == 4
    assert "Another run holds" in result.output


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[train]\nepochs = 0\n", 2, "train.epochs"),
        ("[train]\nseed = 1\n\n[train.augmentation]\nspin = 3\n", 5, "train.augmentation.spin"),
        ("[train]\nseed = 1\naugmentation.rotation = 90.0\n", 3, "train.augmentation.rotation"),
        ("[train]\nvalidation_fraction = 0.5\ntest_fraction = 0.5\n", 1, "leave a tenth"),
        ("[train]\nlearning = 1\n", 2, "early_stopping_patience"),
    ],
)
def test_a_wrong_key_in_the_sites_file_is_named_with_its_line(run, asked, tmp_path, text, line, says):
    site = tmp_path / "site.toml"
    site.write_text(text)
    result = run(*asked, "--config", site)
    assert result.exit_code == 2
    assert f"line {line}," in result.output
    assert says in result.output
