"""Opening a run folder: new, resumed, or started over; and refusing one that was made differently."""

from __future__ import annotations

import secrets
import shutil
import time
from pathlib import Path

from cxrbatch.ledger import layout
from cxrbatch.ledger.atomic import TEMPORARY_MARK, sweep_temporaries
from cxrbatch.ledger.lease import LEASE, Lease
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.schema import ledger_faults_told


class RunFolderError(Exception):
    """The folder cannot be used as it is (wrong usage, exit code 2); the message says what to do."""


class RunFolder:
    """A run folder that is ours: leased, its ledger open. Close it when done."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        """Open or create `path`; with `fresh` what an earlier run left there is removed.

        Raises:
            RunFolderError: the folder holds something else, or cannot be made.
            FolderHeldError: another run works in it.
            LedgerError: its ledger is damaged or of another version.
        """
        self.path = path
        _make(path)
        self._lease = Lease.take(path)
        try:
            if fresh:
                _empty(path)
            sweep_temporaries(path)
            self.ledger = Ledger(path / layout.LEDGER, create=True)
            with ledger_faults_told(path / layout.LEDGER):
                # Not by the file: a run that was killed just now may have made it and written nothing.
                self.is_new = self.ledger.fact("run_id") is None
                if self.is_new:
                    self._name_it()
        except BaseException:
            self._lease.release()
            raise

    def _name_it(self) -> None:
        started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self.ledger.record_fact("started", f"{started[:-2]}:{started[-2:]}")
        self.ledger.record_fact("run_id", f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}")
        self.ledger.commit()

    def require_held(self) -> None:
        """Make sure that no other machine has taken the folder over, as it may after a long standstill.

        Raises:
            FolderHeldError: one has; nothing more may be written.
        """
        self._lease.require_held()

    @property
    def run_id(self) -> str:
        return str(self.ledger.fact("run_id"))

    @property
    def started(self) -> str:
        """When the run was first started, ISO 8601 with offset."""
        return str(self.ledger.fact("started"))

    def settle(self, name: str, wanted: dict[str, object]) -> None:
        """Record how the run is made, or check that it is still made so.

        Raises:
            RunFolderError: the run was begun otherwise; the message names each difference.
        """
        recorded = self.ledger.fact(name)
        if recorded is None:
            self.ledger.record_fact(name, wanted)
            return
        assert isinstance(recorded, dict)
        differences = [
            f"{key} was {recorded.get(key)!r} and is now {wanted.get(key)!r}"
            for key in sorted(recorded.keys() | wanted.keys())
            if recorded.get(key) != wanted.get(key)
        ]
        if differences:
            raise RunFolderError(
                f"{self.path} was begun otherwise: {'; '.join(differences)}. "
                "Resume it as it was begun, choose another --out, or start over with --fresh."
            )

    def close(self) -> None:
        """Commit, close, and let others in."""
        try:
            with ledger_faults_told(self.path / layout.LEDGER):
                self.ledger.close()
        finally:
            self._lease.release()


def _make(path: Path) -> None:
    if path.is_dir():
        # What a run leaves that was killed before it had a ledger is no stranger.
        ours = (LEASE, TEMPORARY_MARK)
        strangers = sorted(p.name for p in path.iterdir() if not p.name.startswith(ours))
        if strangers and not (path / layout.LEDGER).exists():
            raise RunFolderError(
                f"{path} exists and is no run folder of cxrbatch (it holds {strangers[0]}): "
                "choose another --out."
            )
        return
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be made: {error.strerror}. Choose another --out.") from error


def _empty(path: Path) -> None:
    # The ledger last: without it, what a crash left of the rest would be a stranger's.
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name == layout.LEDGER):
        if entry.name == LEASE:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
