"""The wheel, installed where no checkout is, does the main job from any folder and without a network."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKED = ("templates", "models", "sample_data")
Finished = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("cxrbatch-*.whl")
    return built


def committed(folder: str) -> set[str]:
    """Files below `folder` as git knows them; in an unpacked archive, all there are."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    return {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*") if p.is_file()}


def test_it_carries_templates_models_and_samples(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in PACKED:
        files = committed(folder)
        assert files, f"{folder}/ is empty"
        assert {f"cxrbatch/_data/{name}" for name in files} <= names


def test_it_carries_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"cxrbatch"}
    assert not [n for n in names if ".openvino" in n or "__pycache__" in n or n.endswith((".pyc", ".log"))]


def test_the_default_bundle_is_small(wheel: Path) -> None:
    entries = zipfile.ZipFile(wheel).infolist()
    size = sum(e.file_size for e in entries if e.filename.startswith("cxrbatch/_data/models/cxr-lite/"))
    assert 0 < size < 20_000_000


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the wheel, and a folder far from the checkout to work in."""

    python: Path
    work: Path

    def run(self, *arguments: str, fenced: bool = False, seconds: float = 300.0) -> Finished:
        """The installed console script with a bare environment; `fenced` without any network device."""
        command = [str(self.python.parent / "cxrbatch"), *arguments]
        if fenced:
            command = [*without_network(), *command]
        return self._call(command, seconds)

    def evaluate(self, expression: str) -> str:
        done = self._call(
            [str(self.python), "-c", f"import cxrbatch, cxrbatch.resources; print({expression})"]
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _call(self, command: list[str], seconds: float = 120.0) -> Finished:
        environment = {"PATH": os.defpath, "HOME": str(self.work), "LANG": "C.UTF-8"}
        return subprocess.run(
            command,
            cwd=self.work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )


def without_network() -> list[str]:
    """A prefix that runs a command in a network namespace of its own, empty where the kernel forbids it."""
    prefix = ["unshare", "--net", "--map-root-user"]
    if shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
        return prefix
    return []


def make_installation(folder: Path, install: Callable[[Path], None]) -> Installation:
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    install(python)
    (folder / "work").mkdir()
    return Installation(python, folder / "work")


def pip_install(python: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Only the wheel is installed; its dependencies are lent by the environment that runs the tests.

    A path named in a .pth file is searched, but .pth files in it are not read: so the packages of the
    running environment can be imported, and the checkout, which is installed there by a .pth file, can not.
    """

    def install(python: Path) -> None:
        pip_install(python, "--no-deps", "--no-index", str(wheel))
        (site,) = python.parents[1].glob("lib/python*/site-packages")
        (site / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")

    return make_installation(tmp_path_factory.mktemp("installed"), install)


def test_the_checkout_is_out_of_reach(installed: Installation) -> None:
    inside = str(installed.python.parents[1])
    assert installed.evaluate("cxrbatch.__file__").startswith(inside)
    for folder in PACKED:
        assert installed.evaluate(f"cxrbatch.resources.shipped_folder({folder!r})").startswith(inside)


def test_help_and_version(installed: Installation) -> None:
    assert "score" in installed.run("--help").stdout
    assert installed.evaluate("cxrbatch.__version__") in installed.run("--version").stdout


def test_the_default_model_is_listed(installed: Installation) -> None:
    done = installed.run("model", "list")
    assert done.returncode == 0, done.stderr
    assert "cxr-lite" in done.stdout


def check_a_night(installation: Installation) -> None:
    """`cxrbatch score` on the packed samples: exit 3, since a broken file is among them."""
    samples = installation.evaluate("cxrbatch.resources.shipped_folder('sample_data')")
    done = installation.run("score", samples, "--out", "RUN", fenced=True)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    run = installation.work / "RUN"
    assert json.loads((run / "run.json").read_text())["state"] == "finished"
    with (run / "scores.csv").open(newline="") as file:
        scores = list(csv.DictReader(file))
    assert len(scores) >= 3
    assert all(0.0 < float(row["Effusion"]) < 1.0 for row in scores)
    keys = {row["study_key"] for row in scores}
    for key in keys:
        assert (run / "reports" / key / "report.html").is_file()
        assert (run / "reports" / key / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert (run / "index.html").is_file()
    assert (run / "audit.pdf").is_file()
    with (run / "rejected.csv").open(newline="") as file:
        assert {"not_frontal", "not_chest"} <= {row["reason"] for row in csv.DictReader(file)}


def test_a_night_from_another_folder_without_network(installed: Installation) -> None:
    check_a_night(installed)


@pytest.mark.long
def test_a_night_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Everything from the lock file, nothing lent: a download of a gigabyte."""

    def install(python: Path) -> None:
        pip_install(python, "--require-hashes", "-r", str(ROOT / "requirements" / "runtime.txt"))
        pip_install(python, "--no-deps", "--no-index", str(wheel))

    installation = make_installation(tmp_path, install)
    examined = installation.run("doctor", fenced=True)
    assert examined.returncode == 0, examined.stdout
    check_a_night(installation)
