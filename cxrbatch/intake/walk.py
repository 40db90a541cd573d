"""Finding the input files: every file below the inputs once, in the order of their paths' bytes."""

# Paths stay text here: Path.resolve follows links, and an object for each of a million paths is slow.
# ruff: noqa: PTH100, PTH114, PTH115, PTH116, PTH120

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import Rejection, SourceFile

_TYPE_NAMES = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_RUN_FOLDER = {"run.json", "ledger.db"}
"""What marks a run folder of cxrbatch: the pictures in it are of films that were scored already."""


class InputNotFoundError(Exception):
    """An input that does not exist: wrong usage, exit code 2."""

    def __init__(self, path: str) -> None:
        super().__init__(path)  # the bare path, so that it survives pickling
        self.path = path

    def __str__(self) -> str:
        return f"The input '{self.path}' does not exist: check its name."


def walk(
    inputs: Sequence[str | os.PathLike[str]], exclude: Sequence[str | os.PathLike[str]] = ()
) -> Iterator[SourceFile | Rejection]:
    """Every file that is an input or lies below one, in the order of the paths' bytes.

    Paths are absolute; links are followed but not resolved in what is reported. A folder is entered
    once, however many inputs or links lead to it, and by its real path where that lies below an input;
    run folders of cxrbatch are not entered.
    Files that cannot be opened as files (dangling links, pipes, devices) and folders that cannot be
    listed are given as rejections. Nothing is opened here.

    Args:
        inputs: files and folders; they may overlap.
        exclude: folders that are not entered (the run folder itself), unless an input lies below one.

    Raises:
        InputNotFoundError: an input does not exist. Raised by this call, not while iterating.
    """
    roots = {root.path: root for root in (_root(os.fspath(name)) for name in inputs)}
    return _Walk(sorted(roots.values(), key=_path_order), exclude).files()


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    is_folder: bool


def _path_order(entry: _Entry) -> bytes:
    """Sorts a folder where its files belong: 'a-b' comes before 'a/b', as '-' comes before '/'."""
    encoded = os.fsencode(entry.path)
    return encoded + b"/" if entry.is_folder and not encoded.endswith(b"/") else encoded


def _root(name: str) -> _Entry:
    try:
        found = os.stat(name)
        path = os.path.abspath(name)
        if ".." in Path(name).parts and not _is_same(path, found):
            path = os.path.realpath(name)  # 'link/..' is not the folder that holds the link
        return _Entry(path, stat.S_ISDIR(found.st_mode))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise InputNotFoundError(name) from error
    except OSError:
        return _Entry(os.path.abspath(name), is_folder=False)  # accounted for when it is reached


def _is_same(path: str, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), found)
    except OSError:
        return False


def _is_below(path: str, folders: set[str]) -> bool:
    parent = os.path.dirname(path)
    while parent != path:
        if parent in folders:
            return True
        path, parent = parent, os.path.dirname(parent)
    return False


def _identity(folder: str | os.PathLike[str]) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _Walk:
    """One walk: which folders it has entered, and which it must not."""

    def __init__(self, roots: Sequence[_Entry], exclude: Sequence[str | os.PathLike[str]]) -> None:
        self._roots = roots
        self._real_roots = {os.path.realpath(root.path) for root in roots if root.is_folder}
        self._entered: set[tuple[int, int]] = set()
        self._excluded = {_identity(folder) for folder in exclude}

    def files(self) -> Iterator[SourceFile | Rejection]:
        for root in self._roots:
            if root.is_folder or _identity(os.path.dirname(root.path)) not in self._entered:
                yield from self._below(root)

    def _below(self, root: _Entry) -> Iterator[SourceFile | Rejection]:
        stack = [root]  # and no recursion: a tree may be deeper than Python allows
        while stack:
            entry = stack.pop()
            if not entry.is_folder:
                found = _file(entry.path)
                if found is not None:
                    yield found
                continue
            try:
                stack.extend(reversed(self._listing(entry.path)))
            except FileNotFoundError:
                continue  # moved away since its parent was listed: no longer an input
            except OSError as error:
                yield _unreadable(entry.path, f"This folder cannot be listed ({error.strerror})")

    def _listing(self, folder: str) -> list[_Entry]:
        found = os.stat(folder)
        identity = (found.st_dev, found.st_ino)
        if identity in self._entered or identity in self._excluded:
            return []
        entries, names = [], set()
        with os.scandir(folder) as listing:
            for item in listing:
                names.add(item.name)
                is_folder = _is_folder(item)
                if is_folder and item.is_symlink() and not self._leads_elsewhere(item.path):
                    continue
                entries.append(_Entry(item.path, is_folder))
        self._entered.add(identity)
        if names >= _RUN_FOLDER:
            return []
        return sorted(entries, key=_path_order)

    def _leads_elsewhere(self, link: str) -> bool:
        """Whether a link's target neither lies below an input, where its files are met by their real
        paths, nor holds an input, which would make the walk escape upwards."""
        target = os.path.realpath(link)
        if target in self._real_roots or _is_below(target, self._real_roots):
            return False
        return not any(_is_below(root, {target}) for root in self._real_roots)


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:
        return False  # a link that leads in circles, or nowhere we may look: accounted for as a file


def _file(path: str) -> SourceFile | Rejection | None:
    """One path that is not a folder; None if it has gone since it was listed."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if not os.path.islink(path):
            return None
        detail = f"This is a link that points nowhere: '{_target(path)}' does not exist. Remove or mend it."
        return Rejection(_unknown(path), Reason.UNREADABLE, detail)
    except OSError as error:
        if error.errno == errno.ELOOP:
            detail = "This is a link that leads back to itself. Remove or mend it."
            return Rejection(_unknown(path), Reason.UNREADABLE, detail)
        return _unreadable(path, f"This file cannot be looked at ({error.strerror})")
    source = _source(path, found)
    if stat.S_ISREG(found.st_mode):
        return source
    if stat.S_ISDIR(found.st_mode):  # became a folder since it was listed; the next run walks it
        return _unreadable(path, "This changed from a file to a folder while it was read")
    what = _TYPE_NAMES.get(stat.S_IFMT(found.st_mode), "no regular file")
    return Rejection(source, Reason.NOT_AN_IMAGE, f"This is {what}, which cxrbatch does not open.")


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return "?"


def _source(path: str, found: os.stat_result) -> SourceFile:
    return SourceFile(path, size=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino)


def _unknown(path: str) -> SourceFile:
    return SourceFile(path, size=0, mtime_ns=0, inode=0)


def _unreadable(path: str, what: str) -> Rejection:
    detail = f"{what}: check its permissions and the disk or share, or move it away."
    return Rejection(_unknown(path), Reason.UNREADABLE, detail)


def settled(source: SourceFile, now_ns: int, seconds: float) -> bool:
    """Whether a file has not changed within the last `seconds`, so that its writer is surely done.

    A time of change in the future counts as recent only within the same span: a scanner whose clock is
    a day ahead must not hide its files for a day.
    """
    return abs(now_ns - source.mtime_ns) >= seconds * 1e9
