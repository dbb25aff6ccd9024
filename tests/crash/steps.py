"""The steps of a command, counted in its own process, which ends itself at one of them without any clean-up.

A step is an instant before or after something that outlives the process:

state     before a transaction on any SQLite file begins, before it is committed, after it was; before and after a
          file takes the place of another
socket    before connecting, before the head and before the body of a request, when all is sent, when the answer has
          come but nobody has read it, when it is read
"""

from __future__ import annotations

import http.client
import os
import select
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import urllib3.connection

from catalogsync.api.dialect import Request, Response
from catalogsync.api.transport import HttpTransport

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""On Windows, which has no SIGKILL, os.kill ends a process as hard."""

ANSWER_S = 30


@dataclass
class Steps:
    """Counts steps; at number `kill_at` (0: never) it tells `on_kill` the step's label and kills the process."""

    kill_at: int = 0
    on_kill: Callable[[str], object] = print
    labels: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, label: str) -> None:
        """One step. Where it is the last one, this does not return."""
        with self._lock:  # never released where the process ends here: no other step is taken
            self.labels.append(label)
            if len(self.labels) == self.kill_at:
                self.on_kill(label)
                os.kill(os.getpid(), KILL)
                time.sleep(ANSWER_S)

    def install(self) -> None:
        """Count the steps of this process from now on. For a process of its own: nothing is put back."""
        self._watch_files()
        self._watch_sockets()

    def _watch_files(self) -> None:
        step = self.step

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
                if sql.startswith("PRAGMA synchronous"):
                    sql = "PRAGMA synchronous=OFF"  # it matters when the power fails, not when a process ends
                word = sql.split(None, 1)[0].upper()
                if word in ("BEGIN", "COMMIT"):
                    step(f"{_writer()}: before {word}")
                cursor = super().execute(sql, *given)
                if word == "COMMIT":
                    step(f"{_writer()}: after COMMIT")
                return cursor

            def executescript(self, script: str, /) -> sqlite3.Cursor:
                step(f"{_writer()}: before script")
                cursor = super().executescript(script)
                step(f"{_writer()}: after script")
                return cursor

        replace = os.replace

        def replaced(*given: Any, **named: Any) -> None:
            step(f"{_writer()}: before replace")
            replace(*given, **named)
            step(f"{_writer()}: after replace")

        os.replace = replaced
        connect = sqlite3.connect
        sqlite3.connect = lambda *given, **named: connect(*given, **named, factory=Connection)  # type: ignore[assignment]

    def _watch_sockets(self) -> None:
        step = self.step
        here = threading.local()
        send, send_bytes = HttpTransport.send, http.client.HTTPConnection.send
        connect = urllib3.connection.HTTPConnection.connect
        getresponse = urllib3.connection.HTTPConnection.getresponse

        def sent(self: HttpTransport, request: Request) -> Response:
            here.method, here.parts = request.method, ["body", "head"]
            try:
                return send(self, request)
            finally:
                step(f"{request.method}: answer read")

        def connected(self: urllib3.connection.HTTPConnection) -> None:
            step("before connect")
            connect(self)

        def bytes_sent(self: http.client.HTTPConnection, data: Any) -> None:
            step(f"{here.method}: before {here.parts.pop() if here.parts else 'more'}")
            send_bytes(self, data)

        def answered(self: urllib3.connection.HTTPConnection) -> Any:
            step(f"{here.method}: sent")
            select.select([self.sock], [], [], ANSWER_S)
            step(f"{here.method}: answer unread")
            return getresponse(self)

        HttpTransport.send = sent  # type: ignore[method-assign]
        http.client.HTTPConnection.send = bytes_sent  # type: ignore[method-assign]
        urllib3.connection.HTTPConnection.connect = connected  # type: ignore[method-assign]
        urllib3.connection.HTTPConnection.getresponse = answered  # type: ignore[method-assign]


def _writer() -> str:
    """Which function of the product writes."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        name = frame.f_code.co_name
        if "catalogsync" in frame.f_code.co_filename and name not in ("transaction", "connect", "save"):
            return name
        frame = frame.f_back
    return "somebody"
