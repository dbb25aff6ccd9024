"""Pace: how fast requests may follow each other, and how long a number of them takes.

A group of seven spans as long as seven evenly paced requests do, and its turns may come at twice the pace: so what one
request is late, those after it make up for, and the few requests of a short command hardly wait.
"""

from __future__ import annotations

from dataclasses import dataclass

CEILING_RPS = 7.0
"""What the vendor allows per integration (notes 3.1)."""

PACE_SHARE = 6.6 / 7
"""Requests are paced a little below the ceiling, so that jitter never makes one too many."""


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `ceiling_rps` requests in any second: each turn comes at least `gap_s` after the one before it, and
    `span_s` after the one that is `group` turns before it."""

    ceiling_rps: float

    @property
    def rps(self) -> float:
        """Requests per second in the long run."""
        return self.ceiling_rps * PACE_SHARE

    @property
    def group(self) -> int:
        """So many turns may come at twice the pace."""
        return max(1, int(self.ceiling_rps))

    @property
    def span_s(self) -> float:
        """From a turn to the one that is a group later, at least."""
        return self.group / self.rps

    @property
    def gap_s(self) -> float:
        """From a turn to the next one, at least."""
        return 0.5 / self.rps

    def turns_s(self, count: int) -> float:
        """From the first of so many turns to the last one, where nobody else takes any."""
        groups, rest = divmod(max(0, count - 1), self.group)
        return groups * self.span_s + rest * self.gap_s
