"""A wish to stop that a run looks at between requests."""

from __future__ import annotations

import threading


class Stop:
    """Set from a signal handler or another thread; `signal` is the number of the signal, 0 while nobody asked.

    `is_heeded` while a run looks at it: at other times there is nothing to finish first. `is_awaited` where somebody
    waits for it between runs, too.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.is_heeded = False
        self.is_awaited = False
        self._event = threading.Event()

    def __bool__(self) -> bool:
        return bool(self.signal)

    def ask(self, signal: int) -> None:
        """Ask to stop at the next edge of a request."""
        self.signal = signal
        self._event.set()

    def sleep(self, seconds: float) -> None:
        """Sleep, but not longer than until somebody asks to stop."""
        self._event.wait(seconds)
