"""Where the key is from, who may read it, and that nothing prints it."""

from __future__ import annotations

import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from cxrbatch.deidentification.crosswalk import Crosswalk
from cxrbatch.deidentification.names import open_names
from cxrbatch.deidentification.site_key import site_key
from cxrbatch.ledger.schema import LedgerError
from cxrbatch.request import Deidentify, RequestError

SECRET = "5f" * 32


def _key_file(folder: Path, mode: int = 0o600, text: str = SECRET) -> Path:
    path = folder / "site.key"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_that_is_not_there_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "site.key"
    made = site_key(path, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(r"[0-9a-f]{64}\n", path.read_text())
    assert site_key(path, {}) == made
    assert [p.name for p in path.parent.iterdir()] == ["site.key"]
    assert site_key(tmp_path / "other.key", {}).secret != made.secret


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(RequestError, match="chmod 600"):
        site_key(_key_file(tmp_path, mode), {})


@pytest.mark.parametrize("text", ["", "short", "a" * 31, "\n" * 64])
def test_a_key_that_can_be_guessed_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RequestError, match="at least 32"):
        site_key(_key_file(tmp_path, text=text), {})


def test_a_key_file_that_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    path = _key_file(tmp_path)
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(RequestError, match="no text"):
        site_key(path, {})
    with pytest.raises(RequestError, match="cannot be used"):
        site_key(tmp_path, {})


def test_the_environment_comes_first(tmp_path: Path) -> None:
    path = _key_file(tmp_path)
    other = tmp_path / "other"
    assert site_key(path, {"CXRBATCH_SITE_KEY": "k" * 32}).secret == b"k" * 32
    assert site_key(other, {"CXRBATCH_SITE_KEY_FILE": str(path)}).secret == SECRET.encode()
    assert not other.exists()


def test_without_any_key_it_is_said_where_to_name_one() -> None:
    with pytest.raises(RequestError, match=r"key_file under \[patient_data\]"):
        site_key(None, {})


def test_no_text_of_the_key_holds_it(tmp_path: Path) -> None:
    key = site_key(_key_file(tmp_path), {})
    assert SECRET not in f"{key!r} {key} {key.fingerprint}"
    assert key.fingerprint == site_key(_key_file(tmp_path), {}).fingerprint != SECRET[:12]


def test_the_crosswalk_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "crosswalk.db"
    crosswalk = Crosswalk(path, "f")
    crosswalk.add("patient_id", "PAT-1", "MRN 7")
    crosswalk.add("patient_id", "PAT-1", "MRN 7")
    assert crosswalk.value("patient_id", "PAT-1") is None
    crosswalk.commit()
    crosswalk.close()
    assert Crosswalk(path, "f").value("patient_id", "PAT-1") == "MRN 7"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(RequestError, match="chmod 600"):
        Crosswalk(path, "f")


def test_a_crosswalk_that_cannot_be_written_is_a_clear_error_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrbatch.deidentification.crosswalk.BUSY_SECONDS", 0.05)
    path = tmp_path / "c.db"
    crosswalk = Crosswalk(path, "f")
    crosswalk.add("file", "file-1", "/in/1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="start the same command again"):
            crosswalk.commit()
        other.execute("ROLLBACK")
    crosswalk.commit()
    assert crosswalk.value("file", "file-1") == "/in/1"


def test_a_crosswalk_of_another_key_or_no_crosswalk_is_refused(tmp_path: Path) -> None:
    Crosswalk(tmp_path / "c.db", "one").close()
    with pytest.raises(RequestError, match="another site key"):
        Crosswalk(tmp_path / "c.db", "two")
    junk = tmp_path / "junk.db"
    junk.write_text("no database, but a text that is long enough to be read as one" * 30)
    junk.chmod(0o600)
    with pytest.raises(RequestError, match="cannot be used"):
        Crosswalk(junk, "one")


@pytest.mark.parametrize("where", ["run/site.key", "run/deep/site.key", "link/site.key"])
def test_neither_key_nor_crosswalk_may_lie_in_the_run_folder(tmp_path: Path, where: str) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "link").symlink_to(run)
    outside = _key_file(tmp_path)
    inside = tmp_path / where
    for asked in (Deidentify(key_file=inside), Deidentify(outside, crosswalk=inside)):
        with pytest.raises(RequestError, match="must not lie in the run folder"):
            open_names(asked, run)
    assert list(run.iterdir()) == []


def test_a_key_from_the_environment_needs_a_named_crosswalk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRBATCH_SITE_KEY", "k" * 40)
    with pytest.raises(RequestError, match="crosswalk"):
        open_names(Deidentify(), tmp_path / "run")
    open_names(Deidentify(crosswalk=tmp_path / "c.db"), tmp_path / "run").close()
