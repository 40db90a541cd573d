"""packages, shipped files, configuration, memory, clock, text encoding, PDF."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from cxrbatch.doctor.checks import clock, configuration, memory, packages, pdf, shipped_files
from cxrbatch.doctor.isolation import isolated
from cxrbatch.doctor.outcome import Level, Subject


def test_this_environment_has_what_is_needed() -> None:
    assert packages.check(Subject()).level is Level.OK


@pytest.mark.parametrize("name", ["weasyprint", "pydicom"])
def test_an_old_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda asked: "0.1" if asked == name else real(asked))
    outcome = packages.check(Subject())
    assert outcome.level is Level.PROBLEM
    assert f"{name} 0.1 (needs" in outcome.message


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(asked: str) -> str:
        if asked == "tqdm":
            raise metadata.PackageNotFoundError(asked)
        return real(asked)

    monkeypatch.setattr(metadata, "version", version)
    assert "tqdm is missing" in packages.check(Subject()).message


def test_an_installation_without_its_folders_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cxrbatch").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text("")
    (tmp_path / "models").mkdir()
    monkeypatch.setattr("cxrbatch.resources._PACKAGE", tmp_path / "cxrbatch")
    outcome = shipped_files.check(Subject())
    assert outcome.level is Level.PROBLEM
    assert "models (empty" in outcome.message
    assert "sample_data" in outcome.message
    assert "templates" not in outcome.message


def test_a_wrong_configuration_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "cxrbatch.toml"
    file.write_text("[hospital]\nnmae = 'St. Elsewhere'\n")
    outcome = configuration.check(Subject(config=file))
    assert outcome.level is Level.PROBLEM
    assert "line 2" in outcome.message


def test_memory_can_be_shared_here() -> None:
    assert memory.check(Subject()).level is not Level.PROBLEM


def test_little_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_available", lambda: 2**30)
    outcome = memory.check(Subject())
    assert outcome.level is Level.WARNING
    assert "--workers 1" in outcome.advice


def test_a_clock_before_the_installation_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "__init__.py"
    installed.touch()
    os.utime(installed, (4e9, 4e9))  # the year 2096
    monkeypatch.setattr("cxrbatch.__file__", str(installed))
    assert clock.check(Subject()).level is Level.PROBLEM


def test_a_file_server_in_another_time_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_file_time", lambda folder: clock.time.time() - 90)
    outcome = clock.check(Subject())
    assert outcome.level is Level.WARNING
    assert "-90 s" in outcome.message


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ({"LC_ALL": "C.UTF-8"}, "ok"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "warning"),
    ],
)
def test_encoding_of_the_locale(environment: dict[str, str], level: str) -> None:
    code = (
        "from cxrbatch.doctor.checks import encoding\n"
        "from cxrbatch.doctor.outcome import Subject\n"
        "print(encoding.check(Subject()).level)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == level


def test_pdf_works_here() -> None:
    assert isolated(pdf.check, Subject()).level is Level.OK


def test_a_missing_pango_is_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What WeasyPrint does then: it prints an essay and raises OSError while it is imported."""
    (tmp_path / "weasyprint.py").write_text(
        "print('WeasyPrint could not import some external libraries.')\n"
        "raise OSError(\"cannot load library 'libpango-1.0-0'\\nsecond line\")\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))  # a spawned process gets the parent's sys.path
    outcome = isolated(pdf.check, Subject())
    assert outcome.level is Level.PROBLEM
    assert "libpango-1.0-0" in outcome.message
    assert "second line" not in outcome.message
    assert "apt-get install libpango" in outcome.advice
