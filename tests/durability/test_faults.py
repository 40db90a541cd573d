"""What a night meets besides a kill: a full disk, a share that fails, a clock that jumps, poison, signals."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cxrbatch import night
from cxrbatch.cli.app import app
from cxrbatch.ledger import ledger as ledger_module
from cxrbatch.ledger.atomic import TEMPORARY_MARK
from cxrbatch.ledger.lease import LEASE
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.request import Request, Summary

NO_REPORTS = ReportSettings(html=False, pdf=False)


def _films(folder: Path, count: int, side: int = 64) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        grey = np.random.default_rng(number).integers(0, 256, (side, side), np.uint8)
        Image.fromarray(grey).save(folder / f"{number:03}.png")
    return folder


def _score(inbox: Path, out: Path, **changes: object) -> Summary:
    asked = {"inputs": (str(inbox),), "out": out, "reports": NO_REPORTS, "workers": 1} | changes
    return night.score(Request(**asked))  # type: ignore[arg-type]


def _run(inbox: Path, out: Path, *options: str) -> Result:
    command = ["score", str(inbox), "--out", str(out), "--workers", "1", "--reports", "none", *options]
    return CliRunner().invoke(app, command)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _fails_with(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    (line,) = result.stderr.strip().splitlines()[-1:]
    assert all(word in line for word in words), line
    assert "Traceback" not in result.output


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs may be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_is_said_and_the_run_goes_on_when_there_is_space(tiny_disk: Path, tmp_path: Path) -> None:
    inbox, run = _films(tmp_path / "inbox", 8, 160), tiny_disk / "run"
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(2_700_000))
    _fails_with(_run(inbox, run), 1, "same command again")
    assert not list(tiny_disk.rglob(f"{TEMPORARY_MARK}*"))
    ballast.unlink()
    assert _run(inbox, run).exit_code == 0
    assert len(_rows(run / "scores.csv")) == 8
    assert not (run / LEASE).exists()


def test_far_too_small_a_disk_is_refused_before_the_first_film(tiny_disk: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    Image.fromarray(np.zeros((1024, 1024), np.uint8)).save(inbox / "film.png")
    for number in range(70):
        shutil.copy(inbox / "film.png", inbox / f"{number}.png")
    _fails_with(_run(inbox, tiny_disk / "run"), 1, "MB free", "71 images need at least", "--out")
    assert not list((tiny_disk / "run").glob("store/*"))


def test_report_that_finds_the_disk_full_is_no_failed_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, run = _films(tmp_path / "inbox", 2), tmp_path / "run"
    monkeypatch.setattr("cxrbatch.reporting.press.render_study", _no_space)
    with pytest.raises(OSError, match="No space left"):
        _score(inbox, run, reports=ReportSettings(pdf=False))
    monkeypatch.undo()
    assert _score(inbox, run, reports=ReportSettings(pdf=False)).exit_code == 0
    assert len(list(run.glob("reports/*/report.html"))) == 2


def _no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("fault", "words"),
    [("disk I/O error", "gave an error"), ("attempt to write a readonly database", "may not be written")],
)
def test_ledger_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    inbox, run = _films(tmp_path / "inbox", 2), tmp_path / "run"

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError(fault)

    monkeypatch.setattr(ledger_module.Ledger, "record_score", fail)
    _fails_with(_run(inbox, run), 1, "ledger.db", words, "same command again")
    monkeypatch.undo()
    assert _run(inbox, run).exit_code == 0


def test_share_that_fails_while_writing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox, run = _films(tmp_path / "inbox", 3), tmp_path / "run"
    real, calls = night.write_atomic, []

    def hiccup(path: Path, data: bytes) -> None:
        calls.append(path)
        if len(calls) == 4:
            raise OSError(errno.EIO, "Input/output error", str(path))
        real(path, data)

    monkeypatch.setattr(night, "write_atomic", hiccup)
    _fails_with(_run(inbox, run), 1, "Input/output error", "same command again")
    assert json.loads((run / "run.json").read_text())["state"] == "running"
    monkeypatch.undo()
    assert _run(inbox, run).exit_code == 0
    assert len(_rows(run / "scores.csv")) == 3


def test_films_that_vanish_or_change_midway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox, run = _films(tmp_path / "inbox", 4), tmp_path / "run"
    start = night.Night._start_engine

    def meanwhile(self: night.Night) -> object:
        (inbox / "000.png").unlink()
        Image.fromarray(np.full((80, 90), 7, np.uint8)).save(inbox / "001.png")
        return start(self)

    monkeypatch.setattr(night.Night, "_start_engine", meanwhile)
    assert _score(inbox, run).exit_code == 3
    rejected = {Path(row["path"]).name: row for row in _rows(run / "rejected.csv")}
    assert {name: row["reason"] for name, row in rejected.items()} == {
        "000.png": "unreadable",
        "001.png": "unreadable",
    }
    assert "changed while the run" in rejected["001.png"]["detail"]
    monkeypatch.undo()
    _score(inbox, run)
    assert {Path(row["path"]).name for row in _rows(run / "scores.csv")} == {"001.png", "002.png", "003.png"}
    assert [Path(row["path"]).name for row in _rows(run / "rejected.csv")] == ["000.png"]


def test_films_archived_after_the_night_keep_their_results(tmp_path: Path) -> None:
    inbox, run = _films(tmp_path / "inbox", 3), tmp_path / "run"
    _score(inbox, run)
    before = (run / "scores.csv").read_bytes()
    for path in inbox.iterdir():
        path.unlink()
    assert _score(inbox, run).exit_code == 0
    assert (run / "scores.csv").read_bytes() == before


def test_content_that_changed_behind_its_date_is_found_by_verify_inputs(tmp_path: Path) -> None:
    inbox, run = _films(tmp_path / "inbox", 2), tmp_path / "run"
    _score(inbox, run)
    before, film = (run / "scores.csv").read_bytes(), inbox / "000.png"
    found, data = film.stat(), bytearray(film.read_bytes())
    other = _films(tmp_path / "other", 2) / "001.png"
    swapped = other.read_bytes()
    swapped += bytes(max(0, len(data) - len(swapped)))
    with film.open("r+b") as file:
        file.write(swapped[: len(data)])
    os.utime(film, ns=(found.st_atime_ns, found.st_mtime_ns))
    _score(inbox, run)
    assert (run / "scores.csv").read_bytes() == before
    _score(inbox, run, verify_inputs=True)
    assert (run / "scores.csv").read_bytes() != before or _rows(run / "rejected.csv")


def _crash(path: str, *_: object) -> None:
    Path(path).with_suffix(".tried").open("a").write("x")
    os.kill(os.getpid(), signal.SIGSEGV)


def test_file_that_crashed_its_decoder_is_tried_again_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, run = _films(tmp_path / "inbox", 1), tmp_path / "run"
    monkeypatch.setattr("cxrbatch.pipeline.decoder_pool.decode_film", _crash)
    assert _score(inbox, run).exit_code == 1
    _score(inbox, run)
    (row,) = _rows(run / "rejected.csv")
    assert row["reason"] == "decoder_crashed"
    assert (inbox / "000.tried").read_text() == "x"
    monkeypatch.undo()
    assert _score(inbox, run, retry_failed=True).exit_code == 0
    assert _rows(run / "rejected.csv") == []


def test_clock_that_jumps_back_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox, run = _films(tmp_path / "inbox", 3), tmp_path / "run"
    begun, then = time.monotonic(), time.time()
    monkeypatch.setattr(time, "time", lambda: then - 86400 * (time.monotonic() - begun > 2))
    assert _score(inbox, run, settle=0).exit_code == 0
    assert len(_rows(run / "scores.csv")) == 3


def _signalled(inbox: Path, run: Path, marker: str, *numbers: int) -> subprocess.Popen[str]:
    """A run that gets signals once the line `marker` is in its log."""
    command = [sys.executable, "-m", "cxrbatch", "score", str(inbox), "--out", str(run)]
    process = subprocess.Popen([*command, "--reports", "html"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (run / marker).exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    for number in numbers:
        process.send_signal(number)
    return process


TABLES = ("scores.csv", "calibrated.csv", "studies.csv", "rejected.csv")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An inbox, and its run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    _score(_films(folder / "inbox", 12), folder / "run", reports=ReportSettings(pdf=False))
    return folder


@pytest.mark.parametrize(
    ("marker", "numbers", "codes"),
    [
        ("audit.jsonl", (signal.SIGTERM,), {143}),  # during intake
        ("run.json", (signal.SIGINT,), {130}),  # while the model is loaded
        # While films are scored. Two different signals, since two alike may be delivered as one.
        ("store", (signal.SIGINT, signal.SIGTERM), {143}),
        ("reports", (signal.SIGTERM,), {143}),  # while reports are printed
        ("reports", (signal.SIGINT, signal.SIGTERM), {143}),
        # While tables and pages are written: the run ends with the pages, if they are in hand.
        ("scores.csv", (signal.SIGTERM,), {0, 143}),
        ("scores.csv", (signal.SIGINT, signal.SIGTERM), {143}),
    ],
)
def test_signals_end_a_run_that_says_how_to_go_on_and_loses_nothing(
    straight: Path, tmp_path: Path, marker: str, numbers: tuple[int, ...], codes: set[int]
) -> None:
    inbox, run = straight / "inbox", tmp_path / "run"
    process = _signalled(inbox, run, marker, *numbers)
    _, messages = process.communicate(timeout=120)
    assert process.returncode in codes, messages
    if process.returncode:
        assert "same command again to go on" in messages.splitlines()[-1]
    assert "Traceback" not in messages
    assert (run / LEASE).exists() == (len(numbers) == 2)  # whose holder is dead: the next start takes it over
    assert _score(inbox, run, reports=ReportSettings(pdf=False)).exit_code == 0
    for name in TABLES:
        assert (run / name).read_bytes() == (straight / "run" / name).read_bytes(), name
    names = [sorted(str(p.relative_to(root)) for p in root.rglob("*")) for root in (run, straight / "run")]
    assert names[0] == names[1]
    pages = list(run.glob("reports/*/report.html"))
    assert len(pages) == 12
    assert all(page.read_text().rstrip().endswith("</html>") for page in pages)
    assert not list(run.rglob(f"{TEMPORARY_MARK}*"))
    assert not (run / LEASE).exists()
