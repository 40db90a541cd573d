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


def test_calibration_says_what_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cxrbatch.bundles.film_check import Limits
    from cxrbatch.film_check import site_limits

    found = site_limits.Calibration(
        films=215,
        before=Limits(-1.72, 4.69),
        after=Limits(-1.30, 5.11, 2.76),
        flagged_before=31,
        flagged_after=4,
        sensitivity=0.93,
        strangest=("e028", "a0fd"),
        file=tmp_path / "film-limits.json",
    )
    asked = []
    monkeypatch.setattr(site_limits, "calibrate", lambda *given: asked.append(given) or found)
    done = CliRunner().invoke(app, ["model", "calibrate-intake", "RUN", "--share", "0.02"])
    assert done.exit_code == 0, done.output
    ((run, bundle, share),) = asked
    assert (str(run), bundle.card.name, share) == ("RUN", "cxr-lite", 0.02)
    for words in ("215 films: 31", "flag 4", str(found.file), "-1.30, was -1.72", "5.11, was 4.69", "93.0%"):
        assert words in done.stdout, words
    assert "less than 95%" in done.stderr
    assert "e028, a0fd" in done.stderr
