"""When requests arrive, noted by a thread of its own: the thread that answers them gets to one that comes while it is
busy with another only afterwards, and the time it then reads is late. Linux only; elsewhere nothing is noted.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Connection:
    """`turn` is counted up with each request; `at_s` is when the first bytes of the one that waits came."""

    fd: int
    turn: int = 0
    at_s: float | None = None


class Arrivals:
    """Open connections, by their far end, and when the request came that waits on each. `clock` stamps it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._by_end: dict[object, _Connection] = {}
        self._by_fd: dict[int, _Connection] = {}
        self._thread: threading.Thread | None = None
        if sys.platform == "linux":
            self._epoll = select.epoll()
            self._leave_fd, self._left_fd = os.pipe()
            self._epoll.register(self._leave_fd, select.EPOLLIN)
            self._thread = threading.Thread(target=self._watch, name="emulator-arrivals", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None and sys.platform == "linux":
            os.write(self._left_fd, b"x")
            self._thread.join()
            self._epoll.close()
            os.close(self._leave_fd)
            os.close(self._left_fd)
            self._thread = None

    def opened(self, far_end: object, fd: int) -> None:
        """Watch a new connection."""
        if self._thread is not None and sys.platform == "linux":
            with self._lock:
                self._by_end[far_end] = self._by_fd[fd] = _Connection(fd)
            self._epoll.register(fd, select.EPOLLIN | select.EPOLLONESHOT)

    def closed(self, far_end: object) -> None:
        """Forget a connection; called before its file is closed."""
        with self._lock:
            connection = self._by_end.pop(far_end, None)
            if connection is not None:
                del self._by_fd[connection.fd]
        if connection is not None and sys.platform == "linux":
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(connection.fd)

    def taken(self, far_end: object) -> float | None:
        """When the request came that is now answered, None where that was not noted."""
        with self._lock:
            connection = self._by_end.get(far_end)
            if connection is None:
                return None
            connection.turn += 1
            return connection.at_s

    def answered(self, far_end: object) -> None:
        """Watch for the next request. Called once all of this one was read, before its answer goes out."""
        with self._lock:
            connection = self._by_end.get(far_end)
            if connection is not None:
                connection.turn += 1
                connection.at_s = None
        if connection is not None and sys.platform == "linux":
            with contextlib.suppress(OSError, ValueError):
                self._epoll.modify(connection.fd, select.EPOLLIN | select.EPOLLONESHOT)

    def _watch(self) -> None:
        if sys.platform != "linux":
            return
        while True:
            for fd, _ in self._epoll.poll():
                if fd == self._leave_fd:
                    return
                at_s = self._clock()
                with self._lock:
                    connection = self._by_fd.get(fd)
                    turn = connection.turn if connection else 0
                # Woken late, this thread may look at a request that was taken meanwhile: then nothing waits.
                if connection is None or not _waiting_bytes(fd):
                    self._again(connection, turn)
                    continue
                with self._lock:
                    if connection.turn == turn and connection.turn % 2 == 0:
                        connection.at_s = at_s

    def _again(self, connection: _Connection | None, turn: int) -> None:
        if connection is not None and connection.turn == turn and turn % 2 == 0 and sys.platform == "linux":
            with contextlib.suppress(OSError, ValueError):
                self._epoll.modify(connection.fd, select.EPOLLIN | select.EPOLLONESHOT)


def _waiting_bytes(fd: int) -> int:
    """How many bytes of a connection nobody has read yet."""
    import fcntl
    import termios

    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:
        return 0
