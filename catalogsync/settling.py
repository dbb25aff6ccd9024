"""Settling doubt: what became of changes whose answer was lost, found out by looking at the catalog (law 3).

update, delete   looked up by id: done where the catalog says what they say, absent where nothing changed
add              looked for among the elements that are newer than the plan, by its key and by all its values:
                 exactly one that agrees in everything is taken for it. One that only shares the key, or several,
                 cannot be decided and are left for a person. An add counts as absent only when it is not there
                 after the settling time either.

Absent changes may be sent again. A write that lands later still is found by the next plan, as a key that two
elements hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import pandas as pd

from catalogsync.api.client import Client
from catalogsync.api.dialect import Since
from catalogsync.elements import columns_of
from catalogsync.keys import alternative_keys
from catalogsync.model import NAME, Add, Change, Column, Delete, Result, Schema, Update
from catalogsync.plan import Plan
from catalogsync.readback import written_by

SETTLE_S = 10.0
"""How long after the doubt arose an add may still land before it counts as absent (law 3)."""


@dataclass(frozen=True)
class Settled:
    """What a look at the catalog said: outcomes, and the changes that were not applied and may be sent again."""

    results: list[Result] = field(default_factory=list)
    absent: list[Change] = field(default_factory=list)


def settle(
    changes: Sequence[Change],
    plan: Plan,
    schema: Schema,
    client: Client,
    *,
    wait_s: float,
    sleep: Callable[[float], None],
    taken: Collection[int] = (),
    older_than: int = 0,
) -> Settled:
    """Find out what became of `changes`. `wait_s` is what is left of the settling time.

    `taken` are elements that other changes of the run made; `older_than` is an element that was there before any of
    `changes` was sent, so that only newer ones have to be read. Raises ApiError where the catalog cannot be read.
    """
    known = {column.key for column in _columns(changes, plan, schema)}
    rest = [c for c in changes if _needed(c, plan) <= known]
    gone = [c for c in changes if not _needed(c, plan) <= known]
    settled = _looked_up([c for c in rest if not isinstance(c, Add)], schema, client)
    words = "a field that it needs is gone from the catalog; look at it, then run again"
    settled.results.extend(Result(c.op, "unknown", getattr(c, "id", None), words) for c in gone)
    adds = [c for c in rest if isinstance(c, Add)]
    if not adds:
        return settled
    since = Since(max(plan.max_id, older_than), plan.max_updated_at)
    found = _found(adds, plan, schema, client, since, taken)
    missing = [c for c in found.absent if isinstance(c, Add)]
    if missing and wait_s > 0:
        sleep(wait_s)
        again = _found(missing, plan, schema, client, since, {*taken, *(r.id for r in found.results if r.id)})
        found = Settled(found.results + again.results, again.absent)
    return Settled(settled.results + found.results, settled.absent + found.absent)


def _needed(change: Change, plan: Plan) -> set[str]:
    """The column keys without which a change cannot be recognised."""
    keys = {key for entry in plan.key_columns for key in entry} if isinstance(change, Add) else set()
    return {*keys, *written_by(change)}


def _columns(changes: Sequence[Change], plan: Plan, schema: Schema) -> tuple[Column, ...]:
    """Every column that the sheet, its keys or the changes know of: an element has to agree in all of them."""
    keys = [*plan.columns, *(key for entry in plan.key_columns for key in entry)]
    keys += [key for change in changes for key in written_by(change)]
    return columns_of(dict.fromkeys(keys), schema)


# --- updates and deletes -------------------------------------------------------------------------------------


def _looked_up(changes: Sequence[Update | Delete], schema: Schema, client: Client) -> Settled:
    settled = Settled()
    if not changes:
        return settled
    keys = dict.fromkeys(key for change in changes if isinstance(change, Update) for key in change.after)
    held = client.elements_by_ids(schema, columns_of(keys, schema), [change.id for change in changes])
    held = held.set_index("id")
    for change in changes:
        is_there = change.id in held.index
        if isinstance(change, Delete) and not is_there:
            settled.results.append(Result(change.op, "done", change.id))
        elif not is_there:
            settled.results.append(Result(change.op, "failed", change.id, "the element is gone"))
        elif isinstance(change, Update) and all(held.at[change.id, key] == text for key, text in change.after.items()):
            settled.results.append(Result(change.op, "done", change.id))
        elif held.at[change.id, "updated_at"] == change.updated_at:
            settled.absent.append(change)
        else:
            settled.results.append(_changed(change, held))
    return settled


def _changed(change: Update | Delete, held: pd.DataFrame) -> Result:
    """An element that is neither as it was nor as it should be: another's edit, or ours stored in another form."""
    if isinstance(change, Update) and any(held.at[change.id, key] != text for key, text in change.before.items()):
        words = "the catalog holds something else than was written: somebody edited it, or it was stored differently"
        return Result(change.op, "unknown", change.id, words)
    by = int(str(held.at[change.id, "updated_by"]))
    return Result(change.op, "conflict", change.id, f"user {by} edited the element since it was read")


# --- adds ----------------------------------------------------------------------------------------------------


def _found(
    adds: Sequence[Add], plan: Plan, schema: Schema, client: Client, since: Since, taken: Collection[int]
) -> Settled:
    columns = _columns(adds, plan, schema)
    grown = sum(id_ > plan.max_id for id_ in taken)
    newer = client.elements(schema, columns, expected_rows=plan.existing_count + grown, since=since)
    newer = newer[~newer["id"].isin(list(taken))].set_index("id")
    holders = holders_of(newer, plan, columns)
    settled = Settled()
    for add in adds:
        ids = sorted(holders.get(add.key, []))
        alike = [id_ for id_ in ids if _is_alike(add, newer, id_, columns)]
        if not ids:
            settled.absent.append(add)
        elif ids == alike and len(ids) == 1:
            settled.results.append(Result(add.op, "done", ids[0]))
        else:
            words = f"{len(ids)} new elements hold its key" if len(ids) > 1 else "a new element holds its key, not all"
            words += f": {', '.join(map(str, ids))}" if len(ids) > 1 else f" its values: {ids[0]}"
            settled.results.append(Result(add.op, "unknown", None, f"{words}; look at them, then run again"))
    return settled


def holders_of(elements: pd.DataFrame, plan: Plan, columns: Sequence[Column]) -> dict[str, list[int]]:
    """The ids of elements (the index) by each key that they could be known by."""
    by_key = {column.key: column for column in columns}
    keys = tuple(tuple(by_key[key] for key in entry) for entry in plan.key_columns if set(entry) <= set(by_key))
    holders: dict[str, list[int]] = {}
    for texts in alternative_keys(elements, keys):
        for id_, key in zip(elements.index, texts, strict=True):
            if key:
                holders.setdefault(str(key), []).append(int(id_))
    return holders


def _is_alike(add: Add, elements: pd.DataFrame, id_: int, columns: Sequence[Column]) -> bool:
    empties = {column.key: "0" if column.type == "checkbox" else "" for column in columns}
    wanted = {**empties, NAME: "", **add.values}
    return all(elements.at[id_, key] == text for key, text in wanted.items())
