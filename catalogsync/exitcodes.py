"""Exit codes: what a plan and a run's outcome ask for, and which one counts where several apply. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catalogsync.plan import Plan
    from catalogsync.writer import Report

EXIT_ORDER = (130, 143, 7, 1, 6, 4, 5, 3, 2, 0)
"""Which exit code counts where several apply; one that was asked to stop says so in any case."""


def worst(codes: Iterable[int]) -> int:
    """The exit code that counts, 0 for none."""
    return min(codes, key=EXIT_ORDER.index, default=0)


def report_exit_codes(plan: Plan, report: Report) -> Iterator[int]:
    """Every exit code that a run's outcome asks for."""
    if report.stopped_by:
        yield report.stopped_by.exit_code
    elif report.unsent:
        yield 6
    if report.with_outcome("unknown"):
        yield 6
    if report.with_outcome("conflict"):
        yield 5
    if report.with_outcome("failed"):
        yield 3
    yield from plan_exit_codes(plan)


def plan_exit_codes(plan: Plan) -> Iterator[int]:
    """The exit codes that what a plan leaves undone asks for."""
    if any(clash.kind == "conflict" for clash in plan.clashes):
        yield 5
    if plan.rejected_rows:
        yield 3
