"""What the film cache knows of the files it was made from, so that an unchanged one is not read again."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cxrbatch.ledger.atomic import write_atomic


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells one state of a file from another without reading it.

    The night's size, modification time and inode, and the time of the last change of any of them
    (`ctime`), which nobody can set back.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str) -> Self:
        """Raises OSError where the file cannot be looked at."""
        found = os.stat(path)  # noqa: PTH116 (paths stay text: their bytes may be no UTF-8)
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class FilmIndex:
    """Path -> (state, SHA-256 of the content), kept in a file to which lines are appended.

    A line that is torn or not of this form tells nothing; of several for one path the last counts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[FileState, str]] = {}
        lines = self._read()
        if lines > 2 * len(self._known) + 1000:
            self._compact()

    def digest(self, path: str, state: FileState) -> str | None:
        """SHA-256 of the file if it is in `state` still; None if it has to be read."""
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == state else None

    def remember(self, path: str, state: FileState, sha256: str) -> None:
        """Raises OSError when it cannot be written."""
        self._known[path] = state, sha256
        with self._path.open("ab") as file:
            # Begun on a new line: what was there before may be torn.
            file.write(b"\n" + _line(path, state, sha256))

    def _read(self) -> int:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return 0
        lines = data.split(b"\n")
        for line in lines:
            try:
                path, numbers, sha256 = json.loads(line)
                self._known[_text(path)] = FileState(*map(_number, numbers)), _text(sha256)
            except (ValueError, TypeError):
                continue
        return len(lines)

    def _compact(self) -> None:
        lines = (_line(path, state, sha256) for path, (state, sha256) in self._known.items())
        write_atomic(self._path, b"\n".join(lines) + b"\n")


def _line(path: str, state: FileState, sha256: str) -> bytes:
    return json.dumps([path, [state.size, state.mtime_ns, state.ctime_ns, state.inode], sha256]).encode()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value
