"""``model fit-intake`` and ``model calibrate-intake``: what is wrong is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cxrbatch.cli.app import app


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("CXRBATCH_MODELS", raising=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit-intake", "cxr-lite"], ["either --films or --from"]),
        (["fit-intake", "cxr-lite", "--films", "FOLDER", "--from", "cxr-lite"], ["either --films or --from"]),
        (["fit-intake", "no-such", "--films", "FOLDER"], ["no-such", "cxr-lite"]),
        (["calibrate-intake", "nowhere", "--model", "no-such"], ["no-such", "cxr-lite"]),
        (["calibrate-intake", "nowhere"], ["nowhere", "is nowhere a run folder"]),
        (["calibrate-intake", "nowhere", "--config", "none.toml"], ["none.toml", "cannot be read"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    given = [str(tmp_path) if argument == "FOLDER" else argument for argument in arguments]
    done = CliRunner().invoke(app, ["model", *given])
    assert done.exit_code == 2, done.output
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr


def test_the_configuration_takes_reject_unusual(tmp_path: Path) -> None:
    from cxrbatch.config import ConfigError, load_config

    path = tmp_path / "cxrbatch.toml"
    path.write_text("[score]\nreject_unusual = true\n")
    assert load_config(path).score.reject_unusual
    assert not load_config(None).score.reject_unusual
    path.write_text('[score]\nreject_unusual = "clear cases"\n')
    with pytest.raises(ConfigError, match=r"score\.reject_unusual"):
        load_config(path)
