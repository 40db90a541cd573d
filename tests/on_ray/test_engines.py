"""Which engine is opened, and that none is imported that nobody asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import cxrbatch
from cxrbatch.cli.app import app
from cxrbatch.scoring import engines

PACKAGE = Path(cxrbatch.__file__).parent


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(tmp_path / "inbox" / "a.png")
    return tmp_path / "inbox"


def test_without_ray_one_sentence_says_how_to_install_it(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["score", str(inbox), "--out", str(tmp_path / "run"), "--engine", "ray"])
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert "pip install 'cxrbatch[ray]'" in line


@pytest.mark.ray
@pytest.mark.parametrize("address", ["ray://127.0.0.1:1", "127.0.0.1"])
def test_an_address_that_is_none_is_one_line(inbox: Path, tmp_path: Path, address: str) -> None:
    command = [
        "score",
        str(inbox),
        "--out",
        str(tmp_path / "run"),
        "--engine",
        "ray",
        "--ray-address",
        address,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "cxrbatch", *command], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert f"'{address}' cannot be joined" in line
    assert "ray start" in line


def test_ray_is_imported_in_its_own_rooms_only() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(name.split(".")[0] == "ray" for name in names):
                found.add(path.parent.relative_to(PACKAGE).as_posix())
    assert found == {"scoring/on_ray"}


def test_the_local_engine_imports_nothing_of_the_other() -> None:
    code = (
        "import sys; from cxrbatch import night;"
        "from cxrbatch.scoring.engines import EngineChoice, open_engine;"
        "open_engine(EngineChoice(), None).close();"
        "assert not {name for name in sys.modules if name.split('.')[0] == 'ray' or 'on_ray' in name}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
