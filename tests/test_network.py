"""The fence of conftest.py, without which "uses no network" would be tested by nothing."""

from __future__ import annotations

import socket

import pytest


def test_nothing_beyond_this_machine_can_be_reached() -> None:
    with socket.socket() as outside, pytest.raises(PermissionError, match="uses no network"):
        outside.connect(("192.0.2.1", 443))  # TEST-NET-1, RFC 5737: nobody is there
    with pytest.raises(PermissionError, match="uses no network"):
        socket.getaddrinfo("example.invalid", 443)


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=5) as client:
            client.sendall(b"here")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(4) == b"here"
