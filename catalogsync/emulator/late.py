"""Requests that are applied after their answer: what a gateway's 504 may leave behind."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Late:
    """What is still to be applied, each at its time by the server's clock, in the order of these times."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: list[tuple[float, int, Callable[[int], object]]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, due_s: float, apply: Callable[[int], object]) -> None:
        """Has `apply` called with the time, in whole seconds, once it is `due_s`."""
        with self._lock:
            self._count += 1
            self._waiting.append((due_s, self._count, apply))
            self._waiting.sort(key=lambda each: each[:2])

    def clear(self) -> None:
        """Forgets what is not applied yet."""
        with self._lock:
            self._waiting.clear()

    def settle(self, now_s: float) -> None:
        """Applies what is due, as of the time at which it was due."""
        with self._lock:
            while self._waiting and self._waiting[0][0] <= now_s:
                due_s, _count, apply = self._waiting.pop(0)
                apply(int(due_s))
