"""Whole runs on a cluster, among faults: the tables are those of one machine, byte for byte."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.ray

TABLES = ("scores.csv", "studies.csv", "rejected.csv")
ONE = ("--threads", "1", "--workers", "1")
QUICK = (*ONE, "--reports", "none")
FILMS = 24


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def kept(run: Path) -> int:
    return len(list((run / "store").glob("*/*.jpg")))


def children(pid: int, tools: Any) -> list[int]:
    found = []
    for other in tools.command_lines():
        try:
            stat = Path(f"/proc/{other}/stat").read_text()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == pid:
            found.append(other)
    return found


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
    """Begun on one machine, gone on with on a cluster of which a scorer dies and a node goes."""
    run = tmp_path / "run"
    begun = tools.score(inbox, run, *QUICK, CXRBATCH_TEST_SLOWLY="0.2")
    tools.until(lambda: kept(run) >= 3, "three films kept")
    begun.kill()
    begun.communicate()
    assert kept(run) < FILMS / 2

    third = cluster.add("third", CXRBATCH_TEST_SLOWLY="0.3")
    driver = cluster.score(inbox, run, *QUICK)
    tools.until(lambda: third.pids("ray::ScoringStation.work"), "films on the third node")
    (scorer,) = cluster.nodes["north"].pids("ray::ScoringStation")
    os.kill(scorer, signal.SIGKILL)
    third.kill()
    tools.finish(driver, 3)

    for name in TABLES:
        assert (run / name).read_bytes() == (alone / name).read_bytes(), name
    assert {row["reason"] for row in rows(run / "rejected.csv")} == {"decoder_crashed", "decode_failed"}
    engine = json.loads((run / "run.json").read_text())["engine"]
    assert engine["name"] == "ray"
    assert engine["slowest_stage"]
    assert engine["nodes"]["north"]["lost_workers"] == 1
    assert engine["nodes"]["third"]["lost_workers"] >= 1
    assert engine["nodes"]["south"]["images"] > 0
    for node in ("head", "north", "south"):
        for title in ("cxrbatch", "Station", "forkserver"):
            tools.until(lambda n=node, t=title: not cluster.nodes[n].pids(t), f"{title} left on {node}", 30)


def test_a_film_that_kills_its_scorer_is_tried_twice(cluster: Any, tools: Any, tmp_path: Path) -> None:
    inbox, run = tmp_path / "inbox", tmp_path / "run"
    inbox.mkdir()
    for number in range(5):
        tools.write_film(inbox / f"{number}.png", number)
    tools.write_film(inbox / "2-bad.png", 9, misbehave="scorer")
    tools.finish(cluster.score(inbox, run, *ONE, "--reports", "html"), 3)
    (bad,) = rows(run / "rejected.csv")
    assert (Path(bad["path"]).name, bad["reason"]) == ("2-bad.png", "decoder_crashed")
    assert [Path(row["path"]).name for row in rows(run / "scores.csv")] == [f"{n}.png" for n in range(5)]
    account = json.loads((run / "run.json").read_text())
    assert sum(node["lost_workers"] for node in account["engine"]["nodes"].values()) == 2
    assert len(list((run / "reports").glob("*/report.html"))) == 5


def test_a_node_with_another_version_is_named(cluster: Any, tools: Any, inbox: Path, tmp_path: Path) -> None:
    odd = cluster.add("odd", CXRBATCH_TEST_VERSION="2.0.1")
    try:
        messages = tools.finish(cluster.score(inbox, tmp_path / "run", *QUICK), 2)
    finally:
        odd.kill()
    assert "1 of 3 nodes" in messages
    assert "node odd has tensorflow 2.0.1 instead of" in messages
    assert "north" not in messages
    assert not (tmp_path / "run" / "scores.csv").exists()
