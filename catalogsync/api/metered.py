"""Metered: counts what goes out, against a run's budget."""

from __future__ import annotations

from catalogsync.api.dialect import Request, Response
from catalogsync.api.transport import Transport
from catalogsync.budget import Budget
from catalogsync.errors import ApiError


class Metered:
    """Counts each attempt. Stands innermost, so that repeated ones count too."""

    def __init__(self, inner: Transport, budget: Budget) -> None:
        self._inner, self._budget = inner, budget

    def send(self, request: Request) -> Response:
        """Send, if the budget allows it. Raises BudgetSpent where it does not."""
        budget = self._budget
        budget.take(is_write=request.method != "GET")
        began_at, status = budget.clock(), 0
        try:
            return self._inner.send(request)
        except ApiError as error:
            status = error.status
            raise
        finally:
            budget.answered(budget.clock() - began_at, was_throttled=status == 429)

    def close(self) -> None:
        """Close what is wrapped."""
        self._inner.close()
