"""``cxrbatch report`` as the command line shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cxrbatch import rerendering
from cxrbatch.cli.app import app
from cxrbatch.ledger.run_json import write_run_json


def test_a_run_folder_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "index.html"))

    write_run_json(tmp_path, {"settings": {"acute": [], "report_findings": "flagged"}})
    monkeypatch.setattr(rerendering, "report", fail)
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert f"Permission denied ({tmp_path / 'index.html'})" in done.stderr
