"""When requests arrive, noted by a thread of its own: the thread that answers them gets to one that comes while it is
busy with another only afterwards, and the time it then reads is late. Linux only; elsewhere nothing is noted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


class Arrivals:
    """Notes nothing: what there is where connections cannot be watched."""

    def close(self) -> None:
        """End the watching."""

    def opened(self, far_end: object, fd: int) -> None:
        """Watch a new connection."""

    def closed(self, far_end: object) -> None:
        """Forget a connection; called before its file is closed."""

    def taken(self, far_end: object) -> float | None:
        """When the request came that is now answered, None where that was not noted."""
        return None

    def answered(self, far_end: object) -> None:
        """Watch for the next request. Called once all of this one was read, before its answer goes out."""


def watched(clock: Callable[[], float]) -> Arrivals:
    """Arrivals as `clock` stamps them, where this system can tell of them."""
    if sys.platform == "linux":
        from catalogsync.emulator.arrivals_linux import Watched

        return Watched(clock)
    return Arrivals()
