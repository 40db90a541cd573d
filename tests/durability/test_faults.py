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
from cxrbatch.ledger import shelf
from cxrbatch.ledger.atomic import TEMPORARY_MARK
from cxrbatch.ledger.lease import LEASE
from cxrbatch.pipeline.decoding import decode_film
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
    real, calls = shelf.write_atomic, []

    def hiccup(path: Path, data: bytes) -> None:
        calls.append(path)
        if len(calls) == 4:
            raise OSError(errno.EIO, "Input/output error", str(path))
        real(path, data)

    monkeypatch.setattr(shelf, "write_atomic", hiccup)
    _fails_with(_run(inbox, run), 1, "Input/output error", "same command again")
    assert json.loads((run / "run.json").read_text())["state"] == "running"
    monkeypatch.undo()
    assert _run(inbox, run).exit_code == 0
    assert len(_rows(run / "scores.csv")) == 3


def test_films_that_vanish_or_change_midway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox, run = _films(tmp_path / "inbox", 4), tmp_path / "run"
    start = night.Night._start_scorer

    def meanwhile(self: night.Night) -> object:
        (inbox / "000.png").unlink()
        Image.fromarray(np.full((80, 90), 7, np.uint8)).save(inbox / "001.png")
        return start(self)

    monkeypatch.setattr(night.Night, "_start_scorer", meanwhile)
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


NO_READING = "/proc/self/mem"
"""Reading this from its beginning fails with EIO, as on a share whose server is gone."""


def _share_fails_for_001(path: str, *arguments: object) -> object:
    return decode_film(NO_READING if path.endswith("001.png") else path, *arguments)  # type: ignore[arg-type]


def test_share_that_fails_while_a_film_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox, run = _films(tmp_path / "inbox", 3), tmp_path / "run"
    monkeypatch.setattr("cxrbatch.pipeline.decoder_pool.decode_film", _share_fails_for_001)
    assert _score(inbox, run).exit_code == 3
    (row,) = _rows(run / "rejected.csv")
    assert (Path(row["path"]).name, row["reason"]) == ("001.png", "unreadable")
    assert row["detail"] == "The file could not be read: Input/output error. Check the disk or share."
    assert len(_rows(run / "scores.csv")) == 2
    monkeypatch.undo()
    assert _score(inbox, run).exit_code == 0
    assert (len(_rows(run / "scores.csv")), _rows(run / "rejected.csv")) == (3, [])


@pytest.mark.parametrize("fault", ["open", "stat", "list"])
def test_share_that_fails_while_files_are_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    inbox, run = _films(tmp_path / "inbox", 3), tmp_path / "run"
    _films(inbox / "folder", 1)
    bad = {"open": inbox / "001.png", "stat": inbox / "001.png", "list": inbox / "folder"}[fault]
    real = {"open": os.open, "stat": os.stat, "list": os.scandir}[fault]

    def hiccup(path: str, *arguments: object, **options: object) -> object:
        if fault == "open" and path == str(bad):
            path = NO_READING
        elif path == str(bad):
            raise OSError(errno.EIO, "Input/output error", path)
        return real(path, *arguments, **options)  # type: ignore[operator]

    monkeypatch.setattr(os, real.__name__, hiccup)
    assert _score(inbox, run).exit_code == 3
    (row,) = _rows(run / "rejected.csv")
    assert (Path(row["path"]), row["reason"]) == (bad, "unreadable")
    assert "Input/output error" in row["detail"]
    assert "disk or share" in row["detail"]
    assert len(_rows(run / "scores.csv")) == 3
    monkeypatch.undo()
    assert _score(inbox, run).exit_code == 0
    assert (len(_rows(run / "scores.csv")), _rows(run / "rejected.csv")) == (4, [])


def test_share_that_fails_in_one_of_many_surveying_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, run = _films(tmp_path / "inbox", 3), tmp_path / "run"
    (inbox / "bad.png").symlink_to(NO_READING)
    monkeypatch.setattr("cxrbatch.intake.survey.FEW", 1)
    assert _score(inbox, run, workers=2).exit_code == 3
    (row,) = _rows(run / "rejected.csv")
    assert (Path(row["path"]).name, row["reason"]) == ("bad.png", "unreadable")
    assert len(_rows(run / "scores.csv")) == 3


def _in_place(film: Path, content: bytes) -> None:
    """Other bytes, and nothing that `stat` tells is another but the time of the change itself."""
    before = film.stat()
    assert len(content) == before.st_size
    with film.open("r+b") as file:
        file.write(content)
    os.utime(film, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = film.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    )


def test_content_changed_behind_size_time_and_inode_is_found_by_verify_inputs(tmp_path: Path) -> None:
    inbox, run = _films(tmp_path / "inbox", 3), tmp_path / "run"
    html = ReportSettings(pdf=False)
    bare = np.random.default_rng(9).integers(0, 256, (64, 64), np.uint8)
    # Stored, not deflated, so that two pictures have one size.
    for name, grey in (("000", bare), ("other", 255 - bare)):
        Image.fromarray(grey).save(inbox / f"{name}.png", compress_level=0)
    other = (inbox / "other.png").read_bytes()
    (inbox / "other.png").unlink()
    _score(inbox, run, reports=html)
    scores, studies = (
        {Path(r["path"]).name: r for r in _rows(run / "scores.csv")},
        _rows(run / "studies.csv"),
    )

    def reports() -> dict[Path, tuple[int, int, bytes]]:
        return {p: (p.stat().st_ino, p.stat().st_mtime_ns, p.read_bytes()) for p in run.glob("reports/*/*")}

    before = reports()
    _in_place(inbox / "000.png", other)
    _score(inbox, run, reports=html)
    assert {Path(r["path"]).name: r for r in _rows(run / "scores.csv")} == scores
    assert reports() == before

    _score(inbox, run, reports=html, verify_inputs=True)
    again = {Path(r["path"]).name: r for r in _rows(run / "scores.csv")}
    assert [name for name in scores if again[name] != scores[name]] == ["000.png"]
    assert _rows(run / "rejected.csv") == []
    replaced = {path.parent.name for path, found in reports().items() if before.get(path) != found}
    assert replaced == {scores["000.png"]["study_key"]}
    assert len(_rows(run / "studies.csv")) == len(studies) == 3
    fresh = tmp_path / "fresh"
    _score(inbox, fresh, reports=html)
    assert _values(run) == _values(fresh)


def _values(run: Path) -> dict[str, list[str]]:
    return {row["path"]: list(row.values())[9:] for row in _rows(run / "scores.csv")}


def test_verify_inputs_looks_again_at_what_was_screened_by_its_header(tmp_path: Path) -> None:
    inbox, run = _films(tmp_path / "inbox", 1), tmp_path / "run"
    film = (inbox / "000.png").read_bytes()
    text = inbox / "notes"
    text.write_bytes(b"x" * len(film))
    _score(inbox, run)
    written = (run / "run.json").read_bytes()
    _score(inbox, run, verify_inputs=True)
    assert (run / "run.json").read_bytes() == written, "nothing has changed: nothing is written again"
    _in_place(text, film)
    _score(inbox, run)
    assert len(_rows(run / "scores.csv")) == 1
    _score(inbox, run, verify_inputs=True)
    assert len(_rows(run / "scores.csv")) == 2


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


@pytest.mark.parametrize("jump", [-86400, 86400], ids=["back", "forward"])
def test_clock_that_jumps_by_a_day_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    """The clock on the wall jumps once a film is scored. For timeouts see tests/test_workers.py."""
    inbox, run = _films(tmp_path / "inbox", 4), tmp_path / "run"
    jumped = tmp_path / "jumped"
    record = night.Night._record

    def jump_after(self: night.Night, *outcome: object) -> None:
        record(self, *outcome)  # type: ignore[arg-type]
        jumped.touch()

    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(night.Night, "_record", jump_after)
    monkeypatch.setattr(time, "time", lambda: real() + jump * jumped.exists())
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + jump * jumped.exists() * 10**9)
    html = ReportSettings(pdf=False)
    assert _score(inbox, run, reports=html, decode_timeout=60.0).exit_code == 0
    assert jumped.exists()
    assert len(_rows(run / "scores.csv")) == 4
    _films(inbox, 5)
    assert _score(inbox, run, reports=html, settle=0).exit_code == 0  # started under the other clock
    assert (len(_rows(run / "scores.csv")), _rows(run / "rejected.csv")) == (5, [])
    assert len(list(run.glob("reports/*/report.html"))) == 5


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
