import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cxrbatch.cli.sample import parse_size, sample

app = typer.Typer()
app.command()(sample)


def run(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_cohort_is_written_and_summed_up_on_stderr(tmp_path: Path) -> None:
    result = run(tmp_path / "new", "--studies", 2, "--size", "160x160")
    assert result.exit_code == 0, result.output
    assert "2 phantom studies" in result.stderr
    assert result.stdout == ""
    assert (tmp_path / "new" / "labels.csv").exists()


def test_a_folder_in_use_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    result = run(tmp_path)
    assert result.exit_code == 2
    assert str(tmp_path) in result.stderr
    assert "not an empty folder" in result.stderr


def test_help_says_from_which_size_on_there_is_something_to_screen_out(tmp_path: Path) -> None:
    assert "From 6 studies up" in run("--help").stdout
    for studies, extras in ((5, False), (6, True)):
        folder = tmp_path / str(studies)
        run(folder, "--studies", studies, "--size", "160x160")
        notes = (folder / "README.txt").read_text()
        assert ("not_frontal" in notes) is extras


@pytest.mark.parametrize("size", ["1024", "axb", "10x10", "1024x", "-5x7"])
def test_a_size_that_makes_no_sense_is_wrong_usage(tmp_path: Path, size: str) -> None:
    result = run(tmp_path / "new", f"--size={size}")
    assert result.exit_code == 2
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "file" / "new", "--studies", 1, "--size", "160x160")
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1


def test_sizes() -> None:
    assert parse_size("640x560") == (640, 560)
    assert parse_size("640X560") == (640, 560)


def test_the_command_imports_nothing_heavy() -> None:
    code = (
        "import sys, cxrbatch.cli.sample\n"
        "print([m for m in ('numpy', 'pydicom', 'PIL', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
