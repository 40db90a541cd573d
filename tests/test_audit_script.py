"""``make audit`` says what it found, and never passes silence for a clean result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CANARY = {"name": "jinja2", "version": "2.10", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.10.1"]}]}


def audit(tmp_path: Path, program: str, seconds: int = 20) -> subprocess.CompletedProcess[str]:
    """The script in a checkout whose uv is `program`."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "runtime.txt").write_text("pillow==1\n")
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    uv = tmp_path / ".venv" / "bin" / "uv"
    uv.write_text(f"#!/usr/bin/env bash\n{program}\n")
    uv.chmod(0o755)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(ROOT / ".venv" / "bin" / "python")
    environment = os.environ | {"CXRBATCH_AUDIT_SECONDS": str(seconds)}
    command = [str(tmp_path / "scripts" / "audit.sh")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def answers(canary: list[object], pinned: list[object]) -> str:
    first, second = (json.dumps({"dependencies": found}) for found in (canary, pinned))
    return f"case \"$*\" in *canary*) echo '{first}';; *) echo '{second}';; esac"


def test_a_known_vulnerability_fails(tmp_path: Path) -> None:
    found = {"name": "pillow", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
    done = audit(tmp_path, answers([CANARY], [found]))
    assert done.returncode == 1
    assert "pillow 1: CVE-1, mended in 2" in done.stdout


def test_nothing_known_passes_and_says_what_was_not_looked_up(tmp_path: Path) -> None:
    unknown = {"name": "torch", "skip_reason": "not found"}
    done = audit(tmp_path, answers([CANARY], [{"name": "pillow", "version": "1", "vulns": []}, unknown]))
    assert done.returncode == 0
    assert "1 packages looked up, 0 known" in done.stdout
    assert "does not know torch" in done.stdout


@pytest.mark.parametrize(
    "program",
    [
        "echo no network >&2; exit 1",
        answers([{"name": "jinja2", "skip_reason": "not found"}], []),
        "echo '[]'",
    ],
)
def test_no_database_is_said_and_passes(tmp_path: Path, program: str) -> None:
    done = audit(tmp_path, program)
    assert (done.returncode, done.stdout) == (0, "")
    assert "audit skipped: no vulnerability database" in done.stderr


def test_it_never_hangs(tmp_path: Path) -> None:
    begun = time.monotonic()
    done = audit(tmp_path, "sleep 50", seconds=1)
    assert time.monotonic() - begun < 20
    assert done.returncode == 0
    assert "within 1 s" in done.stderr
