"""What is looked at again on a resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import ImageHeader, SourceFile
from cxrbatch.ledger.changes import file_digest, new_or_changed
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.records import ScoredImage


@pytest.fixture
def film(
    tmp_path: Path,
    ledger: Ledger,
    header: Callable[..., ImageHeader],
    scored: Callable[..., ScoredImage],
) -> SourceFile:
    """A scored file, as it was when it was scored."""
    path = tmp_path / "a.dcm"
    path.write_bytes(b"pixels")
    source = _stat(path)
    ledger.add_candidate(source, header(), "s1", "1.2")
    ledger.record_score(scored(str(path), "s1"), "p", file_digest(str(path)))
    return source


def _stat(path: Path) -> SourceFile:
    found = path.stat()
    return SourceFile(str(path), found.st_size, found.st_mtime_ns, found.st_ino)


def test_unchanged_file_is_left_alone(ledger: Ledger, film: SourceFile) -> None:
    assert new_or_changed(ledger, [film]) == []


def test_touched_file_with_the_same_bytes_is_only_noted(ledger: Ledger, film: SourceFile) -> None:
    Path(film.path).touch()
    now = _stat(Path(film.path))
    assert now != film
    assert new_or_changed(ledger, [now]) == []
    assert ledger.known_files()[film.path].source == now


def test_file_with_other_bytes_of_the_same_size_is_looked_at(ledger: Ledger, film: SourceFile) -> None:
    Path(film.path).write_bytes(b"sixels")
    now = _stat(Path(film.path))
    assert new_or_changed(ledger, [now]) == [now]


def test_file_that_could_not_be_read_is_tried_again(ledger: Ledger, tmp_path: Path) -> None:
    locked, damaged = tmp_path / "locked.dcm", tmp_path / "damaged.dcm"
    locked.write_bytes(b"x")
    damaged.write_bytes(b"x")
    ledger.add_rejected(_stat(locked), Reason.UNREADABLE, "Permission denied.")
    ledger.add_rejected(_stat(damaged), Reason.NOT_CHEST, "A hand.")
    assert new_or_changed(ledger, [_stat(locked), _stat(damaged)]) == [_stat(locked)]


def test_change_behind_an_unchanged_date_is_found_by_verifying(ledger: Ledger, film: SourceFile) -> None:
    Path(film.path).write_bytes(b"sixels")
    assert new_or_changed(ledger, [film]) == []
    assert new_or_changed(ledger, [film], verify=True) == [film]


def test_new_file_is_looked_at(ledger: Ledger, film: SourceFile, source: Callable[..., SourceFile]) -> None:
    new = source("/in/new")
    assert new_or_changed(ledger, [film, new]) == [new]
