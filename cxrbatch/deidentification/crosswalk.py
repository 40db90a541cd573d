"""The crosswalk: which pseudonym stands for what. It undoes de-identification, so it lies outside the run."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from cxrbatch.deidentification.site_key import require_private
from cxrbatch.ledger.schema import LedgerError
from cxrbatch.request import RequestError

_TABLES = """
CREATE TABLE IF NOT EXISTS site (fingerprint TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS crosswalk (
    kind TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, pseudonym)
) WITHOUT ROWID;
"""
BUSY_SECONDS = 60.0
"""How long to wait for another run that writes into the same crosswalk."""


class Crosswalk:
    """An SQLite file, mode 600, shared by all runs under one key."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        """Open or create `path`.

        Raises:
            RequestError: it can be read by others, is no crosswalk, or is that of another key.
        """
        self._waiting: set[tuple[str, str, str]] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Made before SQLite opens it, so that it never is readable by others; its journal follows.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                require_private(os.fstat(descriptor), f"The crosswalk {path}")
            finally:
                os.close(descriptor)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
            self._db.execute(
                "INSERT INTO site SELECT ? WHERE NOT EXISTS (SELECT 1 FROM site)", (fingerprint,)
            )
            recorded = self._db.execute("SELECT fingerprint FROM site").fetchone()[0]
        except OSError as error:
            raise RequestError(f"The crosswalk {path} cannot be used: {error.strerror}.") from None
        except sqlite3.Error as error:
            raise RequestError(f"The crosswalk {path} cannot be used: {error}.") from None
        if recorded != fingerprint:
            self._db.close()
            raise RequestError(
                f"The crosswalk {path} belongs to another site key ({recorded}, not {fingerprint}): "
                "find that key again, or name another crosswalk."
            )

    def add(self, kind: str, pseudonym: str, value: str) -> None:
        """Remember a pair; it is written by `commit`."""
        self._waiting.add((kind, pseudonym, value))

    def commit(self) -> None:
        """What was added survives a crash once this returns.

        Raises:
            LedgerError: it cannot be written: the disk is full, or another run holds it for too long.
        """
        if not self._waiting:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO crosswalk VALUES (?, ?, ?)", sorted(self._waiting))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise LedgerError(
                f"The crosswalk cannot be written ({error}): mend that and start the same command again."
            ) from None
        self._waiting.clear()

    def value(self, kind: str, pseudonym: str) -> str | None:
        """What a committed pseudonym stands for."""
        row = self._db.execute(
            "SELECT value FROM crosswalk WHERE kind = ? AND pseudonym = ?", (kind, pseudonym)
        ).fetchone()
        return None if row is None else str(row[0])

    def close(self) -> None:
        self._db.close()
