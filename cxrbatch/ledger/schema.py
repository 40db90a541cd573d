"""The tables of ``ledger.db``, and how the file is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA_VERSION = 3

_UPGRADES = {
    1: "ALTER TABLE images ADD COLUMN wrong REAL;",
    2: "ALTER TABLE images RENAME COLUMN pixel_sha256 TO pixel_digest;",
}
"""By version, what makes the next one of it: runs of earlier versions are resumed and rendered again.

Up to version 2 the digest of pixels was a SHA-256. It stays for what was scored then: a copy of such an image
that comes to the same run later is scored, too, and no ``duplicate``."""

_TABLES = """
CREATE TABLE facts (            -- what the run is: settings, bundle, determinism, as JSON
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE files (            -- every input file, exactly once
    path BLOB PRIMARY KEY,      -- the bytes of the absolute path
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'scored', 'rejected', 'ignored')),
    sha256 TEXT NOT NULL DEFAULT '',
    ordinal INTEGER UNIQUE,     -- place in the order of scoring; NULL for what is never decoded
    study_key TEXT NOT NULL DEFAULT '',
    header TEXT,                -- JSON of the ImageHeader
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX files_by_study ON files (study_key, state);
CREATE INDEX files_by_content ON files (sha256);

CREATE TABLE images (           -- every scored image
    path BLOB PRIMARY KEY,
    study_key TEXT NOT NULL,
    image_key TEXT NOT NULL,
    image_uid TEXT NOT NULL,
    pixel_digest TEXT NOT NULL, -- BLAKE3
    rows INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    probabilities BLOB NOT NULL, -- float32, little endian, in the order of the card's findings
    atypicality REAL,
    has_maps INTEGER NOT NULL,
    notes TEXT NOT NULL,         -- JSON list of sentences
    wrong REAL                   -- log-odds of not being an upright frontal chest film
) WITHOUT ROWID;
CREATE INDEX images_by_study ON images (study_key, image_uid);

CREATE TABLE studies (
    key TEXT PRIMARY KEY,
    uid TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'scored', 'reported', 'empty')),
    report_error TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
"""


class LedgerError(Exception):
    """The ledger cannot be used; the message says why and what to do."""


_WHAT_TO_DO = {
    "full": "the disk is full: free some space",
    "readonly": "it may not be written: see to its permissions, and that its disk is not mounted read-only",
    "disk I/O": "its disk or share gave an error: see to it",
    "locked": "another program has it open: close that",
    "unable to open": "see to the permissions of its folder, and that its disk has space",
}


@contextmanager
def ledger_faults_told(path: Path) -> Iterator[None]:
    """Within the block SQLite's errors about the ledger at `path` become sentences.

    Raises:
        LedgerError: what is wrong and what to do. What was committed is kept.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        remedy = next((text for words, text in _WHAT_TO_DO.items() if words in str(error)), "see to its disk")
        raise LedgerError(
            f"{path} cannot be written ({error}): {remedy}, and start the same command again: it goes on."
        ) from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{path} is damaged ({error}): start over with --fresh.") from error


def open_database(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open ``ledger.db`` for writing.

    The rollback journal, not WAL: WAL needs shared memory, which network shares do not have.

    Raises:
        LedgerError: it is no ledger, one of another schema version, or cannot be written.
    """
    with ledger_faults_told(path):
        return _open(path, create)


def _open(path: Path, create: bool) -> sqlite3.Connection:
    if not create and not path.exists():
        raise LedgerError(f"{path} does not exist: this is no run folder of cxrbatch.")
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
            version = SCHEMA_VERSION
        while version in _UPGRADES:
            upgrade = f"BEGIN; {_UPGRADES[version]} PRAGMA user_version = {version + 1}; COMMIT;"
            connection.executescript(upgrade)
            version += 1
    except BaseException:
        connection.close()
        raise
    if version != SCHEMA_VERSION:
        connection.close()
        raise LedgerError(
            f"{path} has schema version {version}, this cxrbatch reads {SCHEMA_VERSION}: "
            "use the version that made it, or start over with --fresh."
        )
    return connection
