"""The scripts behind `make` on machines that lack something, and the lock files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("bash", "env", "dirname", "mktemp", "rm", "tail", "cat")
Finished = subprocess.CompletedProcess[str]


class Machine:
    """A machine with nothing on its PATH but a few tools of every system, and the commands given to it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.bin = folder / "checkout", folder / "bin"
        self.bin.mkdir()
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found
            (self.bin / tool).symlink_to(found)
        self.command("id", "echo 1000")

    def command(self, name: str, body: str) -> None:
        self._write(self.bin / name, body)

    def venv_python(self, body: str) -> None:
        (self.root / ".venv" / "bin").mkdir(parents=True)
        self._write(self.root / ".venv" / "bin" / "python", body)

    def run(self, script: str, *arguments: str, **environment: str) -> Finished:
        return subprocess.run(
            [str(self.root / "scripts" / script), *arguments],
            env={"PATH": str(self.bin), "BIN": str(self.bin), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def root_with_apt(self) -> Path:
        """Make the user root on a Debian where every package exists; returns the log of what apt did."""
        self.command("id", "echo 0")
        self.command("apt-cache", "exit 0")
        log = self.bin.parent / "apt.log"
        self.command("apt-get", f'echo "$@" >>{log}')
        return log

    @staticmethod
    def _write(path: Path, body: str) -> None:
        path.write_text(f"#!{shutil.which('bash')}\n{body}\n")
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def one_line(text: str) -> str:
    (line,) = text.strip().splitlines()
    return line


def test_a_suitable_python_is_found_behind_unsuitable_ones(machine: Machine) -> None:
    machine.command("python3", "exit 0")  # runs, but prints no version we can use
    machine.command("python3.11", "exit 127")  # as a pyenv shim that is not switched on
    machine.command("python3.12", f'exec {sys.executable} "$@"')
    done = machine.run("find_python.sh")
    assert done.stdout.strip() == str(machine.bin / "python3.12")
    assert done.stderr == ""


def test_no_python_is_one_clear_line(machine: Machine) -> None:
    machine.command("python3", "exit 0")
    done = machine.run("find_python.sh")
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in one_line(done.stderr)


def test_a_named_python_is_taken(machine: Machine) -> None:
    assert machine.run("find_python.sh", PYTHON=sys.executable).stdout.strip() == sys.executable


WITHOUT_VENV = 'case "$2" in *ensurepip*) [ -e "$BIN/venv-installed" ];; *) echo 3.12;; esac'


def test_a_python_without_venv_is_one_clear_line(machine: Machine) -> None:
    machine.command("python3", WITHOUT_VENV)
    done = machine.run("find_python.sh")
    assert done.returncode == 1
    assert "apt-get install python3.12-venv" in one_line(done.stderr)


def test_root_gets_the_venv_package_installed(machine: Machine) -> None:
    machine.command("python3", WITHOUT_VENV)
    log = machine.root_with_apt()
    machine.command("apt-get", f'echo "$@" >>{log}; : >"$BIN/venv-installed"')
    done = machine.run("find_python.sh")
    assert done.stdout.strip() == str(machine.bin / "python3")
    assert "python3.12-venv" in log.read_text()


WITHOUT_PANGO = 'case "$3" in libpango*) exit 1;; esac'
ALL_FONTS = "echo SomeFont"


def test_a_complete_machine_is_left_alone(machine: Machine) -> None:
    machine.venv_python("exit 0")
    machine.command("fc-list", ALL_FONTS)
    done = machine.run("system_packages.sh", "reports")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_missing_libraries_stop_with_the_command_to_type(machine: Machine) -> None:
    machine.venv_python(WITHOUT_PANGO)
    machine.command("fc-list", ALL_FONTS)
    machine.command("apt-get", "exit 0")
    done = machine.run("system_packages.sh", "reports")
    assert done.returncode == 1
    assert one_line(done.stderr).endswith("sudo apt-get install libpango-1.0-0 libpangoft2-1.0-0")


def test_missing_fonts_are_told_and_do_not_stop(machine: Machine) -> None:
    machine.venv_python("exit 0")
    machine.command("fc-list", f'case "$1" in :lang=ja) ;; *) {ALL_FONTS};; esac')
    machine.command("apt-get", "exit 0")
    done = machine.run("system_packages.sh", "reports")
    assert done.returncode == 0
    assert one_line(done.stderr).endswith("sudo apt-get install fonts-noto-cjk")


def test_another_distribution_is_told_the_names(machine: Machine) -> None:
    machine.venv_python(WITHOUT_PANGO)
    machine.command("fc-list", ALL_FONTS)
    done = machine.run("system_packages.sh", "reports")
    assert done.returncode == 1
    assert "what your system calls them: libpango-1.0-0" in one_line(done.stderr)


def test_root_gets_what_is_missing_installed(machine: Machine) -> None:
    machine.venv_python(f"[ -e {machine.root}/installed ] || {{ {WITHOUT_PANGO}; }}")
    machine.command("fc-list", ALL_FONTS)
    log = machine.root_with_apt()
    machine.command("apt-get", f'echo "$@" >>{log}; : >{machine.root}/installed')
    done = machine.run("system_packages.sh", "reports")
    assert done.returncode == 0, done.stderr
    installs = [line for line in log.read_text().splitlines() if " install " in line]
    assert len(installs) == 1
    assert installs[0].endswith("--no-install-recommends libpango-1.0-0 libpangoft2-1.0-0")


def test_without_a_browser_tests_go_on(machine: Machine) -> None:
    machine.venv_python("exit 0")
    machine.command("fc-list", ALL_FONTS)
    machine.command("apt-get", "exit 0")
    done = machine.run("system_packages.sh", "tests")
    assert done.returncode == 0
    assert "chromium" in done.stderr
    assert "will be skipped" in done.stderr


def pins(name: str) -> dict[str, set[str]]:
    """Package to its pinned versions (more than one where they differ by Python) in requirements/`name`."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), re.M
    ):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt", "torch.txt"])
def test_every_pin_has_a_hash(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert lines
    assert not [line[:60] for line in lines if "--hash=sha256:" not in line]


def test_tests_run_with_the_versions_that_hospitals_get() -> None:
    development = pins("dev.txt")
    assert {
        name: versions for name, versions in pins("runtime.txt").items() if development[name] != versions
    } == {}


def test_the_lock_meets_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for file, asked in (
        ("runtime.txt", project["dependencies"]),
        ("dev.txt", project["dependencies"] + project["optional-dependencies"]["dev"]),
    ):
        pinned = pins(file)
        for requirement in map(Requirement, asked):
            versions = pinned[requirement.name]
            assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_torch_can_only_be_the_small_build() -> None:
    assert all(version.endswith("+cpu") for version in pins("torch.txt")["torch"])
    assert "torch" not in pins("dev.txt")


def test_make_help_tells_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.M)
    assert phony
    shown = subprocess.run(
        ["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True, env=os.environ
    )
    assert set(re.findall(r"^  make (\S+)", shown.stdout, re.M)) == set(phony[1].split())
