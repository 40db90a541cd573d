"""Every input file once, in a fixed order, whatever else lies in the folders."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import Rejection, SourceFile
from cxrbatch.intake.walk import InputNotFoundError, settled, walk


def _make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def _names(found: list[SourceFile | Rejection], folder: Path) -> list[str]:
    paths = [item.path if isinstance(item, SourceFile) else item.source.path for item in found]
    return [os.path.relpath(path, folder) for path in paths]


def test_files_come_in_the_order_of_their_paths_bytes(tmp_path: Path) -> None:
    _make(tmp_path, "a/b/1", "a-b", "a.b", "a/z", "B/2", "é", "a0", "z/y/x/w")
    found = [item.path for item in walk([tmp_path]) if isinstance(item, SourceFile)]
    expected = [os.fsencode(p) for p in tmp_path.rglob("*") if p.is_file()]
    assert [os.fsencode(path) for path in found] == sorted(expected)


def test_stat_values_are_those_of_the_file(tmp_path: Path) -> None:
    _make(tmp_path, "one")
    [found] = walk([tmp_path / "one"])
    stat = (tmp_path / "one").stat()
    assert found == SourceFile(str(tmp_path / "one"), 3, stat.st_mtime_ns, stat.st_ino)


def test_overlapping_inputs_give_each_path_once(tmp_path: Path) -> None:
    _make(tmp_path, "a/1", "a/b/2", "c/3")
    inputs = [
        tmp_path / "a" / "b",
        tmp_path / "a",
        tmp_path / "a" / "1",
        tmp_path,
        tmp_path / "a" / "." / "b",
    ]
    assert _names(list(walk(inputs)), tmp_path) == ["a/1", "a/b/2", "c/3"]


def test_relative_inputs_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(tmp_path, "a/1")
    monkeypatch.chdir(tmp_path / "a")
    assert [item.path for item in walk(["."]) if isinstance(item, SourceFile)] == [str(tmp_path / "a" / "1")]


def test_missing_input_is_named_at_once(tmp_path: Path) -> None:
    for missing in (tmp_path / "nowhere", ""):
        with pytest.raises(InputNotFoundError) as caught:
            walk([tmp_path, missing])
        assert str(missing) in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


def test_link_loops_end_and_linked_folders_come_once(tmp_path: Path) -> None:
    _make(tmp_path, "in/a/1", "in/b/2", "elsewhere/3")
    (tmp_path / "in/a/up").symlink_to(tmp_path / "in")
    (tmp_path / "in/a/further_up").symlink_to(tmp_path)
    (tmp_path / "in/b/self").symlink_to(tmp_path / "in/b")
    (tmp_path / "in/0_to_b").symlink_to(tmp_path / "in/b")
    (tmp_path / "in/out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/out_again").symlink_to(tmp_path / "elsewhere")
    assert _names(list(walk([tmp_path / "in"])), tmp_path / "in") == ["a/1", "b/2", "out/3"]


def test_a_link_as_input_keeps_its_own_path(tmp_path: Path) -> None:
    _make(tmp_path, "real/1")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert _names(list(walk([tmp_path / "link"])), tmp_path) == ["link/1"]


def test_dotdot_behind_a_link_is_the_folder_that_the_system_means(tmp_path: Path) -> None:
    _make(tmp_path, "x/y/1", "x/2", "3")
    (tmp_path / "link").symlink_to(tmp_path / "x" / "y")
    assert _names(list(walk([f"{tmp_path}/link/.."])), tmp_path) == ["x/2", "x/y/1"]


def test_what_is_no_file_is_rejected_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(tmp_path, "1")
    os.mkfifo(tmp_path / "2_pipe")
    monkeypatch.chdir(tmp_path)  # socket names are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("3_socket")
        (tmp_path / "4_null").symlink_to("/dev/null")
        (tmp_path / "5_dangling").symlink_to(tmp_path / "gone")
        (tmp_path / "6_circle").symlink_to(tmp_path / "6_circle")
        found = list(walk([tmp_path]))
    reasons = {os.path.basename(f.source.path): f.reason for f in found if isinstance(f, Rejection)}
    assert reasons == {
        "2_pipe": Reason.NOT_AN_IMAGE,
        "3_socket": Reason.NOT_AN_IMAGE,
        "4_null": Reason.NOT_AN_IMAGE,
        "5_dangling": Reason.UNREADABLE,
        "6_circle": Reason.UNREADABLE,
    }
    assert "gone" in next(f.detail for f in found if isinstance(f, Rejection) and "dangling" in f.source.path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list any folder")
def test_a_folder_that_cannot_be_listed_is_accounted_for(tmp_path: Path) -> None:
    _make(tmp_path, "a/1", "b/2")
    (tmp_path / "a").chmod(0)
    try:
        found = list(walk([tmp_path]))
    finally:
        (tmp_path / "a").chmod(0o700)
    assert _names(found, tmp_path) == ["a", "b/2"]
    assert isinstance(found[0], Rejection)
    assert found[0].reason is Reason.UNREADABLE


def test_listing_errors_are_accounted_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(tmp_path, "a/1", "b/2")
    real = os.scandir

    def scandir(folder: str) -> object:
        if folder.endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(walk([tmp_path]))
    assert _names(found, tmp_path) == ["a", "b/2"]
    assert isinstance(found[0], Rejection)
    assert "Permission denied" in found[0].detail


def test_the_run_folder_is_not_entered_but_an_input_below_it_is(tmp_path: Path) -> None:
    _make(tmp_path, "1", "RUN/scores.csv", "RUN/store/x", "RUN/inbox/2")
    (tmp_path / "to_run").symlink_to(tmp_path / "RUN")
    run = tmp_path / "RUN"
    assert _names(list(walk([tmp_path], exclude=[run])), tmp_path) == ["1"]
    assert _names(list(walk([tmp_path, run / "inbox"], exclude=[run])), tmp_path) == ["1", "RUN/inbox/2"]
    assert _names(list(walk([tmp_path / "1"], exclude=[tmp_path / "not yet there"])), tmp_path) == ["1"]


def test_names_that_are_no_utf8_keep_their_bytes(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.dcm"
    with open(name, "wb") as file:
        file.write(b"x")
    [found] = walk([tmp_path])
    assert isinstance(found, SourceFile)
    assert os.fsencode(found.path) == name


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed by ``rm``: Python's own removal recurses, and a deep tree would break it."""
    yield tmp_path
    subprocess.run(["rm", "-rf", "--", str(tmp_path)], check=True)


def test_a_tree_deeper_than_any_path_may_be_does_not_crash(deep_folder: Path) -> None:
    _make(deep_folder, "0")
    part = "d" * 200
    descriptor = os.open(deep_folder, os.O_RDONLY)
    for _ in range(25):  # 5000 characters: beyond PATH_MAX
        os.mkdir(part, dir_fd=descriptor)
        below = os.open(part, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("film.dcm", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    found = list(walk([deep_folder]))
    assert isinstance(found[0], SourceFile)
    assert [item.reason for item in found[1:] if isinstance(item, Rejection)] == [Reason.UNREADABLE]


def test_a_tree_deeper_than_the_recursion_limit_is_walked(deep_folder: Path) -> None:
    deep = f"{deep_folder}" + "/d" * 1200
    subprocess.run(["mkdir", "-p", deep], check=True)
    Path(deep, "1").write_bytes(b"")
    assert [item.path for item in walk([deep_folder]) if isinstance(item, SourceFile)] == [f"{deep}/1"]


def test_a_file_that_vanishes_while_walking_is_no_input_any_more(tmp_path: Path) -> None:
    _make(tmp_path, "1", "2", "d/3")
    walking = walk([tmp_path])
    next(walking)
    (tmp_path / "2").unlink()
    (tmp_path / "d/3").unlink()
    (tmp_path / "d").rmdir()
    assert list(walking) == []


SECOND = 10**9


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(0, False), (59, False), (60, True), (3600, True), (-30, False), (-60, True), (-86400, True)],
)
def test_settled_by_age_and_a_clock_far_ahead_hides_nothing(age_s: int, expected: bool) -> None:
    now = 1_800_000_000 * SECOND
    source = SourceFile("/x", 1, now - age_s * SECOND, 1)
    assert settled(source, now, 60) is expected


def test_without_a_span_everything_is_settled() -> None:
    assert settled(SourceFile("/x", 1, 5, 1), 5, 0)


def test_run_folders_of_cxrbatch_are_not_entered(tmp_path: Path) -> None:
    (tmp_path / "run" / "store").mkdir(parents=True)
    for name in ("run/run.json", "run/ledger.db", "run/store/film.jpg", "film.png"):
        (tmp_path / name).write_bytes(b"x")
    assert [found.path for found in walk([tmp_path])] == [str(tmp_path / "film.png")]  # type: ignore[union-attr]
