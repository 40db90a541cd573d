"""What earlier nights have scored already (``--skip-known``)."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from cxrbatch.ledger import layout


class KnownStudies:
    """The finished runs below a folder that were made with one bundle."""

    def __init__(self, runs: Path, bundle_sha256: str, *, except_for: Path) -> None:
        self._ledgers = [
            sqlite3.connect(f"{(run / layout.LEDGER).resolve().as_uri()}?mode=ro", uri=True)
            for run in _finished_runs(runs, bundle_sha256)
            if run.resolve() != except_for.resolve()
        ]

    def __enter__(self) -> KnownStudies:
        return self

    def __exit__(self, *_: object) -> None:
        for ledger in self._ledgers:
            ledger.close()

    def may_hold(self, study_key: str) -> bool:
        """Whether a study of this key was scored: worth digesting its files to be sure."""
        return any(
            ledger.execute(
                "SELECT 1 FROM files WHERE study_key = ? AND state = 'scored' LIMIT 1", (study_key,)
            ).fetchone()
            for ledger in self._ledgers
        )

    def hold(self, sha256s: Iterable[str]) -> bool:
        """Whether every one of these files' contents was scored before, or left out by how it looks,
        whatever its path."""
        return all(
            any(
                ledger.execute(
                    "SELECT 1 FROM files WHERE sha256 = ? "
                    "AND (state = 'scored' OR reason IN ('duplicate', 'looks_wrong'))",
                    (digest,),
                ).fetchone()
                for ledger in self._ledgers
            )
            for digest in sha256s
        )


def _finished_runs(runs: Path, bundle_sha256: str) -> Iterator[Path]:
    for parent, folders, names in os.walk(runs):
        if layout.RUN_JSON not in names or layout.LEDGER not in names:
            continue
        folders.clear()  # nothing of interest lies inside a run folder
        try:
            facts = json.loads(Path(parent, layout.RUN_JSON).read_text(encoding="utf-8"))
            finished = facts["state"] == "finished" and facts["bundle"]["sha256"] == bundle_sha256
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no run of ours, or one that is being written
        if finished:
            yield Path(parent)
