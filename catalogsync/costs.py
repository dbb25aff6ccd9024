"""What a batch costs: its look, its request, its read-back. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from catalogsync.api.client import Client
from catalogsync.looking import at_risk
from catalogsync.model import Change, Delete
from catalogsync.plan import Plan


def batch_cost(changes: Sequence[Change], plan: Plan, client: Client, *, recheck: bool) -> tuple[int, int, int]:
    """How many requests a batch of these changes takes if nothing comes in between: look, write, read-back.

    An element that was edited in the very second of its look takes more looks, one that is gone a second read.
    """
    rows = client.rows_per_answer
    risky = at_risk(changes, plan, client.capabilities, recheck=recheck)
    written = sum(not isinstance(change, Delete) for change in changes)
    return -(-len(risky) // rows), 1, -(-written // rows)
