"""What one turn of a job came to: for the person, the exit code, alerts, metrics and the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from catalogsync.reconcile.project import Event

RESULTS = {
    0: "done",
    2: "drift",
    3: "rejected",
    4: "guard",
    5: "stale",
    6: "unavailable",
    7: "unauthorized",
    130: "stopped",
    143: "stopped",
}
"""A turn in one word, by exit code; any other is ``failed``, and a turn that looked at nothing is ``skipped``."""


@dataclass(frozen=True)
class Outcome:
    """One turn of a job. Times are Unix seconds.

    `words` is the turn in one line, `details` what a person should read besides, a line each. `events` are what an
    alert may tell: they are open after this turn, and those that were open before and are not in it are over.
    `is_skipped`: nothing was looked at (another turn is still running, no sheet has come), so it says nothing about
    events that are open. `done` and `planned` count changes by kind (``add``, ``update``, ``delete``). `reads`,
    `writes` count requests, `throttled` those that were answered with 429; `read_floor` is how many reads law 5
    allows a comparison of this catalog, 0 where there was none. `files` are what the turn wrote for people.
    """

    job: str
    started_at: float
    ended_at: float
    exit_code: int
    words: str
    events: tuple[Event, ...] = ()
    is_skipped: bool = False
    details: tuple[str, ...] = ()
    sheet: str = ""
    run_id: int | None = None
    planned: Mapping[str, int] = field(default_factory=dict)
    done: Mapping[str, int] = field(default_factory=dict)
    rejected_rows: int = 0
    conflicts: int = 0
    reads: int = 0
    writes: int = 0
    throttled: int = 0
    read_floor: int = 0
    files: tuple[Path, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the turn did what it is there for: sheet and catalog were compared, and nothing stood in the way."""
        return not self.is_skipped and self.exit_code in (0, 2, 3)

    @property
    def result(self) -> str:
        """The turn in one word, for metrics and the log."""
        return "skipped" if self.is_skipped else RESULTS.get(self.exit_code, "failed")
