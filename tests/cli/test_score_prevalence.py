from __future__ import annotations

import shutil

import pytest
from typer.testing import CliRunner

from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.bundles.saving import rewrite_card
from cxrbatch.cli.app import app


@pytest.mark.parametrize(
    "text", ["Effusion", "Effusion=", "Effusion=1", "Effusion=5%", "=0.1", "Effusion=0.1,Mass=-1"]
)
def test_a_prevalence_that_is_none_is_refused(tmp_path, text):
    result = CliRunner().invoke(
        app, ["score", str(tmp_path), "--out", str(tmp_path / "run"), "--prevalence", text]
    )
    assert result.exit_code == 2
    assert "--prevalence takes NAME=P" in result.output


def test_a_prevalence_for_a_model_that_cannot_be_moved_is_refused(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(open_bundle("cxr-lite").folder, model, ignore=shutil.ignore_patterns(".openvino"))
    rewrite_card(model, {"calibration_prevalence": None})
    asked = ["score", str(tmp_path), "--out", str(tmp_path / "run"), "--model", str(model)]
    asked += ["--prevalence", "Effusion=0.05"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 2
    assert "does not tell at which prevalence" in result.output
    assert not (tmp_path / "run").exists()
