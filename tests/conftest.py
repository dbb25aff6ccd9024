"""What every test has: no network but loopback, a state folder of its own, and one of two hypothesis profiles."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Fixtures that only shut the outside world out are the same for every example.
_SAME_FIXTURES = [HealthCheck.function_scoped_fixture]

settings.register_profile("dev", deadline=None, max_examples=50, suppress_health_check=_SAME_FIXTURES)
settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=50, database=None, suppress_health_check=_SAME_FIXTURES
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def _is_loopback(address: object) -> bool:
    if not isinstance(address, tuple):  # a Unix socket
        return True
    host = str(address[0])
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches an address that is not loopback, nor looks one up."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refuse(address: object) -> None:
        if not _is_loopback(address):
            raise AssertionError(f"a test reaches out to {address!r}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        refuse(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        refuse(address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *arguments: Any, **named: Any) -> Any:
        if host not in (None, "", b""):
            refuse((host.decode() if isinstance(host, bytes) else host,))
        return look_up(host, *arguments, **named)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@pytest.fixture(autouse=True)
def state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The test's own state folder; no setting of the person who runs the tests counts."""
    for name in list(os.environ):
        if name.startswith("CATALOGSYNC_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "state"
    monkeypatch.setenv("CATALOGSYNC_STATE", str(folder))
    return folder
