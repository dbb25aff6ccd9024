"""Budget: how many requests and how much time a run may spend, and how many requests it has sent.

A run ends at the edge of a batch when its budget does not suffice for the next one. So that a batch is never left
without its read-back, what it needs is set aside before it begins. Only what finds out what became of a write may go
beyond the budget: a read-back that has to be repeated, and the settling of a doubt (law 3).
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from catalogsync.errors import BudgetSpent
from catalogsync.pace import Pace

RECENT = 20
"""So many of the latest requests say how long the next one takes."""


@dataclass
class Purse:
    """Requests that are set aside. `may_exceed`: more may be sent where they do not suffice, and after the deadline."""

    left: int = 0
    may_exceed: bool = False


_PURSE: ContextVar[Purse | None] = ContextVar("purse", default=None)


@contextmanager
def spending(purse: Purse) -> Iterator[None]:
    """What is sent in here is taken from this purse first."""
    token = _PURSE.set(purse)
    try:
        yield
    finally:
        _PURSE.reset(token)


class Budget:
    """The budget of one run: at most `max_requests`, and none begun later than `deadline_s` seconds from now.

    None is no limit. Every attempt counts, those that are repeated too. `reads_sent` and `writes_sent` are the GETs and
    the others among them, `throttled` the answers 429. `pace` is that of the rate limit, None for none. Shared by all
    threads of a run.
    """

    def __init__(
        self,
        max_requests: int | None = None,
        deadline_s: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_requests, self.deadline_s, self.clock = max_requests, deadline_s, clock
        self.reads_sent = 0
        self.writes_sent = 0
        self.throttled = 0
        self.pace: Pace | None = None
        self._set_aside = 0
        self._began_at = clock()
        self._lock = threading.RLock()
        self._took_s: deque[float] = deque(maxlen=RECENT)
        self._latency_s: deque[float] = deque(maxlen=RECENT)

    @property
    def requests_sent(self) -> int:
        """All attempts so far."""
        return self.reads_sent + self.writes_sent

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; infinite without one."""
        if self.deadline_s is None:
            return float("inf")
        return self._began_at + self.deadline_s - self.clock()

    @property
    def is_late(self) -> bool:
        """Whether the deadline is over."""
        return self.left_s <= 0

    @property
    def latency_s(self) -> float:
        """How long the server took for one of the latest requests, 0 where there was none."""
        with self._lock:
            return sum(self._latency_s) / len(self._latency_s) if self._latency_s else 0.0

    def check(self, wait_s: float = 0.0) -> None:
        """Raise BudgetSpent where a request after so many seconds of waiting would be beyond the budget."""
        purse = _PURSE.get()
        if purse and purse.may_exceed:
            return
        if self.left_s <= wait_s:
            raise self.spent(wait_s=wait_s)
        if not (purse and purse.left) and self._free < 1:
            raise self.spent()

    def take(self, *, is_write: bool) -> None:
        """Count an attempt that is about to go out. Raises BudgetSpent where there is none left."""
        with self._lock:
            self.check()
            purse = _PURSE.get()
            if purse and purse.left:
                purse.left -= 1
                self._set_aside -= 1
            if is_write:
                self.writes_sent += 1
            else:
                self.reads_sent += 1

    def answered(self, latency_s: float, *, was_throttled: bool = False) -> None:
        """Remember how long an answer took."""
        with self._lock:
            self.throttled += was_throttled
            self._latency_s.append(latency_s)

    def took(self, seconds: float) -> None:
        """Remember how long a request took with all that it waited for: the pace, and what had to be repeated."""
        with self._lock:
            self._took_s.append(seconds)

    @property
    def _free(self) -> float:
        if self.max_requests is None:
            return float("inf")
        return self.max_requests - self.requests_sent - self._set_aside

    def reserve(self, *counts: int, beside: int = 0) -> tuple[Purse, ...] | None:
        """A purse for each of these counts, None where they do not fit into what is left, in requests or in time.

        `beside` is how many others send at the same time: they share the pace.
        """
        with self._lock:
            if sum(counts) > self._free or self.expected_s(sum(counts), beside=beside) >= self.left_s:
                return None
            self._set_aside += sum(counts)
            return tuple(map(Purse, counts))

    def give_back(self, purses: tuple[Purse, ...]) -> None:
        """What was set aside and not needed is there for others."""
        with self._lock:
            for purse in purses:
                self._set_aside -= purse.left
                purse.left = 0

    def expected_s(self, requests: int, *, beside: int = 0) -> float:
        """How long so many requests, one after the other, are expected to take."""
        with self._lock:
            recent_s = sum(self._took_s) / len(self._took_s) if self._took_s else 0.0
        return requests * max(recent_s, (1 + beside) / self.pace.rps if self.pace else 0.0)

    def pause(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Sleep, but not longer than until the deadline."""
        sleep(max(0.0, min(seconds, self.left_s)))

    def spent(self, *, needed: int = 0, wait_s: float = 0.0) -> BudgetSpent:
        """What to raise where the budget is used up, in words; `needed` is what the next batch would have taken."""
        if self.max_requests is not None and self._free < max(needed, 1):
            given, sent = _requests(self.max_requests), self.requests_sent
            words = f"the budget of {given} is used up: {sent} {'was' if sent == 1 else 'were'} sent"
            return BudgetSpent(f"{words}, and the next batch may take {needed}" if needed else words)
        words = f"the time of {seconds_words(self.deadline_s or 0)} is used up"
        if self.left_s > 0:
            next_s = wait_s or self.expected_s(needed)
            words = f"the time of {seconds_words(self.deadline_s or 0)} does not suffice: {self.left_s:.0f} s are left"
            words += f", the next request has to wait {next_s:.0f} s" if wait_s else ", too few for the next batch"
        return BudgetSpent(f"{words} ({_requests(self.requests_sent)} sent)")


def _requests(count: int) -> str:
    return f"{count} request{'' if count == 1 else 's'}"


_UNITS = {"h": 3600, "m": 60}
_DURATION = re.compile("".join(rf"(?:([0-9.]{{1,9}}){unit})?" for unit in "dhms"), re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``10m``, ``2h``, ``1d`` or ``1h30m``. Raises ValueError."""
    found = _DURATION.fullmatch(text.replace(" ", "").lower())
    parts = found.groups("0") if found else ()
    with contextlib.suppress(ValueError):  # 1.2.3h
        seconds = sum(float(part) * each for part, each in zip(parts, (86_400, 3600, 60, 1), strict=bool(parts)))
        if seconds > 0:
            return seconds
    raise ValueError(f'"{text}" is not a time as in 90s, 15m, 2h or 1d')


def seconds_words(seconds: float) -> str:
    """Seconds as they are given: ``10m``, ``90s``."""
    for unit, each in _UNITS.items():
        if seconds >= each and seconds % each == 0:
            return f"{seconds / each:g}{unit}"
    return f"{seconds:g}s"
