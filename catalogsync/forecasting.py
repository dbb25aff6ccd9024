"""Forecast: how many requests an apply of a plan sends, and how long they take.

Counted as the writer sends them: a look, a write and a read-back per batch, a read and a write for each field with new
options. A stored plan is checked before: the list, the account and its fields, every element that it touches, and where
it adds any, the elements that are newer than the plan. What comes in between is not forecast: colleagues' edits, lost
answers, an element that was edited in the very second of its look.

Time: that of all turns at the pace of the rate limit, or, where the account is slower than that, that of the answers:
what comes before the batches goes out one by one, the batches beside one another.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import pandas as pd

from catalogsync.api.client import PAGES_AHEAD, Client
from catalogsync.api.dialect import Page, Since
from catalogsync.api.pages import batch_of
from catalogsync.costs import batch_cost
from catalogsync.model import Add, Delete, Schema, Update
from catalogsync.pace import Pace
from catalogsync.plan import Forecast, Plan
from catalogsync.writer import IN_FLIGHT


def forecast_of(
    plan: Plan,
    client: Client,
    *,
    recheck: bool = True,
    checks: Schema | None = None,
    elements: pd.DataFrame | None = None,
) -> Forecast:
    """What an apply of a plan takes. With `checks`, the catalog's schema, as a stored plan: it is checked before.

    `elements` are the catalog's as they were just read (``id``, ``updated_at``): they say in which order it lists them.
    """
    if not plan.changes:
        return Forecast(0, 0.0)
    head = _checks(plan, client, checks, elements) if checks else 0
    head += 2 * len(plan.options)
    size = min(plan.batch_size, client.capabilities.max_batch)
    costs = [batch_cost(part, plan, client, recheck=recheck) for part in client.parts(plan.changes, size)]
    rest = sum(map(sum, costs))
    seconds = seconds_of(head, rest, min(IN_FLIGHT, len(costs)), client.budget.latency_s, client.budget.pace)
    return Forecast(head + rest, round(seconds, 2))


def seconds_of(head: int, rest: int, beside: int, latency_s: float, pace: Pace | None) -> float:
    """How long `head` requests one by one and then `rest` of them take, of which so many are `beside` one another."""
    all_turns_s, rest_turns_s = (pace.turns_s(head + rest), pace.turns_s(rest)) if pace else (0.0, 0.0)
    beside_s = max(rest_turns_s, (rest - 1) * latency_s / beside)
    return max(all_turns_s, head * latency_s + beside_s) + latency_s


def read_floor(count: int, schema: Schema, client: Client) -> int:
    """How many reads planning takes at the most where nothing moves (law 5): a catalog of so many elements by pages,
    what was under way when its end was reached, two that prove that nothing moved, the list, the account and fields.
    """
    pages = -(-count // client.capabilities.page_rows)
    return pages + client.vain_reads + 2 + 1 + client.schema_requests(schema)


def _checks(plan: Plan, client: Client, schema: Schema, elements: pd.DataFrame | None) -> int:
    """The requests of `sync.check_stored`: list, schema, the elements touched (stale.py), and those that are newer."""
    touched = len({change.id for change in plan.changes if isinstance(change, Update | Delete)})
    whole, rest = divmod(touched, client.capabilities.ids_per_read)
    count = 1 + client.schema_requests(schema) - (-rest // client.rows_per_answer)
    count += whole * -(-client.capabilities.ids_per_read // client.rows_per_answer)
    if any(isinstance(change, Add) for change in plan.changes):
        count += _newer(plan, client, elements)
    return count


def _newer(plan: Plan, client: Client, elements: pd.DataFrame | None) -> int:
    """How many requests it takes to read what is newer than the plan, if nothing is: the reading is gone through."""
    listed = pd.DataFrame({"id": [], "updated_at": []}) if elements is None else elements[["id", "updated_at"]]
    is_newest_first = len(listed) > 1 and bool(listed["id"].iloc[0] > listed["id"].iloc[1])
    listed = listed.sort_values("id", ascending=not is_newest_first)
    ids, at = listed["id"].astype(int).tolist(), listed["updated_at"].astype(int).tolist()

    def page(start: int, rows: int) -> Page:
        some = ids[start : start + rows]
        return Page(some, at[start : start + rows], [0] * len(some), batch_of({}), [False] * len(some), some)

    reading = client.reading(plan.existing_count, Since(plan.max_id, plan.max_updated_at))
    sent: set[Any] = set()
    try:
        ask = next(reading)
        while True:
            sent.update((ask.place, *islice(ask.ahead, PAGES_AHEAD - 1)))
            ask = reading.send(page(*client.rows_at(ask.place)))
    except StopIteration:
        return len(sent)
