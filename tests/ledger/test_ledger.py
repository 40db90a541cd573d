"""The ledger: every file in one state, nothing lost between two openings."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import ImageHeader, SourceFile
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.records import ScoredImage
from cxrbatch.ledger.schema import SCHEMA_VERSION

Make = Callable[..., SourceFile]
MakeHeader = Callable[..., ImageHeader]
MakeScored = Callable[..., ScoredImage]


def test_scored_study_comes_back_as_it_went_in(
    ledger: Ledger, source: Make, header: MakeHeader, scored: MakeScored
) -> None:
    ledger.add_candidate(source("/in/a.dcm"), header(), "s1", "1.2")
    image = scored("/in/a.dcm", "s1")
    ledger.record_score(image, "pixels", "bytes")
    assert ledger.close_study("s1")
    record = ledger.study("s1")
    assert record.uid == "1.2"
    assert record.images == (image,)


def test_study_is_open_until_its_last_image_is_settled(
    ledger: Ledger, source: Make, header: MakeHeader, scored: MakeScored
) -> None:
    for name in ("a", "b"):
        ledger.add_candidate(source(f"/in/{name}"), header(name), "s1", "1.2")
    ledger.record_score(scored("/in/a", "s1"), "p", "f")
    assert not ledger.close_study("s1")
    ledger.record_rejection("/in/b", Reason.DECODE_FAILED, "Broken.", "f")
    assert ledger.close_study("s1")
    assert ledger.unreported() == ["s1"]
    ledger.record_report("s1")
    assert ledger.unreported() == []


def test_study_without_a_scored_image_needs_no_report(
    ledger: Ledger, source: Make, header: MakeHeader
) -> None:
    ledger.add_candidate(source("/in/a"), header(), "s1", "1.2")
    ledger.record_rejection("/in/a", Reason.DECODE_FAILED, "Broken.", "f")
    assert not ledger.close_study("s1")
    assert ledger.emptied_studies() == ["s1"]
    with pytest.raises(KeyError):
        ledger.study("s1")


def test_order_of_scoring_survives_and_new_files_come_last(
    tmp_path: Path, source: Make, header: MakeHeader, scored: MakeScored
) -> None:
    ledger = Ledger(tmp_path / "l.db", create=True)
    for name in ("b", "a"):
        ledger.add_candidate(source(f"/in/{name}"), header(name), name, "")
    ledger.record_score(scored("/in/b", "b"), "p", "f")
    ledger.close()
    again = Ledger(tmp_path / "l.db")
    again.add_candidate(source("/in/0"), header("0"), "0", "")
    assert [(p.ordinal, p.path) for p in again.pending()] == [(1, "/in/a"), (2, "/in/0")]
    again.close()


def test_uncommitted_work_is_lost_and_committed_work_is_not(
    tmp_path: Path, source: Make, header: MakeHeader, scored: MakeScored
) -> None:
    ledger = Ledger(tmp_path / "l.db", create=True)
    ledger.add_candidate(source("/in/a"), header(), "s1", "1.2")
    ledger.commit()
    ledger.record_score(scored("/in/a", "s1"), "p", "f")
    ledger._db.close()  # as a crash would
    again = Ledger(tmp_path / "l.db")
    assert [p.path for p in again.pending()] == ["/in/a"]
    assert list(again.studies()) == []
    again.close()


def test_failed_block_leaves_nothing_behind(ledger: Ledger, source: Make, header: MakeHeader) -> None:
    def interrupted() -> None:
        with ledger.at_once():
            ledger.add_candidate(source("/in/a"), header(), "s1", "1.2")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        interrupted()
    assert ledger.known_files() == {}


def test_twin_needs_the_same_uid_and_the_same_pixels(
    ledger: Ledger, source: Make, header: MakeHeader, scored: MakeScored
) -> None:
    ledger.add_candidate(source("/in/a"), header(), "s1", "1.2")
    ledger.record_score(scored("/in/a", "s1"), "pixels", "f")
    assert ledger.twin("/in/other", "s1", "1.2.3", "pixels") == "/in/a"
    assert ledger.twin("/in/other", "s1", "1.2.3", "inverted pixels") is None
    assert ledger.twin("/in/other", "s1", "1.2.4", "pixels") is None


def test_forgotten_file_gives_its_duplicate_a_new_chance(
    ledger: Ledger, source: Make, header: MakeHeader, scored: MakeScored
) -> None:
    for name in ("a", "b"):
        ledger.add_candidate(source(f"/in/{name}"), header(), "s1", "1.2")
    ledger.record_score(scored("/in/a", "s1"), "p", "f")
    ledger.record_rejection("/in/b", Reason.DUPLICATE, "The same.", "f")
    ledger.close_study("s1")
    ledger.record_report("s1")
    ledger.forget("/in/a")
    assert [p.path for p in ledger.pending()] == ["/in/b"]
    assert ledger.open_studies() == ["s1"]


def test_path_that_is_no_utf8_is_kept_exactly(ledger: Ledger, source: Make, header: MakeHeader) -> None:
    path = os.fsdecode(b"/in/f\xfcr.dcm")
    ledger.add_candidate(source(path), header(), "s1", "")
    ledger.record_rejection(path, Reason.UNREADABLE, f"{path} is broken.", "")
    (rejected,) = ledger.rejected()
    assert rejected.path == path


def test_every_file_has_one_state(ledger: Ledger, source: Make, header: MakeHeader) -> None:
    ledger.add_ignored(source("/in/a"), "text")
    ledger.add_rejected(source("/in/a"), Reason.UNREADABLE, "Empty.")
    ledger.add_candidate(source("/in/a"), header(), "s1", "")
    assert ledger.file_states() == {"pending": 1, "scored": 0, "rejected": 0, "ignored": 0}


def test_highest_probability_over_a_studys_images(
    ledger: Ledger, source: Make, header: MakeHeader, scored: MakeScored
) -> None:
    for name, values in (("a", (0.25, 0.75)), ("b", (0.5, 0.125))):
        ledger.add_candidate(source(f"/in/{name}"), header(name), "s1", "1.2")
        ledger.record_score(scored(f"/in/{name}", "s1", values), name, "f")
    ledger.close_study("s1")
    assert ledger.study("s1").highest == (0.5, 0.75)


@pytest.mark.parametrize("version", [1, 2])
def test_ledger_of_an_earlier_version_is_opened_with_its_scores(tmp_path: Path, version: int) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path, create=True).close()
    old = sqlite3.connect(path)
    # What later versions added or renamed, undone.
    old.executescript("ALTER TABLE images RENAME COLUMN pixel_digest TO pixel_sha256;")
    if version == 1:
        old.executescript("ALTER TABLE images DROP COLUMN wrong;")
    old.execute(f"PRAGMA user_version = {version}")
    old.execute(
        "INSERT INTO images (path, study_key, image_key, image_uid, pixel_sha256, rows, columns, "
        "probabilities, has_maps, notes) VALUES (?, 'k', 'i', 'u', 'p', 1, 1, ?, 0, '[]')",
        (b"/a.png", np.array([0.5], "<f4").tobytes()),
    )
    old.commit()
    old.close()
    Ledger(path).close()
    new = sqlite3.connect(path)
    assert new.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    assert new.execute("SELECT path, wrong, pixel_digest FROM images").fetchall() == [(b"/a.png", None, "p")]
    new.close()
