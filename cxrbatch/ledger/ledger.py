"""The durable record of a run: which files there are, what became of each, which reports are written.

One process writes. Everything between two commits is done again after a crash, and comes out the same.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind, ImageHeader, Patient, SourceFile, View
from cxrbatch.ledger.layout import display_file, maps_file
from cxrbatch.ledger.records import ScoredImage, StudyRecord
from cxrbatch.ledger.schema import open_database

COMMIT_SECONDS = 1.0
"""Results are committed together at this interval: the work that a crash can cost."""

PAGE = 1024
"""Pending images that are held in memory at once."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the ledger knows of an input file from before."""

    source: SourceFile
    state: str
    sha256: str
    study_key: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PendingImage:
    """An image that is still to be scored, at its place in the order."""

    ordinal: int
    path: str
    study_key: str
    header: ImageHeader
    source: SourceFile


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """A line of rejected.csv."""

    path: str
    reason: Reason
    detail: str


class Ledger:
    """The run's database. All writes go through one connection; `commit` makes them durable."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._db = open_database(path, create=create)
        self._last_commit = time.monotonic()

    def close(self) -> None:
        """Commit and close."""
        try:
            self.commit()
        finally:
            self._db.close()

    def commit(self) -> None:
        """Everything written so far survives a crash once this returns."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")
        self._last_commit = time.monotonic()

    def rollback(self) -> None:
        """Forget what was written since the last commit: after an error it may be half a step."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    @property
    def commit_is_due(self) -> bool:
        """Whether the last one was `COMMIT_SECONDS` ago."""
        return time.monotonic() - self._last_commit >= COMMIT_SECONDS

    def _write(self, sql: str, values: tuple) -> sqlite3.Cursor:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        return self._db.execute(sql, values)

    # -- facts of the run

    def fact(self, name: str) -> object | None:
        """A fact recorded about the run, e.g. its settings; None if there is none of this name."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def record_fact(self, name: str, value: object) -> None:
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    # -- files

    def known_files(self) -> dict[str, KnownFile]:
        """By path, every file the ledger has seen."""
        rows = self._db.execute(
            "SELECT path, size, mtime_ns, inode, state, sha256, study_key, reason FROM files"
        )
        return {
            (path := os.fsdecode(row[0])): KnownFile(SourceFile(path, *row[1:4]), *row[4:]) for row in rows
        }

    def add_candidate(self, source: SourceFile, header: ImageHeader, study_key: str, uid: str) -> None:
        """A file to score, at the end of the order; its study is open (again)."""
        ordinal = self._db.execute("SELECT coalesce(max(ordinal) + 1, 0) FROM files").fetchone()[0]
        self._put_file(source, "pending", ordinal, study_key, json.dumps(asdict(header)))
        self._write(
            "INSERT INTO studies (key, uid, state) VALUES (?, ?, 'open') "
            "ON CONFLICT (key) DO UPDATE SET state = 'open', report_error = ''",
            (study_key, uid),
        )

    def add_rejected(self, source: SourceFile, reason: Reason, detail: str) -> None:
        self._put_file(source, "rejected", reason=reason, detail=detail)

    def add_ignored(self, source: SourceFile, what: str) -> None:
        self._put_file(source, "ignored", detail=what)

    def ignored_paths(self) -> set[str]:
        """The files that nobody would call an image."""
        rows = self._db.execute("SELECT path FROM files WHERE state = 'ignored'")
        return {os.fsdecode(path) for (path,) in rows}

    def _put_file(
        self,
        source: SourceFile,
        state: str,
        ordinal: int | None = None,
        study_key: str = "",
        header: str | None = None,
        reason: str = "",
        detail: str = "",
    ) -> None:
        self.forget(source.path)
        values = (os.fsencode(source.path), source.size, source.mtime_ns, source.inode, state)
        detail = _storable(detail)
        self._write(
            "INSERT INTO files "
            "(path, size, mtime_ns, inode, state, ordinal, study_key, header, reason, detail) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, ordinal, study_key, header, str(reason), detail),
        )

    def forget(self, path: str) -> None:
        """Drop what is known of a file, its score included; its study is open again.

        Its duplicates in the study are to be looked at again: one of them may take its place.
        """
        key = os.fsencode(path)
        self._write(
            "UPDATE files SET state = 'pending', reason = '', detail = '' WHERE reason = ? "
            "AND study_key = (SELECT study_key FROM files WHERE path = ?)",
            (str(Reason.DUPLICATE), key),
        )
        self._write(
            "UPDATE studies SET state = 'open', report_error = '' "
            "WHERE key = (SELECT study_key FROM files WHERE path = ?)",
            (key,),
        )
        self._write("DELETE FROM images WHERE path = ?", (key,))
        self._write("DELETE FROM files WHERE path = ?", (key,))

    def touch(self, source: SourceFile) -> None:
        """The same bytes under a new date or inode."""
        self._write(
            "UPDATE files SET size = ?, mtime_ns = ?, inode = ? WHERE path = ?",
            (source.size, source.mtime_ns, source.inode, os.fsencode(source.path)),
        )

    # -- scoring

    def pending(self, after: int = -1, limit: int = -1) -> list[PendingImage]:
        """What is still to be scored, in order: the first `limit` images beyond the ordinal `after`."""
        rows = self._db.execute(
            "SELECT ordinal, path, study_key, header, size, mtime_ns, inode FROM files "
            "WHERE state = 'pending' AND ordinal > ? ORDER BY ordinal LIMIT ?",
            (after, limit),
        )
        return [_pending(row) for row in rows]

    def pending_pages(self) -> Iterator[list[PendingImage]]:
        """What is still to be scored, a bounded number at a time however long the night."""
        after = -1
        while page := self.pending(after, PAGE):
            after = page[-1].ordinal
            yield page

    def twin(self, path: str, study_key: str, image_uid: str, pixel_digest: str) -> str | None:
        """The path of another scored image of the same UID and the same rendered pixels, if there is one."""
        row = self._db.execute(
            "SELECT path FROM images "
            "WHERE study_key = ? AND image_uid = ? AND pixel_digest = ? AND path <> ? ORDER BY path",
            (study_key, image_uid, pixel_digest, os.fsencode(path)),
        ).fetchone()
        return None if row is None else os.fsdecode(row[0])

    def record_score(self, image: ScoredImage, pixel_digest: str, file_sha256: str) -> None:
        path = os.fsencode(image.path)
        self._write(
            "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                path,
                image.study_key,
                image.image_key,
                image.header.image_uid,
                pixel_digest,
                image.rows,
                image.columns,
                np.asarray(image.probabilities, "<f4").tobytes(),
                image.atypicality,
                image.maps_file is not None,
                json.dumps(image.notes),
                image.wrong,
            ),
        )
        self._write("UPDATE files SET state = 'scored', sha256 = ? WHERE path = ?", (file_sha256, path))

    def record_rejection(self, path: str, reason: Reason, detail: str, file_sha256: str) -> None:
        """A file that was to be scored and was not."""
        self._write(
            "UPDATE files SET state = 'rejected', reason = ?, detail = ?, sha256 = ? WHERE path = ?",
            (str(reason), _storable(detail), file_sha256, os.fsencode(path)),
        )

    # -- studies

    def close_study(self, key: str) -> bool:
        """Mark a study whose images are all settled; says whether it is, and has an image to report."""
        count = "SELECT count(*) FROM files WHERE study_key = ? AND state = ?"
        if self._db.execute(count, (key, "pending")).fetchone()[0]:
            return False
        scored = self._db.execute(count, (key, "scored")).fetchone()[0]
        self._write("UPDATE studies SET state = ? WHERE key = ?", ("scored" if scored else "empty", key))
        return bool(scored)

    def open_studies(self) -> list[str]:
        """Keys of the studies of which something changed since their report."""
        return [r[0] for r in self._db.execute("SELECT key FROM studies WHERE state = 'open' ORDER BY key")]

    def unreported(self) -> list[str]:
        """Keys of the studies that are scored and have no report yet."""
        return [r[0] for r in self._db.execute("SELECT key FROM studies WHERE state = 'scored' ORDER BY key")]

    def record_report(self, key: str, error: str = "") -> None:
        """The report of a study is written, or could not be (`error`)."""
        self._write(
            "UPDATE studies SET state = 'reported', report_error = ? WHERE key = ?", (_storable(error), key)
        )

    def study(self, key: str) -> StudyRecord:
        """A scored study with its images.

        Raises:
            KeyError: no such study, or none of its images is scored.
        """
        for record, _ in self._studies("WHERE i.study_key = ?", (key,)):
            return record
        raise KeyError(key)

    def studies(self) -> Iterator[tuple[StudyRecord, str]]:
        """Every scored study, by key, with what went wrong with its report (blank: nothing)."""
        yield from self._studies("", ())

    def _studies(self, where: str, values: tuple) -> Iterator[tuple[StudyRecord, str]]:
        rows = self._db.execute(
            "SELECT i.study_key, s.uid, s.report_error, i.path, i.image_key, f.header, i.rows, i.columns, "
            "i.probabilities, i.has_maps, i.atypicality, i.notes, i.wrong "
            "FROM images i JOIN files f ON f.path = i.path JOIN studies s ON s.key = i.study_key "
            f"{where} ORDER BY i.study_key, i.path",
            values,
        )
        key, uid, error = "", "", ""
        images: list[ScoredImage] = []
        for row in rows:
            if row[0] != key and images:
                yield StudyRecord(key, uid, tuple(images)), error
                images = []
            key, uid, error = row[:3]
            images.append(_image(key, row[3:]))
        if images:
            yield StudyRecord(key, uid, tuple(images)), error

    # -- what became of everything

    def rejected(self) -> list[RejectedFile]:
        """By path, what was not scored and why."""
        rows = self._db.execute(
            "SELECT path, reason, detail FROM files WHERE state = 'rejected' ORDER BY path"
        )
        return [RejectedFile(os.fsdecode(r[0]), Reason(r[1]), r[2]) for r in rows]

    def file_states(self) -> dict[str, int]:
        """How many files are pending, scored, rejected, ignored."""
        counts = dict.fromkeys(("pending", "scored", "rejected", "ignored"), 0)
        counts.update(self._db.execute("SELECT state, count(*) FROM files GROUP BY state"))
        return counts

    def study_count(self) -> int:
        """Studies that were taken in, whatever became of them."""
        return self._db.execute("SELECT count(*) FROM studies").fetchone()[0]

    def emptied_studies(self) -> list[str]:
        """Keys of the studies of which no image is scored (any more)."""
        return [r[0] for r in self._db.execute("SELECT key FROM studies WHERE state = 'empty' ORDER BY key")]

    def study_states(self) -> dict[str, int]:
        """How many studies have a scored image, and how many reports could not be rendered."""
        scored, failed = self._db.execute(
            "SELECT coalesce(sum(state IN ('scored', 'reported')), 0), coalesce(sum(report_error <> ''), 0) "
            "FROM studies"
        ).fetchone()
        return {"scored": scored, "reports_failed": failed}

    def report_errors(self) -> dict[str, str]:
        """By study key, why a report could not be rendered."""
        return dict(
            self._db.execute("SELECT key, report_error FROM studies WHERE report_error <> '' ORDER BY key")
        )

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """All writes within are committed together, or, after an error, not at all."""
        self.commit()
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.commit()


def _storable(text: str) -> str:
    """Text as SQLite takes it: bytes of a path that are no UTF-8 (PEP 383) are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _pending(row: tuple) -> PendingImage:
    ordinal, path, study_key, header, *stamp = row
    name = os.fsdecode(path)
    return PendingImage(ordinal, name, study_key, _header(header), SourceFile(name, *stamp))


def _header(text: str) -> ImageHeader:
    fields = json.loads(text)
    fields["kind"] = FileKind(fields["kind"])
    fields["view"] = View(fields["view"])
    fields["patient"] = Patient(**fields["patient"])
    fields["notes"] = tuple(fields["notes"])
    return ImageHeader(**fields)


def _image(study_key: str, row: tuple) -> ScoredImage:
    path, image_key, header, rows, columns, probabilities, has_maps, atypicality, notes, wrong = row
    return ScoredImage(
        path=os.fsdecode(path),
        study_key=study_key,
        image_key=image_key,
        header=_header(header),
        rows=rows,
        columns=columns,
        probabilities=tuple(np.frombuffer(probabilities, "<f4").tolist()),
        display_file=display_file(study_key, image_key),
        maps_file=maps_file(study_key, image_key) if has_maps else None,
        atypicality=atypicality,
        notes=tuple(json.loads(notes)),
        wrong=wrong,
    )
