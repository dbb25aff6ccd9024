"""Runs after the fact: settle one that was cut off, take up what is left of it, take it back.

recover    every change in doubt is looked up; afterwards the journal says of each whether it is done or planned
remaining  the changes of a run that are still to be sent, as a plan
taken_back the plan that undoes a run, and what it leaves alone because somebody changed it since
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from catalogsync import base as bases
from catalogsync import tables, threeway
from catalogsync.api.client import Client
from catalogsync.api.dialect import Since
from catalogsync.base import Base
from catalogsync.errors import Problem
from catalogsync.journal import Journal, Operation, Run
from catalogsync.model import NAME, Add, Change, Column, Delete, Result, Schema, Update
from catalogsync.plan import Plan, Shown, counts_of
from catalogsync.readback import written_by
from catalogsync.settling import holders_of, settle
from catalogsync.tables import key_text
from catalogsync.writer import WriteOptions


@dataclass(frozen=True)
class Recovered:
    """A run that was cut off, after it was settled: what turned out, and how many changes are still to be sent."""

    run_id: int
    results: tuple[Result, ...]
    planned_count: int


def recover(schema: Schema, client: Client, journal: Journal, options: WriteOptions) -> list[Recovered]:
    """Settle every unfinished run of a catalog. Held under the catalog's lock: no other run is writing to it.

    Raises ApiError where the catalog cannot be read; what is in doubt then stays so.
    """
    recovered = []
    for run_id in journal.unfinished(schema.account_id, schema.catalog_id):
        run = journal.run(run_id)
        assert run is not None
        operations = journal.operations(run_id)
        results = _settled(run, operations, schema, client, journal, options)
        planned = sum(operation.outcome == "planned" for operation in journal.operations(run_id))
        if results or run.state == "running":
            done = [o for o in journal.operations(run_id) if o.outcome == "done"]
            stored = {o.element_id: o.stored.values for o in done if o.stored and o.element_id}
            remember(journal, run.plan, [Result(o.change.op, "done", o.element_id) for o in done], stored)
            journal.finish(run_id, "stopped" if planned else "done", run.message or "was cut off")
            recovered.append(Recovered(run_id, tuple(results), planned))
    return recovered


# --- the base ------------------------------------------------------------------------------------------------

PENDING_S = 30 * 86_400
"""How long the base of a plan that nobody applied is kept."""


def base_path(journal: Journal, account_id: int, catalog_id: int, mapping: str) -> Path:
    """Where the values are kept that sheet and catalog last agreed on."""
    return bases.path_of(journal.folder / "base", account_id, catalog_id, mapping)


def _pending_path(journal: Journal, plan: Plan) -> Path:
    return journal.folder / "base" / "pending" / f"{plan.account_id}-{plan.catalog_id}-{plan.digest}.arrow"


def keep_pending(journal: Journal, plan: Plan, base: Base) -> None:
    """Keep what sheet and catalog agree on already when a plan is made, until it is applied: also by another process,
    or after a run that was cut off."""
    path = _pending_path(journal, plan)
    bases.save(base, path)
    for old in path.parent.iterdir():
        if old.stat().st_mtime < journal.now_at() - PENDING_S:
            old.unlink(missing_ok=True)


def remember(
    journal: Journal,
    plan: Plan,
    results: Iterable[Result],
    stored: Mapping[int, Mapping[str, str]],
    *,
    wanted: pd.DataFrame | None = None,
) -> None:
    """Keep what sheet and catalog agree on after a run, as the base of the next one.

    `stored` is what was read back, texts by column key by element id; else the catalog is taken to hold what it was
    sent. `wanted` are the rows that were planned from, where they are known.
    """
    pending = _pending_path(journal, plan)
    path = base_path(journal, plan.account_id, plan.catalog_id, plan.mapping)
    known = [base for base in (bases.load(pending)[0], bases.load(path)[0]) if base is not None]
    base = known[0] if known else Base.empty()
    bases.save(base.patched(threeway.written(plan, results, wanted, base.crm.columns, stored)), path)
    pending.unlink(missing_ok=True)


def _settled(
    run: Run,
    operations: Sequence[Operation],
    schema: Schema,
    client: Client,
    journal: Journal,
    options: WriteOptions,
) -> list[Result]:
    doubtful = [operation for operation in operations if operation.outcome == "sent"]
    if not doubtful:
        return []
    age_s = journal.now_at() - max(operation.sent_at or 0 for operation in doubtful)
    settled = settle(
        [operation.change for operation in doubtful],
        run.plan,
        schema,
        client,
        wait_s=options.settle_s - max(0, age_s),
        sleep=options.stop.sleep,
        taken={operation.element_id for operation in operations if operation.element_id},
    )
    journal.found(run.id, settled.results, settled.absent)
    return settled.results


def remaining(
    run: Run, operations: Sequence[Operation], schema: Schema, client: Client
) -> tuple[Plan, tuple[Problem, ...]]:
    """What is left of a run as a plan, and the adds that are left out because somebody added their keys meanwhile."""
    left = [operation.change for operation in operations if operation.outcome == "planned"]
    taken = keys_taken(run.plan, [change for change in left if isinstance(change, Add)], schema, client)
    changes = tuple(change for change in left if not (isinstance(change, Add) and change.key in taken))
    plan = replace(run.plan, changes=changes, write_requests=_requests(client, changes, run.plan.batch_size))
    return plan, tuple(_was_added(key, id_) for key, id_ in taken.items())


def _requests(client: Client, changes: Iterable[Change], batch_size: int) -> int:
    return client.write_requests(counts_of(changes), batch_size)


def keys_taken(plan: Plan, adds: Sequence[Add], schema: Schema, client: Client) -> dict[str, int]:
    """Keys of adds that an element holds which is newer than the plan, with its id."""
    if not adds:
        return {}
    columns = tables.columns_of(dict.fromkeys(key for entry in plan.key_columns for key in entry), schema)
    since = Since(plan.max_id, plan.max_updated_at)
    newer = client.elements(schema, columns, expected_rows=plan.existing_count, since=since).set_index("id")
    holders = holders_of(newer, plan, columns)
    return {add.key: holders[add.key][0] for add in adds if add.key in holders}


def _was_added(key: str, id_: int) -> Problem:
    return Problem(key_text(key), f"was added meanwhile, as element {id_}")


# --- taking back ---------------------------------------------------------------------------------------------


def taken_back(
    run: Run,
    operations: Sequence[Operation],
    schema: Schema,
    client: Client,
    *,
    element_count: int,
    shown: Mapping[str, Shown],
) -> Plan:
    """The plan that undoes a run. A field is restored only where it holds what the run wrote.

    Its `warnings` list what is left alone; its notes say what cannot come back as it was.
    """
    done = [operation for operation in operations if operation.outcome == "done"]
    columns = tables.all_columns(schema)
    ids = [o.element_id for o in done if o.element_id is not None and not isinstance(o.change, Delete)]
    held = client.elements_by_ids(schema, columns, ids).set_index("id")
    left_alone: list[Problem] = []
    changes: list[Change] = [
        *_restored(done, held, left_alone),
        *_added_again(run, done, schema, client, left_alone),
        *_removed(done, held, columns, left_alone),
    ]
    numbered: tuple[Change, ...] = tuple(replace(change, op=op) for op, change in enumerate(changes, start=1))
    counts = counts_of(numbered)
    notes = []
    if counts["add"]:
        notes.append("deleted elements come back under new ids; their links to deals are gone")
    return replace(
        run.plan,
        source=f"run {run.id}, taken back: ",
        made_at=client.server_now_at(),
        changes=numbered,
        columns={**shown, **run.plan.columns},
        existing_count=element_count,
        unchanged_count=len(done) - len(numbered),
        write_requests=client.write_requests(counts, run.plan.batch_size),
        rejected_rows=0,
        rejected=(),
        alarms=(),
        sheet_rows=0,
        warnings=tuple(left_alone),
        notes=tuple(notes),
    )


def _restored(done: Sequence[Operation], held: pd.DataFrame, left_alone: list[Problem]) -> Iterator[Update]:
    for operation in done:
        change = operation.change
        if not isinstance(change, Update):
            continue
        if change.id not in held.index:
            left_alone.append(Problem(key_text(change.key), f"element {change.id} was deleted since"))
            continue
        wrote = _wrote(operation)
        now = {key: str(held.at[change.id, key]) for key in change.after if key in held.columns}
        after = {key: change.before[key] for key, text in now.items() if text == wrote[key]}
        for key, text in now.items():
            if key not in after:
                what = f"{key} was edited since: the run wrote “{wrote[key]}”, the catalog says “{text}”"
                left_alone.append(Problem(key_text(change.key), what))
        after = {key: text for key, text in after.items() if text != now[key]}
        if after:
            yield Update(
                op=0,
                key=change.key,
                row=0,
                id=change.id,
                updated_at=int(str(held.at[change.id, "updated_at"])),
                before={key: now[key] for key in after},
                after=after,
                kept=_siblings(held, change.id, after),
            )


def _siblings(held: pd.DataFrame, id_: int, after: Mapping[str, str]) -> dict[str, str]:
    """The other subtypes of the composite fields that change: they go along, or would be erased (seed page 002)."""
    fields = {key.partition(".")[0] for key in after if "." in key}
    names = [name for name in map(str, held.columns) if name.partition(".")[0] in fields and "." in name]
    return {name: str(held.at[id_, name]) for name in names if name not in after and held.at[id_, name]}


def _wrote(operation: Operation) -> dict[str, str]:
    """What the catalog held after an operation: as read back, else as it was sent."""
    return {**written_by(operation.change), **(operation.stored.values if operation.stored else {})}


def _added_again(
    run: Run, done: Sequence[Operation], schema: Schema, client: Client, left_alone: list[Problem]
) -> Iterator[Add]:
    adds = []
    for operation in done:
        if not isinstance(operation.change, Delete):
            continue
        if operation.image is None:
            what = f"“{operation.change.name}” was deleted without a look at it before: its values are not known"
            left_alone.append(Problem(key_text(operation.change.key), what))
        else:
            adds.append(Add(op=0, key=operation.change.key, row=0, values=dict(operation.image)))
    taken = keys_taken(run.plan, adds, schema, client)
    left_alone += [_was_added(key, id_) for key, id_ in taken.items()]
    yield from (add for add in adds if add.key not in taken)


def _removed(
    done: Sequence[Operation], held: pd.DataFrame, columns: Sequence[Column], left_alone: list[Problem]
) -> Iterator[Delete]:
    empties = {column.key: "0" if column.type == "checkbox" else "" for column in columns}
    for operation in done:
        if not isinstance(operation.change, Add) or operation.element_id is None:
            continue
        key, id_ = operation.change.key, operation.element_id
        if id_ not in held.index:
            continue
        wrote = {**empties, **_wrote(operation)}
        if any(held.at[id_, name] != text for name, text in wrote.items() if name in held.columns):
            left_alone.append(Problem(key_text(key), f"element {id_}, which the run added, was edited since"))
        elif held.at[id_, "linked"]:
            left_alone.append(Problem(key_text(key), f"element {id_}, which the run added, hangs on deals by now"))
        else:
            updated_at = int(str(held.at[id_, "updated_at"]))
            yield Delete(op=0, key=key, id=id_, name=str(held.at[id_, NAME]), updated_at=updated_at)
