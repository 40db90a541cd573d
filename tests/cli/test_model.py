from __future__ import annotations

import json
from pathlib import Path

import keras
import pytest
from typer.testing import CliRunner

from cxrbatch.cli.model import app

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXRBATCH_MODELS", raising=False)


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    path = tmp_path / "mine.keras"
    keras.Model(inputs, keras.layers.Dense(2, activation="sigmoid")(x)).save(path)
    return path


def _add(path: Path, *more: str) -> tuple[int, str, str]:
    result = run(app, ["add", str(path), "--name", "mine", *more])
    return result.exit_code, result.stdout, result.stderr


DESCRIBED = ("--findings", "Effusion, Mass", "--size", "32", "--scaling", "unit")


def test_a_model_is_added_listed_shown_and_verified(keras_file: Path, tmp_path: Path) -> None:
    code, output, _ = _add(keras_file, *DESCRIBED)
    assert code == 0
    listed = run(app, ["list"]).stdout
    assert "cxr-lite\t" in listed
    assert "mine\t1\tkeras\t2 findings" in listed
    shown = json.loads(run(app, ["show", "mine"]).stdout)
    assert shown["card"]["findings"] == ["Effusion", "Mass"]
    assert shown["sha256"] in output
    assert shown["folder"] == str(tmp_path / "data" / "cxrbatch" / "models" / "mine")
    verified = run(app, ["verify", "mine", "--runtime", "keras"])
    assert verified.exit_code == 0
    assert shown["sha256"] in verified.stdout


def test_a_tampered_model_fails_verification_with_1(keras_file: Path, tmp_path: Path) -> None:
    _add(keras_file, *DESCRIBED)
    with (tmp_path / "data/cxrbatch/models/mine/weights.keras").open("ab") as stream:
        stream.write(b"x")

    result = run(app, ["verify", "mine"])

    assert result.exit_code == 1
    assert "weights.keras is not the file" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["show", "verify"])
def test_an_unknown_model_exits_2_and_lists_the_known(command: str) -> None:
    result = run(app, [command, "nothing"])

    assert result.exit_code == 2
    assert "Known models: cxr-lite" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--preset", "imagenet"), "no preset 'imagenet'"),
        (("--findings", "Effusion", "--size", "32"), "1 findings"),
        (("--findings", "Effusion,Mass", "--size", "32", "--scaling", "loud"), "--scaling"),
        (("--findings", "Effusion,Mass", "--size", "0"), "--size"),
        (("--findings", "Effusion, ", "--size", "32"), "1 of 2 names are blank (number 2)"),
        ((), "findings in order"),
    ],
)
def test_what_does_not_fit_exits_2_with_one_line(
    keras_file: Path, arguments: tuple[str, ...], reason: str
) -> None:
    code, output, errors = _add(keras_file, *arguments)

    assert code == 2
    assert output == ""
    assert reason in errors
    assert len(errors.splitlines()) == 1
