"""A Ray cluster on this machine: nodes of one processor each, held to that processor by the system."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

START_SECONDS = 120.0
STORE_BYTES = 80 << 20


@contextmanager
def cluster(cores: Sequence[int]) -> Iterator[str]:
    """A head that does no work, and a node on each of these processors; gives the cluster's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    folder = Path(tempfile.mkdtemp(prefix="cxr-", dir="/tmp"))  # Ray's sockets want a short path
    head = (
        "--head",
        f"--port={address.partition(':')[2]}",
        "--include-dashboard=false",
        f"--temp-dir={folder}",
    )
    nodes = []
    try:
        nodes.append(_start("head", 0, head, None, folder))
        for core in cores:
            nodes.append(_start(f"core{core}", 1, (f"--address={address}",), core, folder))
        yield address
    finally:
        for node in reversed(nodes):
            _end(node)
        shutil.rmtree(folder, ignore_errors=True)


def environment() -> dict[str, str]:
    """Of nodes, and of whoever joins them."""
    return {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


def _start(
    name: str, cpus: int, options: Sequence[str], core: int | None, folder: Path
) -> subprocess.Popen[bytes]:
    common = (
        f"--node-name={name}",
        f"--num-cpus={cpus}",
        "--num-gpus=0",
        f"--object-store-memory={STORE_BYTES}",
    )
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *common, *options]
    log = folder / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env=environment(),
            start_new_session=True,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )
    end = time.monotonic() + START_SECONDS
    while "Ray runtime started" not in log.read_text():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"Ray's node {name} did not start:\n{log.read_text()}")
        time.sleep(0.1)
    return process


def _end(node: subprocess.Popen[bytes]) -> None:
    """A node with all its processes, which are its session."""
    for entry in Path("/proc").iterdir():
        with suppress(ValueError, OSError):
            pid = int(entry.name)
            if os.getsid(pid) == node.pid:
                os.kill(pid, signal.SIGKILL)
    node.wait()
