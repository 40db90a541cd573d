"""The tables of ``ledger.db``, and how the file is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA_VERSION = 1

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
    pixel_sha256 TEXT NOT NULL,
    rows INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    probabilities BLOB NOT NULL, -- float32, little endian, in the order of the card's findings
    atypicality REAL,
    has_maps INTEGER NOT NULL,
    notes TEXT NOT NULL          -- JSON list of sentences
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


def open_database(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open ``ledger.db`` for writing.

    The rollback journal, not WAL: WAL needs shared memory, which network shares do not have.

    Raises:
        LedgerError: it is no ledger, or one of another schema version.
    """
    if not create and not path.exists():
        raise LedgerError(f"{path} does not exist: this is no run folder of cxrbatch.")
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
            version = SCHEMA_VERSION
    except sqlite3.DatabaseError as error:
        connection.close()
        raise LedgerError(f"{path} is damaged ({error}): start over with --fresh.") from error
    if version != SCHEMA_VERSION:
        connection.close()
        raise LedgerError(
            f"{path} has schema version {version}, this cxrbatch reads {SCHEMA_VERSION}: "
            "use the version that made it, or start over with --fresh."
        )
    return connection
