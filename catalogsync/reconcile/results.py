"""What a turn came to in one word, for metrics and the log."""

from __future__ import annotations

from catalogsync.reconcile.outcome import Outcome

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
"""The label `result` by exit code; any other is ``failed``, and a turn that looked at nothing is ``skipped``."""


def result_of(outcome: Outcome) -> str:
    """The label `result` of a turn."""
    return "skipped" if outcome.is_skipped else RESULTS.get(outcome.exit_code, "failed")
