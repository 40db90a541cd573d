"""Whole runs on a cluster, among faults: the tables are those of one machine, byte for byte."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.ray

TABLES = ("scores.csv", "studies.csv", "rejected.csv")
ONE = ("--workers", "1")
QUICK = (*ONE, "--reports", "none")
FILMS = 24


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def kept(run: Path) -> int:
    return len(list((run / "store").glob("*/*.jpg")))


@pytest.fixture(scope="session")
def inbox(tmp_path_factory: pytest.TempPathFactory, tools: Any) -> Path:
    """Films, one that kills its decoder, one that is none, a duplicate within a study, and a note."""
    folder = tmp_path_factory.mktemp("inbox")
    for number in range(FILMS):
        tools.write_film(folder / f"{number:02}.png", number)
    tools.write_film(folder / "07-bad.png", 99, misbehave="decoder")
    (folder / "08-torn.png").write_bytes((folder / "08.png").read_bytes()[:300])
    (folder / "notes.txt").write_text("no film")
    return folder


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory, inbox: Path, tools: Any) -> Path:
    """The run of one machine that others are compared with."""
    run = tmp_path_factory.mktemp("alone") / "run"
    tools.finish(tools.score(inbox, run, *QUICK), 3)
    return run


def test_faults_change_nothing(cluster: Any, tools: Any, inbox: Path, alone: Path, tmp_path: Path) -> None:
    """Begun on one machine, gone on with on a cluster: scorers are killed, a node goes, a film is poison."""
    run, options = tmp_path / "run", (*ONE, "--reports", "html")
    begun = tools.score(inbox, run, *options, CXRBATCH_TEST_SLOWLY="0.2")
    tools.until(lambda: kept(run) >= 3, "three films kept")
    begun.kill()
    begun.communicate()
    assert kept(run) < FILMS / 2

    bad = inbox / "09-bad.png"  # after the run that this one is compared with: one machine would die of it
    tools.write_film(bad, 98, misbehave="scorer")
    third = cluster.add("third", CXRBATCH_TEST_SLOWLY="0.3")
    driver = cluster.score(inbox, run, *options)
    tools.until(lambda: third.pids("ray::ScoringStation.work"), "films on the third node")
    for scorer in cluster.nodes["north"].pids("ray::ScoringStation"):
        os.kill(scorer, signal.SIGKILL)
    third.kill()
    tools.finish(driver, 3)
    bad.unlink()

    for name in ("scores.csv", "studies.csv"):
        assert (run / name).read_bytes() == (alone / name).read_bytes(), name
    lines = (run / "rejected.csv").read_bytes().splitlines()
    (poisoned,) = [line for line in lines if bad.name.encode() in line]
    assert b"decoder_crashed" in poisoned
    assert [line for line in lines if line != poisoned] == (alone / "rejected.csv").read_bytes().splitlines()
    assert len(list((run / "reports").glob("*/report.html"))) == len(rows(run / "studies.csv"))
    engine = json.loads((run / "run.json").read_text())["engine"]
    assert engine["name"] == "ray"
    assert engine["slowest_stage"]
    assert engine["nodes"]["third"]["lost_workers"] >= 1
    assert sum(node["images"] for node in engine["nodes"].values()) > FILMS / 2
    nothing_left(cluster, tools, "head", "north")


def nothing_left(cluster: Any, tools: Any, *nodes: str) -> None:
    """A run has left none of its processes on these nodes."""
    for node in nodes:
        for title in ("cxrbatch", "Station", "forkserver"):
            tools.until(lambda n=node, t=title: not cluster.nodes[n].pids(t), f"{title} left on {node}", 30)


@pytest.mark.long
def test_a_film_that_kills_its_scorer_is_tried_twice(cluster: Any, tools: Any, tmp_path: Path) -> None:
    inbox, run = tmp_path / "inbox", tmp_path / "run"
    inbox.mkdir()
    for number in range(5):
        tools.write_film(inbox / f"{number}.png", number)
    tools.write_film(inbox / "2-bad.png", 9, misbehave="scorer")
    tools.finish(cluster.score(inbox, run, *ONE, "--reports", "html"), 3)
    (bad,) = rows(run / "rejected.csv")
    assert (Path(bad["path"]).name, bad["reason"]) == ("2-bad.png", "decoder_crashed")
    assert {Path(row["path"]).name for row in rows(run / "scores.csv")} == {f"{n}.png" for n in range(5)}
    account = json.loads((run / "run.json").read_text())
    assert sum(node["lost_workers"] for node in account["engine"]["nodes"].values()) == 2
    assert len(list((run / "reports").glob("*/report.html"))) == 5


@pytest.mark.long
def test_a_node_with_another_tensorflow_is_named(
    cluster: Any, tools: Any, inbox: Path, tmp_path: Path
) -> None:
    odd = cluster.add("odd", CXRBATCH_TEST_VERSION="2.0.1")
    try:
        messages = tools.finish(cluster.score(inbox, tmp_path / "run", *QUICK), 2)
    finally:
        odd.kill()
    (line,) = messages.strip().splitlines()
    assert "1 of 3 nodes" in line
    assert "node odd has tensorflow 2.0.1 instead of" in line
    assert "north" not in line
    assert not (tmp_path / "run" / "scores.csv").exists()


@pytest.mark.long
def test_every_node_that_cannot_work_is_named(cluster: Any, tools: Any, inbox: Path, tmp_path: Path) -> None:
    """One has another TensorFlow, one does not see the folder: its mount is another's."""
    hidden = tmp_path / "share"
    hidden.mkdir()
    blind = hiding(hidden)
    added = [cluster.add("odd", CXRBATCH_TEST_VERSION="2.0.1"), cluster.add("blind", first=blind)]
    try:
        messages = tools.finish(cluster.score(inbox, hidden / "run", *QUICK), 2)
    finally:
        for node in added:
            node.kill()
    (line,) = messages.strip().splitlines()
    assert "2 of 4 nodes" in line
    assert "ode odd has tensorflow 2.0.1 instead of" in line
    assert f"ode blind cannot see the run folder {hidden / 'run'}" in line
    assert "north" not in line
    assert not (hidden / "run" / "scores.csv").exists()


def hiding(folder: Path) -> tuple[str, ...]:
    """A command that starts the one which follows it where `folder` is another, empty one.

    In most places any user may do that in a user namespace of its own; in some, only root, and without one.
    """
    mount = f'mount -t tmpfs tmpfs "{folder}" && exec "$@"'
    for namespaces in (("--user", "--map-root-user", "--mount"), ("--mount",)):
        command = ("unshare", *namespaces, "sh", "-c", mount, "sh")
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
        if done.returncode == 0:
            return command
    pytest.skip("neither may a user namespace be made here nor a file system mounted")


@pytest.mark.long
def test_a_driver_that_is_killed_goes_on(
    cluster: Any, tools: Any, inbox: Path, alone: Path, tmp_path: Path
) -> None:
    """Begun on the cluster, killed, stopped by SIGTERM, finished on one machine."""
    run = tmp_path / "run"
    slow = cluster.add("slow", CXRBATCH_TEST_SLOWLY="0.5")
    try:
        for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)):
            before = kept(run)
            driver = cluster.score(inbox, run, *QUICK)
            tools.until(lambda: kept(run) > before, "another film kept")  # noqa: B023 (called at once)
            driver.send_signal(number)
            driver.communicate(timeout=60)
            assert driver.returncode == code
            nothing_left(cluster, tools, "head", "north", "slow")
    finally:
        slow.kill()
    tools.finish(tools.score(inbox, run, *QUICK), 3)
    for name in TABLES:
        assert (run / name).read_bytes() == (alone / name).read_bytes(), name


@pytest.mark.long
def test_a_node_that_joins_in_mid_run_is_used(
    cluster: Any, tools: Any, inbox: Path, alone: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    slow = cluster.add("slow", CXRBATCH_TEST_SLOWLY="3")  # what it has in hand keeps the run from ending
    driver = cluster.score(inbox, run, *QUICK)
    tools.until(lambda: slow.pids("ray::ScoringStation.work"), "films on the slow node")
    late = cluster.add("late")
    try:
        tools.until(lambda: late.pids("ray::ScoringStation"), "a scorer on the late node")
        slow.kill()  # its films need somebody
        tools.finish(driver, 3)
    finally:
        late.kill()
        slow.kill()
    for name in TABLES:
        assert (run / name).read_bytes() == (alone / name).read_bytes(), name


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_ray_is_left_where_one_was_started(
    tools: Any, inbox: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """A Ray of this machine ends with the run, however that ends; none of its files stay either."""
    run, folder = tmp_path / "run", Path(tempfile.mkdtemp(prefix="cxr-", dir="/tmp"))
    driver = tools.score(
        inbox,
        run,
        *QUICK,
        "--engine",
        "ray",
        TMPDIR=str(folder),
        CXRBATCH_TEST_SLOWLY="0.5",
        RAY_AUTH_MODE="",
    )
    try:
        tools.until(lambda: kept(run), "a film kept")
        family = tools.descendants(driver.pid)
        assert [line for line in family.values() if "DashboardAgent" in line]
        assert [line for line in family.values() if "ScoringStation" in line]
        assert [line for line in family.values() if str(folder) in line]
        (private,) = folder.glob("cxrbatch-ray-*")
        assert unmarked(family, private) == []
        assert private.stat().st_mode & 0o777 == 0o700
        driver.send_signal(number)
        driver.communicate(timeout=60)
        assert driver.returncode == (-number if number == signal.SIGKILL else 128 + number)
        tools.until(lambda: not left(family, folder, tools), "Ray left behind", 20)
        assert list(folder.iterdir()) == []
    finally:
        driver.kill()
        shutil.rmtree(folder, ignore_errors=True)


def unmarked(family: dict[int, str], private: Path) -> list[str]:
    """Titles that Ray has put over more than the command line, so that the keeper would not find them."""
    mark = f"CXRBATCH_PRIVATE_RAY={private}".encode()
    return [
        line
        for pid, line in family.items()
        if line.startswith("ray::") and mark not in (environment_of(pid) or mark)
    ]


def left(family: dict[int, str], folder: Path, tools: Any) -> list[str]:
    """Command lines of processes that were the driver's, or have to do with a Ray in `folder`."""
    return [
        line
        for pid, line in tools.command_lines().items()
        if (line and pid in family) or str(folder) in line or str(folder).encode() in environment_of(pid)
    ]


def environment_of(pid: int) -> bytes:
    """What a process was started with; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
