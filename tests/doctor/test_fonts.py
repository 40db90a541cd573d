"""$FONTCONFIG_FILE tells Fontconfig where fonts lie: so a test has a machine without fonts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cxrbatch.doctor.checks import fonts
from cxrbatch.doctor.isolation import isolated
from cxrbatch.doctor.outcome import Level, Subject


def look_only_in(folder: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = work / "fonts.conf"
    file.write_text(f"<fontconfig><dir>{folder}</dir><cachedir>{work / 'cache'}</cachedir></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(file))


def test_no_fonts_at_all_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look_only_in(tmp_path, tmp_path, monkeypatch)
    outcome = isolated(fonts.check, Subject())
    assert outcome.level is Level.PROBLEM
    assert "Latin" in outcome.message
    assert "fonts-dejavu-core" in outcome.advice


def test_fonts_without_cjk_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = subprocess.run(
        ["fc-list", "DejaVu Sans", "file"], capture_output=True, text=True, check=True
    ).stdout
    if not found:
        pytest.skip("DejaVu Sans is not installed")
    look_only_in(Path(found.splitlines()[0].rstrip(": ")).parent, tmp_path, monkeypatch)
    outcome = isolated(fonts.check, Subject())
    assert outcome.level is Level.WARNING
    assert "Japanese" in outcome.message
    assert "Greek" not in outcome.message


def test_fontconfig_agrees_on_this_machine() -> None:
    """Independent oracle: Fontconfig's own command."""
    shown = subprocess.run(
        ["fc-list", ":lang=ja", "family"], capture_output=True, text=True, check=True
    ).stdout
    outcome = fonts.check(Subject())
    assert ("Japanese" in outcome.message and outcome.level is Level.OK) == bool(shown)
