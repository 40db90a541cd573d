"""Files that are one file several times, byte for byte: found before the split, which must not part them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cxrbatch.intake.records import SourceFile
from cxrbatch.ledger.changes import file_digest

_SAMPLE = 4096
_AT = (0.25, 0.5, 0.75)


def same_files(sources: Sequence[SourceFile], workers: int = 1) -> list[list[int]]:
    """Groups of places in `sources` whose files have the same bytes; each group and their list ascend.

    Only files of the same size are opened, and only those that are alike at three places are read whole. A
    file that cannot be read is like no other.
    """
    rows = [rows for rows in _grouped(range(len(sources)), lambda row: sources[row].size) if len(rows) > 1]
    with ThreadPoolExecutor(max(1, workers)) as threads:
        for look in (_sample, _digest):
            asked = [row for group in rows for row in group]
            seen = dict(zip(asked, threads.map(look, [sources[row] for row in asked]), strict=True))
            rows = [
                part
                for group in rows
                for part in _grouped((row for row in group if seen[row] is not None), seen.__getitem__)
                if len(part) > 1
            ]
    return sorted(rows)


def _grouped(rows: Iterable[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return list(groups.values())


def _sample(source: SourceFile) -> bytes | None:
    try:
        with Path(source.path).open("rb", buffering=0) as file:
            return b"".join(os.pread(file.fileno(), _SAMPLE, int(source.size * at)) for at in _AT)
    except OSError:
        return None


def _digest(source: SourceFile) -> str | None:
    try:
        return file_digest(source.path)
    except OSError:
        return None
