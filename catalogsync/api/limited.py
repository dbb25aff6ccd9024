"""RateLimited: a transport that waits its turn (pace.py), together with all that use the same account."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from catalogsync.api.dialect import Request, Response
from catalogsync.api.transport import Transport
from catalogsync.budget import Budget
from catalogsync.pace import Pace
from catalogsync.state import state_folder

LATE_S = 0.03
"""A turn this long past is given back: eight requests at the pace of 7 span 1.06 s, less the delay of the first."""

SOON_S = 0.005
"""What goes out within this time of its turn went out at its turn."""

FAR_S = 60.0
"""Turns are not taken this far ahead; a later one in the file was written before the clock was set back."""

KEPT = 200
"""About so many of the last turns are kept: more than the largest group (50, `--rps`), less those given back."""


def turns_file(url: str) -> Path:
    """Where the turns of an account are kept, by its host only: emulators on this machine share one bucket."""
    host = urlsplit(url).hostname or ""
    name = "".join(char if char.isalnum() or char in ".-" else "_" for char in host)
    return state_folder() / "rate" / f"{name}.sqlite"


class RateLimited:
    """Keeps to a pace, over all threads and processes that share `turns_file`.

    A turn is taken inside a transaction and waited for outside of it. It counts from the clock as read inside:
    a time read before waiting for a lock lets requests follow each other faster than the file says. A turn that comes
    after the deadline of `budget` is not waited for.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        turns_file: Path,
        pace: Pace,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        budget: Budget | None = None,
    ) -> None:
        self._inner = inner
        self._budget = budget or Budget()
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        turns_file.parent.mkdir(parents=True, exist_ok=True)
        self._turns = sqlite3.connect(turns_file, timeout=30, isolation_level=None, check_same_thread=False)
        self._turns.execute("PRAGMA journal_mode=WAL")
        self._turns.execute("PRAGMA synchronous=NORMAL")
        self._turns.execute("CREATE TABLE IF NOT EXISTS taken (id INTEGER PRIMARY KEY, turn_at REAL NOT NULL)")

    def send(self, request: Request) -> Response:
        """Wait for a turn, then send. A turn that the machine let slip by is given back. Raises BudgetSpent."""
        while True:
            self._budget.check()
            id_, turn_at = self._take_turn()
            wait_s = max(0.0, turn_at - self._clock())
            self._budget.check(wait_s)
            self._sleep(wait_s)
            sent_at = self._clock()
            if sent_at - turn_at < LATE_S:
                if sent_at - turn_at > SOON_S:
                    self._move(id_, sent_at)
                return self._inner.send(request)
            self._give_back(id_)

    def _take_turn(self) -> tuple[int, float]:
        """The next free turn, from now on somebody's: its number and time."""
        pace = self._pace
        with self._lock, self._turns:
            self._turns.execute("BEGIN IMMEDIATE")
            now_at = self._clock()
            newest = self._turns.execute("SELECT turn_at FROM taken ORDER BY id DESC LIMIT ?", (pace.group,))
            taken_at = [turn_at for (turn_at,) in newest]
            turn_at = now_at
            if taken_at and taken_at[0] >= now_at + FAR_S:
                self._turns.execute("DELETE FROM taken")
            elif taken_at:
                turn_at = max(now_at, taken_at[0] + pace.gap_s)
                if len(taken_at) == pace.group:
                    turn_at = max(turn_at, taken_at[-1] + pace.span_s)
            id_ = self._turns.execute("INSERT INTO taken (turn_at) VALUES (?)", (turn_at,)).lastrowid
            assert id_ is not None
            self._turns.execute("DELETE FROM taken WHERE id <= ?", (id_ - KEPT,))
        return id_, turn_at

    def _move(self, id_: int, sent_at: float) -> None:
        """Those that come a group later count from when this one went out."""
        with self._lock, self._turns:
            self._turns.execute("UPDATE taken SET turn_at = ? WHERE id = ?", (sent_at, id_))

    def _give_back(self, id_: int) -> None:
        with self._lock, self._turns:
            self._turns.execute("DELETE FROM taken WHERE id = ?", (id_,))

    def close(self) -> None:
        """Close the file and what is wrapped."""
        self._turns.close()
        self._inner.close()
