"""A real cluster on this machine: `ray start` processes, each a node with one processor."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

PATCHES = Path(__file__).with_name("patches")
"""A folder with a ``sitecustomize.py``, which Python imports at its start: nodes can misbehave."""
PATIENCE = 240.0
OBJECT_STORE = str(80 << 20)


def until(holds: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something; fail where it does not come."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)


def command_lines() -> dict[int, str]:
    """Of every process, by its id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it has ended
    return found


def descendants(ancestor: int) -> dict[int, str]:
    """Command lines of the processes that come of one."""
    parents, found = {}, {ancestor}
    lines = command_lines()
    for pid in lines:
        try:
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return {pid: lines[pid] for pid in found - {ancestor}}


def in_session(session: int) -> list[int]:
    """Living processes of a session, which is that of a node."""
    found = []
    for pid in command_lines():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if os.getsid(pid) == session and state != "Z":
                found.append(pid)
        except OSError:
            continue
    return found


class Node:
    """One `ray start`, with all that comes of it in a session of its own."""

    def __init__(self, name: str, process: subprocess.Popen) -> None:
        self.name = name
        self.process = process

    def pids(self, title: str = "") -> list[int]:
        """Its processes whose command line has `title`."""
        lines = command_lines()
        return [pid for pid in in_session(self.process.pid) if title in lines.get(pid, "")]

    def kill(self) -> None:
        """As a power cut."""
        end = time.monotonic() + PATIENCE
        while pids := self.pids():
            assert time.monotonic() < end, f"{pids} of node {self.name} cannot be killed"
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.poll()
            time.sleep(0.02)
        self.process.wait()


class Cluster:
    """A head and further nodes, of one processor each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.nodes: dict[str, Node] = {}
        head = ("--head", f"--port={self._port}", "--include-dashboard=false", f"--temp-dir={folder}")
        self.add("head", 1, *head)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def add(
        self, name: str, cpus: int = 1, *options: str, first: tuple[str, ...] = (), **variables: str
    ) -> Node:
        """Start a node with `variables` in its environment, after the command `first`."""
        where = options or (f"--address={self.address}",)
        command = [
            *first,
            str(Path(sys.executable).with_name("ray")),
            "start",
            "--block",
            f"--node-name={name}",
            f"--num-cpus={cpus}",
            "--num-gpus=0",
            f"--object-store-memory={OBJECT_STORE}",
            "--disable-usage-stats",
            *where,
        ]
        log = (self._folder / f"{name}.log").open("w")
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment(**variables), start_new_session=True
        )
        self.nodes[name] = Node(name, process)
        begun = "Ray runtime started"
        until(lambda: begun in self.log(name) or process.poll() is not None, f"node {name}")
        assert process.poll() is None, self.log(name)
        return self.nodes[name]

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def score(self, inbox: Path, run: Path, *options: str, **variables: str) -> subprocess.Popen:
        """`cxrbatch score` on this cluster."""
        return score(inbox, run, "--engine", "ray", "--ray-address", self.address, *options, **variables)

    def stop(self) -> None:
        for node in reversed(self.nodes.values()):
            node.kill()


def environment(**variables: str) -> dict[str, str]:
    """Of nodes and drivers: they find the patches, and nothing of another Ray."""
    paths = [str(PATCHES), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **variables,
    }


def score(inbox: Path, run: Path, *options: str, **variables: str) -> subprocess.Popen:
    """`cxrbatch score` as a process of its own."""
    command = [sys.executable, "-m", "cxrbatch", "score", str(inbox), "--out", str(run), *options]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(**variables)
    )


def finish(process: subprocess.Popen, code: int = 0) -> str:
    """Its messages; it must end with `code`."""
    _, messages = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == code, messages
    return messages


def write_film(path: Path, seed: int, **text: str) -> None:
    """A film of blurred noise; `text` goes into the file, not the pixels."""
    info = PngInfo()
    for key, value in text.items():
        info.add_text(key, value)
    small = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(small).resize((96, 112), Image.Resampling.BICUBIC).save(path, pnginfo=info)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A head and one more node."""
    folder = Path(tempfile.mkdtemp(prefix="cxr-", dir="/tmp"))
    made = Cluster(folder)
    try:
        made.add("north")
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def tools() -> SimpleNamespace:
    """The functions above, for tests: pytest's way of importing keeps this file from being imported."""
    return SimpleNamespace(
        command_lines=command_lines,
        descendants=descendants,
        finish=finish,
        score=score,
        until=until,
        write_film=write_film,
    )
