"""Arrivals where connections can be watched with epoll."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
import termios
import threading
from collections.abc import Callable
from dataclasses import dataclass

from catalogsync.emulator.arrivals import Arrivals

assert sys.platform == "linux"  # so that the type checker knows


@dataclass(slots=True)
class _Connection:
    """`turn` is counted up with each request; `at_s` is when the first bytes of the one that waits came."""

    fd: int
    turn: int = 0
    at_s: float | None = None


class Watched(Arrivals):
    """Open connections, by their far end, and when the request came that waits on each."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._by_end: dict[object, _Connection] = {}
        self._by_fd: dict[int, _Connection] = {}
        self._epoll = select.epoll()
        self._leave_fd, self._left_fd = os.pipe()
        self._epoll.register(self._leave_fd, select.EPOLLIN)
        self._thread = threading.Thread(target=self._watch, name="emulator-arrivals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.write(self._left_fd, b"x")
        self._thread.join()
        self._epoll.close()
        os.close(self._leave_fd)
        os.close(self._left_fd)

    def opened(self, far_end: object, fd: int) -> None:
        with self._lock:
            self._by_end[far_end] = self._by_fd[fd] = _Connection(fd)
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLONESHOT)

    def closed(self, far_end: object) -> None:
        with self._lock:
            connection = self._by_end.pop(far_end, None)
            if connection is not None:
                del self._by_fd[connection.fd]
        if connection is not None:
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(connection.fd)

    def taken(self, far_end: object) -> float | None:
        with self._lock:
            connection = self._by_end.get(far_end)
            if connection is None:
                return None
            connection.turn += 1
            return connection.at_s

    def answered(self, far_end: object) -> None:
        with self._lock:
            connection = self._by_end.get(far_end)
            if connection is None:
                return
            connection.turn += 1
            connection.at_s = None
        self._watch_again(connection)

    def _watch(self) -> None:
        while True:
            for fd, _ in self._epoll.poll():
                if fd == self._leave_fd:
                    return
                at_s = self._clock()
                with self._lock:
                    connection = self._by_fd.get(fd)
                    turn = connection.turn if connection else 0
                if connection is None:
                    continue
                # Woken late, this thread may look at a request that was taken meanwhile: then nothing waits.
                is_waiting = _waiting_bytes(fd) > 0
                with self._lock:
                    is_same = connection.turn == turn and turn % 2 == 0  # an odd one is being answered
                    if is_same and is_waiting:
                        connection.at_s = at_s
                if is_same and not is_waiting:
                    self._watch_again(connection)

    def _watch_again(self, connection: _Connection) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._epoll.modify(connection.fd, select.EPOLLIN | select.EPOLLONESHOT)


def _waiting_bytes(fd: int) -> int:
    """How many bytes of a connection nobody has read yet."""
    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:
        return 0
