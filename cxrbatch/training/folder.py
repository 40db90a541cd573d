"""``TRAIN/``: one run at a time, resumed by the same command, refused to another one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cxrbatch.ledger.atomic import TEMPORARY_MARK
from cxrbatch.ledger.layout import LEDGER, RUN_JSON
from cxrbatch.ledger.lease import LEASE, Lease
from cxrbatch.ledger.run_json import RunJsonError, read_run_json, write_run_json
from cxrbatch.training.records import TrainingError

KIND = "training"
CACHE = "cache"
"""Decoded films; valid by their content, so that starting over need not decode them again."""


class TrainFolder:
    """A training's folder that is ours: leased. Use `open_folder`.

    `record` is what run.json holds, empty in a new run.
    """

    def __init__(self, path: Path, lease: Lease) -> None:
        self.path = path
        self._lease = lease
        self.record: dict[str, Any] = {}
        if (path / RUN_JSON).exists():
            self.record = read_run_json(path)
            if self.record.get("kind") != KIND:
                raise TrainingError(f"{path} holds a run of another command: choose another --out.")

    @property
    def is_new(self) -> bool:
        return not self.record

    @property
    def is_finished(self) -> bool:
        return self.record.get("state") == "finished"

    def settle(self, part: str, wanted: Mapping[str, Any]) -> None:
        """Check that this run was begun in the same way.

        Raises:
            TrainingError: it was not; the message names each difference.
        """
        if self.is_new:
            return
        before, now = _flat(self.record[part]), _flat(wanted)
        different = [
            f"{key} was {before.get(key)!r} and is now {now.get(key)!r}"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key)
        ]
        if different:
            raise TrainingError(
                f"{self.path} was begun otherwise: {'; '.join(different)}. "
                "Go on as it was begun, choose another --out, or start over with --fresh."
            )

    def write(self, content: Mapping[str, Any]) -> None:
        """Replace run.json.

        Raises:
            FolderHeldError: another machine took the folder over.
        """
        self._lease.require_held()
        self.record = {"kind": KIND, **content}
        write_run_json(self.path, self.record)

    def require_held(self) -> None:
        """Raises FolderHeldError where another machine took the folder over."""
        self._lease.require_held()


@contextmanager
def open_folder(path: Path, *, fresh: bool = False) -> Iterator[TrainFolder]:
    """Make or open `path` and hold it; with `fresh`, all of it but decoded films is removed first.

    Raises:
        TrainingError: it holds something else, or cannot be made.
        FolderHeldError: another run works in it.
        RunJsonError: its run.json is damaged or of another version.
    """
    _make(path)
    lease = Lease.take(path)
    try:
        if fresh:
            _empty(path)
        for left in path.glob(f"{TEMPORARY_MARK}*"):  # of a killed run; folders below sweep their own
            left.unlink(missing_ok=True)
        yield TrainFolder(path, lease)
    finally:
        lease.release()


def now() -> str:
    """ISO 8601 with offset."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return f"{text[:-2]}:{text[-2:]}"


def _make(path: Path) -> None:
    if path.is_dir():
        ours = (LEASE, TEMPORARY_MARK, CACHE)
        strangers = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith(ours))
        if strangers and not (path / RUN_JSON).exists():
            raise TrainingError(
                f"{path} exists and is no training of cxrbatch (it holds {strangers[0]}): choose another "
                "--out."
            )
        return
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise TrainingError(f"{path} cannot be made: {error.strerror}. Choose another --out.") from error


def _empty(path: Path) -> None:
    if (path / RUN_JSON).exists() and not _is_training(path):
        raise TrainingError(f"{path} holds a run of another command: choose another --out.")
    # run.json last: without it, what a crash leaves of the rest would be a stranger's.
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name == RUN_JSON):
        if entry.name in (LEASE, CACHE):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _is_training(path: Path) -> bool:
    try:
        return read_run_json(path).get("kind") == KIND
    except RunJsonError:  # damaged: starting over is how to mend that, unless it is the run.json of a night
        return not (path / LEDGER).exists()


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
