"""The look just before a write: what somebody else's edit has overtaken since it was read (law 7).

Deletes are never compared by the server; updates are where the dialect says so, but for elements that changed in
the very second in which they were read: their ``updated_at`` may stand for two states. Such a look waits until that
second is over. What happens between the look and the write is the stated limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from catalogsync.api.client import Client
from catalogsync.api.dialect import Capabilities
from catalogsync.elements import all_columns, columns_of
from catalogsync.model import FACTS, NAME, Add, Change, Delete, Result, Schema, Update
from catalogsync.plan import Plan
from catalogsync.stopping import Stop

LOOK_S, MOST_LOOKS = 0.3, 5
"""How often and how many times an element is looked at that was edited in this very second."""


@dataclass(frozen=True)
class Looked:
    """What a look found: changes that are settled by it, whole elements about to be deleted, names by element id."""

    results: list[Result] = field(default_factory=list)
    images: dict[int, Mapping[str, str]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)


def look(changes: Sequence[Change], plan: Plan, schema: Schema, client: Client, *, recheck: bool, stop: Stop) -> Looked:
    """Look at the elements that need it; without `recheck` only at those that changed while they were read.

    Raises ApiError where the catalog cannot be read.
    """
    looked = Looked()
    risky = at_risk(changes, plan, client.capabilities, recheck=recheck)
    if not risky:
        return looked
    held = rows_of(_held_still(risky, schema, client, stop))
    for change in risky:
        row = held.get(change.id)
        settled = _overtaken(change, row)
        if settled:
            looked.results.append(settled)
        elif isinstance(change, Delete) and row is not None:
            looked.images[change.op] = {key: str(text) for key, text in row.items() if text and key not in FACTS}
        if row is not None:
            looked.names[change.id] = str(row[NAME])
    return looked


def rows_of(held: pd.DataFrame) -> dict[int, Mapping[str, Any]]:
    """Elements (the index) as plain rows: looking up cell by cell in a frame takes a hundred times as long."""
    columns = {str(name): held[name].tolist() for name in held.columns}
    return {
        id_: dict(zip(columns, row, strict=True))
        for id_, row in zip(held.index.tolist(), zip(*columns.values(), strict=True), strict=True)
    }


def at_risk(
    changes: Sequence[Change], plan: Plan, capabilities: Capabilities, *, recheck: bool
) -> list[Update | Delete]:
    """The changes whose elements have to be looked at just before the write."""

    def is_at_risk(change: Update | Delete) -> bool:
        if isinstance(change, Update) and capabilities.compares_updates:
            return change.updated_at >= plan.made_at - 1
        return recheck

    return [change for change in changes if not isinstance(change, Add) and is_at_risk(change)]


def _held_still(changes: Sequence[Update | Delete], schema: Schema, client: Client, stop: Stop) -> pd.DataFrame:
    """The elements as they are, read once the second of their last edit is over: before, nothing is told by it."""
    keys = dict.fromkeys(key for change in changes if isinstance(change, Update) for key in change.before)
    has_deletes = any(isinstance(change, Delete) for change in changes)
    columns = all_columns(schema) if has_deletes else columns_of(keys, schema)
    for turn in range(MOST_LOOKS):
        held = client.elements_by_ids(schema, columns, [change.id for change in changes]).set_index("id")
        is_over = all(c.updated_at < client.server_now_at() for c in changes if c.id in held.index)
        if stop or is_over or turn == MOST_LOOKS - 1:
            break
        stop.sleep(LOOK_S)
    return held


def _overtaken(change: Update | Delete, row: Mapping[str, Any] | None) -> Result | None:
    """What a change has become, if somebody was faster. `row` is the element now, None where it is gone."""
    if row is None:
        if isinstance(change, Delete):
            return Result(change.op, "done", change.id, "was gone already")
        return Result(change.op, "failed", change.id, "the element is gone")
    is_same = row["updated_at"] == change.updated_at
    if is_same and all(row[key] == text for key, text in _read(change, row)):
        return None
    return Result(change.op, "conflict", change.id, f"user {row['updated_by']} edited the element since it was read")


def _read(change: Update | Delete, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was read of the columns that a change concerns; all subtypes of a composite field are sent together."""
    if isinstance(change, Delete):
        yield from ((key, text) for key, text in change.before.items() if key in row)
        return
    texts = {**change.kept, **change.before}
    fields = {key.partition(".")[0] for key in texts if "." in key}
    for key in row:
        if key in texts or ("." in key and key.partition(".")[0] in fields):
            yield key, texts.get(key, "")
