"""End a run at each of its fault points, start it again, and compare it with one that nobody ended.

    python kill_everywhere.py FOLDER SCENARIO first|every|printing [kill|signal|signals]

A fault point lies before and after each commit, rename, removal, new folder and line of the audit log. For
each of them this process forks one that ends there and one that starts the same command again. It is ended
by SIGKILL, as by the system, or gets one SIGTERM there, or SIGINT and SIGTERM. `printing` is one point of
each kind that has to do with reports, tables, worklist and audit.

To be fast enough for a few hundred points the network, the processes and the flushing to disk are stood in
for: films are really decoded and pages really rendered, but in one process; a score is made of the film's
digest; and what a killed process wrote is in the system's cache whether it was flushed or not. What killed
processes leave running is tested in tests/test_workers.py, the whole of it with nothing stood in for in
tests/durability/test_random_kills.py.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from cxrbatch import night
from cxrbatch.ledger import ledger as ledger_module
from cxrbatch.ledger.atomic import TEMPORARY_MARK
from cxrbatch.ledger.lease import LEASE
from cxrbatch.pipeline import decoder_pool
from cxrbatch.pipeline.decoder_pool import DecoderPool, FailedFilm, FilmFile
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.reporting import audit
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.request import Request, Summary
from cxrbatch.scoring import local_engine
from cxrbatch.scoring.engine import Keep, ScoredFilm

TABLES = ("scores.csv", "calibrated.csv", "studies.csv", "rejected.csv")

# -- what is stood in for


class InlinePool:
    """A pool without processes: a task is done when it is handed in."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any, timeout: float) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        pass


class DigestScorer:
    """Decodes as ever; the probabilities follow from the film's pixels alone, as a network's do."""

    arithmetic: ClassVar = {"threads": 1, "batch_size": 1}

    def __init__(self, findings: int, keep: Keep) -> None:
        self._findings = findings
        self._keep = keep
        self._decoders = DecoderPool(1, InputSpec(height=8, width=8, channels=1, scaling="unit"))

    def score(self, films: Iterable[FilmFile]) -> Iterator[ScoredFilm | FailedFilm]:
        for film in self._decoders.decode(films):
            if isinstance(film, FailedFilm):
                yield film
                continue
            random = np.random.default_rng(int(film.decoded.pixel_digest[:15], 16))
            probabilities = random.random(self._findings, np.float32)
            maps = random.random((4, 4, self._findings), np.float32).astype(np.float16)
            yield self._keep(ScoredFilm(film.file, film.decoded, probabilities, maps))

    def close(self) -> None:
        self._decoders.close()


class UnflushedConnection(sqlite3.Connection):
    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *values)


def stand_in() -> None:
    decoder_pool.WorkerPool = local_engine.WorkerPool = night.WorkerPool = InlinePool  # type: ignore[misc]
    local_engine.LocalEngine.scorer = lambda _, b, p: DigestScorer(len(b.card.findings), p.keep)  # type: ignore
    ledger_module.COMMIT_SECONDS = 0.0  # a commit after every film, and so a fault point
    audit._pictures = lambda *_: {"distributions.png": b"a plot"}
    import cxrbatch.reporting.pdf as pdf

    pdf.write_pdf = lambda *_: b"%PDF-"
    os.fsync = lambda _: None
    connect = sqlite3.connect
    sqlite3.connect = lambda *a, **o: connect(*a, **({"factory": UnflushedConnection} | o))  # type: ignore


# -- fault points


ENDINGS = {"kill": (signal.SIGKILL,), "signal": (signal.SIGTERM,), "signals": (signal.SIGINT, signal.SIGTERM)}


class FaultPoints:
    """Counts the points that a run passes, and sends it signals at one of them."""

    def __init__(self, fatal: int | None, signals: tuple[signal.Signals, ...], log: Path) -> None:
        self._fatal = fatal
        self._signals = signals
        self._log = log.open("w")
        self._passed = 0

    def reach(self, label: str) -> None:
        if self._passed == self._fatal:
            for number in self._signals:
                signal.raise_signal(number)
        self._passed += 1
        self._log.write(f"{label}\n")
        self._log.flush()

    def around(self, name: str, function: Callable[..., Any], place: int) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            target = os.fspath(arguments[place]) if not isinstance(arguments[place], int) else ""
            label = self._label(name, os.fsdecode(target))
            self.reach(f"before {label}")
            result = function(*arguments, **options)
            self.reach(f"after {label}")
            return result

        return call

    def _label(self, name: str, target: str) -> str:
        """The kind of a point: what is done to which kind of file."""
        if TEMPORARY_MARK in target:
            return f"{name} temporary"
        parent, _, file = target.rpartition("/")
        _, _, suffix = file.rpartition(".")
        in_study = "store" in parent or "reports" in parent
        return f"{name} {Path(parent).parent.name if in_study else ''} {suffix if in_study else file}"

    def install(self) -> None:
        points = self
        os.replace = self.around("rename", os.replace, 1)
        os.unlink = self.around("unlink", os.unlink, 0)
        os.rmdir = self.around("rmdir", os.rmdir, 0)
        os.mkdir = self.around("mkdir", os.mkdir, 0)
        os.fsync = self.around("fsync", os.fsync, 0)

        class Connection(UnflushedConnection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                if not sql.startswith(("BEGIN", "COMMIT")):
                    return super().execute(sql, *values)
                points.reach(f"before {sql}")
                cursor = super().execute(sql, *values)
                points.reach(f"after {sql}")
                return cursor

        connect = sqlite3.connect
        sqlite3.connect = lambda *a, **o: connect(*a, factory=Connection, **o)  # type: ignore[assignment]


# -- runs


def request(folder: Path, run: Path, *, fresh: bool = False) -> Request:
    settings = ReportSettings(pdf=False)
    return Request(inputs=(str(folder / "inbox"),), out=run, workers=1, reports=settings, fresh=fresh)


def in_a_process(work: Callable[[], Summary]) -> int:
    """How a forked process ended that did `work`: minus the signal, or its exit code."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work().exit_code
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def film(path: Path, seed: int) -> None:
    small = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(small).resize((64, 72), Image.Resampling.BICUBIC).save(path)


def first_inbox(folder: Path) -> None:
    inbox = folder / "inbox"
    inbox.mkdir()
    for number in range(2):
        film(inbox / f"{number}.png", number)
    whole = (inbox / "0.png").read_bytes()
    (inbox / "half.png").write_bytes(whole[: len(whole) // 2])
    (inbox / "notes.txt").write_text("no film")


def changed_inbox(folder: Path) -> None:
    """A film that is new, one that is another now, one that is broken now."""
    inbox = folder / "inbox"
    film(inbox / "2.png", 2)
    film(inbox / "0.png", 3)
    (inbox / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")


def contents(run: Path) -> dict[str, bytes]:
    """What must be the same: every table and stored file byte for byte, every other file's being there."""
    found = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if path.is_dir():
            continue
        same = path.name in TABLES or name.startswith("store/") or path.suffix == ".jpg"
        found[name] = path.read_bytes() if same else b""
    return found


def problems(run: Path, expected: dict[str, bytes]) -> list[str]:
    found = contents(run)
    wrong = [f"missing: {name}" for name in expected.keys() - found.keys()]
    wrong += [f"too many: {name}" for name in found.keys() - expected.keys()]
    wrong += [f"differs: {name}" for name in expected.keys() & found.keys() if expected[name] != found[name]]
    if not (run / "run.json").exists() or json.loads((run / "run.json").read_text())["state"] != "finished":
        wrong.append("run.json does not say finished")
    if (run / LEASE).exists():
        wrong.append("the lease is left")
    for page in run.glob("reports/*/report.html"):
        if not page.read_text().rstrip().endswith("</html>"):
            wrong.append(f"half a page: {page}")
    return wrong


def ended(folder: Path, run: Path, fatal: int | None, ending: str, fresh: bool) -> int:
    def work() -> Summary:
        points = FaultPoints(fatal, ENDINGS[ending], folder / "points.txt")
        points.install()
        return night.score(request(folder, run, fresh=fresh))

    return in_a_process(work)


def chosen(labels: list[str], which: str) -> list[int]:
    """The numbers of the points to try."""
    if which == "every":
        return list(range(len(labels)))
    first: dict[str, int] = {}
    for number, label in enumerate(labels):
        if which == "first" or any(mark in label for mark in PRINTED):
            first.setdefault(label, number)
    return sorted(first.values())


PRINTED = ("reports", "scores.csv", "studies.csv", "rejected.csv", "index.html", "audit.", "run.json")
FINISHED = 3
"""One film is broken on purpose."""
ENDED = {"kill": (-signal.SIGKILL,), "signal": (143, FINISHED), "signals": (143,)}
"""How a run may end: where nothing is left but what is in hand, it ends as if no signal had come."""


def main(folder: Path, scenario: str, which: str, ending: str) -> None:
    stand_in()
    first_inbox(folder)
    night.score(request(folder, folder / "warm"))  # every process below is forked with templates compiled
    base, fresh = folder / "base", scenario == "fresh"
    if scenario != "new":
        assert in_a_process(lambda: night.score(request(folder, base))) == FINISHED
        changed_inbox(folder)

    def begin(run: Path) -> None:
        if base.exists():
            shutil.copytree(base, run)

    straight = folder / "straight"
    begin(straight)
    assert ended(folder, straight, None, ending, fresh) == FINISHED
    labels = (folder / "points.txt").read_text().splitlines()
    expected = contents(straight)
    failures, stopped = {}, 0
    run = folder / "run"
    numbers = chosen(labels, which)
    for number in numbers:
        begin(run)
        code = ended(folder, run, number, ending, fresh)
        stopped += code != FINISHED
        again = in_a_process(lambda: night.score(request(folder, run, fresh=fresh)))
        wrong = problems(run, expected)
        if code not in ENDED[ending] or again != FINISHED or wrong:
            failures[f"{number} {labels[number]}"] = [f"{code} {again}", *wrong]
        shutil.rmtree(run, ignore_errors=True)
    tried = {"points": len(labels), "tried": len(numbers), "stopped": stopped}
    print(json.dumps(tried | {"labels": labels, "failures": failures}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else "kill")
