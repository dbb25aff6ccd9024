"""Requests per second and token, as the server counts them, and the block after sustained excess."""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["admitted", "over", "blocked"]


class RateLimit:
    """At most `rps` admitted requests in any rolling second per token; 0 = no limit.

    Excess in `block_after_s` consecutive seconds blocks the account until `lift` is called, as the
    vendor's support would (documented in words, the number is a guess; 0 = never).
    """

    def __init__(self, rps: float, block_after_s: int) -> None:
        self.rps = rps
        self._block_after_s = block_after_s
        self._admitted: dict[str, deque[float]] = {}
        self._last_excess_s = 0
        self._excess_seconds = 0

    @property
    def blocked(self) -> bool:
        return 0 < self._block_after_s <= self._excess_seconds

    def lift(self) -> None:
        """Lifts the block and forgets the excess."""
        self._excess_seconds = 0

    def judge(self, token: str, at_s: float) -> Verdict:
        """Whether a request that arrived at `at_s` on a steady clock is let in."""
        if self.rps <= 0:
            return "admitted"
        if self.blocked:
            return "blocked"
        admitted = self._admitted.setdefault(token, deque())
        while admitted and admitted[0] <= at_s - 1:
            admitted.popleft()
        if len(admitted) < self.rps:
            admitted.append(at_s)
            return "admitted"
        self._count_excess(int(at_s))
        return "over"

    def _count_excess(self, second: int) -> None:
        if second == self._last_excess_s and self._excess_seconds:
            return
        follows = second == self._last_excess_s + 1
        self._excess_seconds = self._excess_seconds + 1 if follows else 1
        self._last_excess_s = second
