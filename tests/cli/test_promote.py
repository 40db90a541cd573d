"""From two runs' scores to the current model, through the commands."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cxrbatch.bundles.bundle import CARD_FILE, GOLDEN_FILE, Bundle, open_bundle, write_sums
from cxrbatch.cli.app import app
from cxrbatch.ledger.tables import bundle_label


def run(*arguments: object) -> object:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("CXRBATCH_MODELS", raising=False)


def make_bundle(folder: Path, version: str) -> Bundle:
    folder.mkdir(parents=True)
    (folder / "w.keras").write_bytes(version.encode())
    (folder / GOLDEN_FILE).write_bytes(b"golden")
    weights = {"file": "w.keras", "sha256": hashlib.sha256(version.encode()).hexdigest()}
    card = json.loads((open_bundle("cxr-lite").folder / CARD_FILE).read_text(encoding="utf-8"))
    card = {**card, "name": "net", "version": version, "weights": weights}
    card.pop("film_check", None)  # whose file stays where it is
    (folder / CARD_FILE).write_text(json.dumps(card), encoding="utf-8")
    write_sums(folder)
    return open_bundle(folder)


@pytest.fixture
def site(tmp_path: Path) -> tuple[Path, Bundle, Bundle]:
    """Scores of an old bundle and of a better new one, compared; the verdict lies in verdict/."""
    old, new = make_bundle(tmp_path / "old", "1"), make_bundle(tmp_path / "new", "2")
    rng = np.random.default_rng(4)
    truth, noise = rng.random(400) < 0.4, rng.random(400)
    names = [f"{i}.dcm" for i in range(400)]
    for bundle, gain in ((old, 0.2), (new, 0.35)):
        label = bundle_label(bundle.card, bundle.sha256)
        scores = pd.DataFrame(
            {"path": names, "bundle": label, "Effusion": (noise * 0.6 + gain * truth).round(4)}
        )
        scores.to_csv(tmp_path / f"scores{bundle.card.version}.csv", index=False)
    pd.DataFrame({"path": names, "Effusion": truth.astype(int)}).to_csv(tmp_path / "labels.csv", index=False)
    done = run(
        *("compare", tmp_path / "scores1.csv", tmp_path / "scores2.csv", tmp_path / "labels.csv"),
        *("--out", tmp_path / "verdict", "--rounds", 100),
    )
    assert done.exit_code == 0, done.output
    return tmp_path, old, new


def test_a_passing_verdict_makes_the_new_model_current(site: tuple[Path, Bundle, Bundle]) -> None:
    folder, old, new = site
    done = run("model", "promote", new.folder, "--against", old.folder, "--scores", folder / "verdict")
    assert done.exit_code == 0, done.output
    assert "verdict superior" in done.output
    shown = json.loads(run("model", "show", "current").stdout)
    assert shown["sha256"] == new.sha256
    line = json.loads((folder / "data/cxrbatch/models/promotions.jsonl").read_text())
    digest = json.loads((folder / "verdict/verdict.json").read_text())["digest"]
    assert line["verdict"]["digest"] == digest
    assert line["verdict"]["inputs_not_rechecked"] == []
    assert line["verdict"]["bundles_named_by_command_line"] == []


def test_without_a_verdict_it_is_refused_with_5(site: tuple[Path, Bundle, Bundle]) -> None:
    folder, old, new = site
    done = run("model", "promote", new.folder, "--against", old.folder)
    assert done.exit_code == 5
    assert "There is no verdict" in done.output
    assert not (folder / "data").exists()


def test_a_verdict_about_other_models_is_refused_with_5(site: tuple[Path, Bundle, Bundle]) -> None:
    folder, old, _ = site
    done = run("model", "promote", "cxr-lite", "--against", old.folder, "--scores", folder / "verdict")
    assert done.exit_code == 5
    assert "The verdict's model B is" in done.output


def test_an_override_goes_on_record(site: tuple[Path, Bundle, Bundle]) -> None:
    folder, old, new = site
    done = run("model", "promote", new.folder, "--against", old.folder, "--override", "new scanner")
    assert done.exit_code == 0
    line = json.loads((folder / "data/cxrbatch/models/promotions.jsonl").read_text())
    assert line["override"] == "new scanner"


def test_changed_scores_are_refused_and_missing_ones_noted(site: tuple[Path, Bundle, Bundle]) -> None:
    folder, old, new = site
    common = ("model", "promote", new.folder, "--against", old.folder, "--scores", folder / "verdict")
    (folder / "labels.csv").unlink()
    with (folder / "scores2.csv").open("a") as file:
        file.write("x.dcm,net,0.5\n")
    done = run(*common)
    assert done.exit_code == 2
    assert "scores2.csv is not the file that the verdict is about" in done.output
    (folder / "scores2.csv").unlink()
    assert run(*common).exit_code == 0
    line = json.loads((folder / "data/cxrbatch/models/promotions.jsonl").read_text())
    assert line["verdict"]["inputs_not_rechecked"] == ["scores_b", "labels"]


def test_an_edited_verdict_is_refused_with_2(site: tuple[Path, Bundle, Bundle]) -> None:
    folder, old, new = site
    path = folder / "verdict" / "verdict.json"
    path.write_text(path.read_text().replace(new.sha256[:12], "0" * 12))
    done = run("model", "promote", new.folder, "--against", old.folder, "--scores", path)
    assert done.exit_code == 2
    assert "was changed after it was written" in done.output


def test_a_tampered_bundle_is_refused_with_1(site: tuple[Path, Bundle, Bundle]) -> None:
    folder, old, new = site
    with (new.folder / "w.keras").open("ab") as stream:
        stream.write(b"x")
    done = run("model", "promote", new.folder, "--against", old.folder, "--override", "please")
    assert done.exit_code == 1
    assert "w.keras is not the file" in done.output
    assert not (folder / "data").exists()


def test_an_unknown_bundle_is_wrong_usage(site: tuple[Path, Bundle, Bundle]) -> None:
    folder, old, _ = site
    done = run("model", "promote", "nothing", "--against", old.folder, "--scores", folder / "verdict")
    assert done.exit_code == 2
    assert "Known models" in done.output
