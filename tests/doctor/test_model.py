from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cxrbatch.doctor.checks import model
from cxrbatch.doctor.isolation import isolated
from cxrbatch.doctor.outcome import Level, Subject
from cxrbatch.resources import shipped_folder


@pytest.mark.parametrize("check", [model.check_openvino, model.check_keras])
def test_the_default_bundle_gives_its_golden_output(check) -> None:
    outcome = isolated(check, Subject())
    assert outcome.level is Level.OK, outcome.message


def test_an_unknown_model_is_a_problem() -> None:
    outcome = model.check_openvino(Subject(model="no-such-model"))
    assert outcome.level is Level.PROBLEM
    assert "no-such-model" in outcome.message


def test_altered_weights_are_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "altered"
    shutil.copytree(shipped_folder("models") / "cxr-lite", folder, ignore=shutil.ignore_patterns(".openvino"))
    weights = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    outcome = model.check_keras(Subject(model=str(folder)))
    assert outcome.level is Level.PROBLEM
    assert weights.name in outcome.message
