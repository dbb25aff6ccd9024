"""Requests per second, per token and over all of them, as the server counts, and the block after sustained excess."""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["admitted", "over", "blocked"]
MOST_TOKENS = 1000


class RateLimit:
    """At most `rps` admitted requests in any rolling second per token, and `account_rps` over all tokens.

    `rps` of 0 switches all of it off, `account_rps` of 0 only the second limit, which is never below the
    first. Excess in `block_after_s` consecutive seconds blocks the account until `lift` is called, as the
    vendor's support would (documented in words, the number is a guess; 0 = never).
    """

    def __init__(self, rps: float, block_after_s: int, account_rps: float = 0) -> None:
        self.rps = rps
        self.account_rps = max(account_rps, rps) if account_rps else 0
        self._block_after_s = block_after_s
        self._admitted: dict[str, deque[float]] = {}
        self._of_account: deque[float] = deque()
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
        if len(self._admitted) > MOST_TOKENS:
            self._admitted = {each: times for each, times in self._admitted.items() if times[-1] > at_s - 1}
        admitted = self._admitted.get(token, deque())
        for times in (admitted, self._of_account):
            while times and times[0] <= at_s - 1:
                times.popleft()
        room = not self.account_rps or len(self._of_account) < self.account_rps
        if room and len(admitted) < self.rps:
            admitted.append(at_s)
            self._admitted[token] = admitted
            self._of_account.append(at_s)
            return "admitted"
        self._count_excess(int(at_s))
        return "over"

    def _count_excess(self, second: int) -> None:
        if second == self._last_excess_s and self._excess_seconds:
            return
        follows = second == self._last_excess_s + 1
        self._excess_seconds = self._excess_seconds + 1 if follows else 1
        self._last_excess_s = second
