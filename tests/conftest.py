"""What every room's tests share: markers that skip with a reason, and a fence around the network."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before anything imports TensorFlow, here or in a child

_REALDATA = os.environ.get("CXRBATCH_REALDATA", "")


def _why_not(marker: str) -> str:
    """The reason why tests with this marker cannot run on this machine; blank if they can."""
    if marker == "realdata" and not (_REALDATA and Path(_REALDATA).is_dir()):
        return "CXRBATCH_REALDATA names no folder of real radiographs"
    if marker == "torch" and importlib.util.find_spec("torch") is None:
        return "torch is not installed (make torch)"
    if marker == "ray" and importlib.util.find_spec("ray") is None:
        return "ray is not installed (pip install 'cxrbatch[ray]')"
    if marker == "browser" and not (shutil.which("chromium") and shutil.which("chromedriver")):
        return "chromium and chromedriver are not installed"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons = {marker: _why_not(marker) for marker in ("realdata", "torch", "ray", "browser")}
    for item in items:
        for marker, reason in reasons.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real radiographs; the test is skipped where there is none."""
    if reason := _why_not("realdata"):
        pytest.skip(reason)
    return Path(_REALDATA)


@pytest.fixture(scope="session")
def is_running() -> Callable[[int], bool]:
    """Whether a process runs; a zombie does not: nobody in a container may ask for an orphan's exit code."""

    def look(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return look


def _is_local(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Nothing that runs in a test may reach beyond this machine: the product works without a network."""

    def fenced(original: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
                raise PermissionError(f"a test tried to reach {address}: cxrbatch uses no network")
            return original(self, address)

        return connect

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_local(host):
            raise PermissionError(f"a test tried to look up {host!r}: cxrbatch uses no network")
        return original_resolve(host, *args, **kwargs)

    original_resolve = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", fenced(socket.socket.connect), raising=False)
        patch.setattr(socket.socket, "connect_ex", fenced(socket.socket.connect_ex), raising=False)
        patch.setattr(socket, "getaddrinfo", resolve)
        yield
