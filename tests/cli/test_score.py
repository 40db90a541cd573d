"""The command line of the nightly run: exit codes and messages, as cron and an engineer meet them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cxrbatch.cli.app import app
from cxrbatch.ledger.lease import Lease


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "notes.txt").write_text("no film")
    return folder


def _fails_with(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    (line,) = result.stderr.strip().splitlines()[-1:]
    assert all(word in line for word in words), line
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], ["nowhere", "does not exist"]),
        (["INBOX", "--model", "no-such"], ["no-such", "cxr-lite"]),
        (["INBOX", "--config", "none.toml"], ["none.toml", "cannot be read"]),
        (["INBOX", "--config", "BAD_CONFIG"], ["line 2", "score.worker", "is not known"]),
        (["INBOX", "--labels", "none.csv"], ["none.csv"]),
        (["INBOX", "--labels", "BAD_LABELS"], ["line 3", "Mass", "must be 0, 1 or blank"]),
        (["INBOX", "--findings", "Flu"], ["Flu", "Pneumothorax"]),
        (["INBOX", "--skip-known", "nowhere"], ["--skip-known nowhere", "no such folder"]),
        (["INBOX", "--ray-address", "auto"], ["--ray-address", "is for --engine ray"]),
        (["INBOX", "--cpus-per-scorer", "2"], ["--cpus-per-scorer", "is for --engine ray"]),
        (["INBOX", "--deidentify"], ["--deidentify", "needs a site key", "key_file"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    inbox: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    config, labels = tmp_path / "bad.toml", tmp_path / "bad.csv"
    config.write_text("[score]\nworker = 2\n")
    labels.write_text("image,Mass\na.png,1\nb.png,maybe\n")
    places = {"INBOX": inbox, "BAD_CONFIG": config, "BAD_LABELS": labels}
    given = [places.get(argument, argument) for argument in arguments]
    _fails_with(_run("score", *given, "--out", tmp_path / "run"), 2, *words)


@pytest.mark.parametrize("bad", [["--batch-size", "0"], ["--runtime", "onnx"], ["--reports", "docx"]])
def test_values_that_do_not_fit_an_option_are_exit_2(inbox: Path, tmp_path: Path, bad: list[str]) -> None:
    assert _run("score", inbox, "--out", tmp_path / "run", *bad).exit_code == 2


def test_nothing_readable_is_exit_1_and_one_line(inbox: Path, tmp_path: Path) -> None:
    _fails_with(_run("score", inbox, "--out", tmp_path / "run"), 1, "No readable", str(inbox))


def test_folder_in_use_is_exit_4(inbox: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    lease = Lease.take(run)
    _fails_with(_run("score", inbox, "--out", run), 4, "Another run holds", "pid", "since")
    lease.release()


def test_folder_that_is_no_run_is_exit_2(inbox: Path) -> None:
    _fails_with(_run("score", inbox, "--out", inbox), 2, "is no run folder", "notes.txt")


@pytest.mark.parametrize("make", [lambda run: None, lambda run: (run / "x").write_text("x")])
def test_report_of_no_run_is_exit_2(tmp_path: Path, make: object) -> None:
    run = tmp_path / "run"
    run.mkdir()
    make(run)  # type: ignore[operator]
    _fails_with(_run("report", run), 2, "run.json")


def test_help_names_every_exit_status() -> None:
    text = " ".join(_run("score", "--help").output.split())
    assert all(
        code in text for code in ("0 finished", "3 finished", "1 nothing", "2 wrong", "4 another", "130/143")
    )
