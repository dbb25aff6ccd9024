"""A request counts from when it came, also where the server is busy with another one."""

from __future__ import annotations

import http.client
import sys
import threading

import pytest

from catalogsync.emulator.faults import Fault
from catalogsync.emulator.server import Emulator
from catalogsync.emulator.store import Store

PATH = "/api/v2/catalogs"


class Clock:
    """Stands still; says when it was looked at after it was moved."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.was_read = threading.Event()

    def __call__(self) -> float:
        if self.now_s:
            self.was_read.set()
        return self.now_s


def ask(connection: http.client.HTTPConnection, emulator: Emulator, path: str = PATH) -> None:
    connection.request("GET", path, headers={"Authorization": f"Bearer {emulator.token}"})


@pytest.mark.skipif(sys.platform != "linux", reason="arrivals are noted with epoll")
def test_a_request_that_comes_while_another_is_answered_is_stamped_when_it_comes() -> None:
    clock, busy, release = Clock(), threading.Event(), threading.Event()

    def hold(_: Store) -> None:
        busy.set()
        assert release.wait(20)

    with Emulator(rps=0, steady_clock=clock) as emulator:
        first, second = (http.client.HTTPConnection("127.0.0.1", emulator.running.port.number) for _ in range(2))
        for connection in (first, second, second):
            ask(connection, emulator)
            connection.getresponse().read()
        emulator.clear_requests()
        emulator.fault(Fault("call", "GET", call=hold))
        ask(first, emulator)
        assert busy.wait(20)
        clock.now_s = 5.0
        ask(second, emulator, f"{PATH}?id=1")
        assert clock.was_read.wait(20)
        clock.now_s = 9.0
        release.set()
        for connection in (first, second):
            connection.getresponse().read()
            connection.close()
        assert [(request.at_s, request.target) for request in emulator.requests] == [(0.0, PATH), (5.0, f"{PATH}?id=1")]
