"""Runs after the fact: settle one that was cut off, take up what is left of it. (undoing.py takes it back.)

recover    every change in doubt is looked up; afterwards the journal says of each whether it is done or planned
remaining  the changes of a run that are still to be sent, as a plan
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from catalogsync import base as bases
from catalogsync import newoptions, threeway
from catalogsync.api.client import Client
from catalogsync.api.dialect import Since
from catalogsync.base import Base, Written
from catalogsync.elements import columns_of
from catalogsync.errors import Problem, Refused, StalePlan
from catalogsync.forecasting import forecast_of
from catalogsync.journal import Journal, Operation, Run
from catalogsync.keys import key_text
from catalogsync.model import Add, Result, Schema
from catalogsync.optionwriter import record, settled
from catalogsync.plan import Plan, counts_of
from catalogsync.settling import holders_of, settle
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
        run = _with_options(run, client, journal, options)
        results = _settled(run, journal.operations(run_id), schema, client, journal, options)
        planned = sum(operation.outcome == "planned" for operation in journal.operations(run_id))
        if results or run.state == "running":
            done = [o for o in journal.operations(run_id) if o.outcome == "done"]
            stored = {o.element_id: o.stored.values for o in done if o.stored and o.element_id}
            finished = [Result(o.change.op, "done", o.element_id) for o in done]
            remember(journal, run.plan, finished, stored, digest=run.digest)
            journal.finish(run_id, "stopped" if planned else "done", run.message or "was cut off")
            recovered.append(Recovered(run_id, tuple(results), planned))
    return recovered


# --- the base ------------------------------------------------------------------------------------------------

PENDING_S = 30 * 86_400
"""How long the base of a plan that nobody applied is kept."""


EXPORT_S = 400 * 86_400
"""How long the base of an exported workbook is kept after its last import. The workbook carries its own besides."""


def base_path(journal: Journal, account_id: int, catalog_id: int, mapping: str, export: str = "") -> Path:
    """Where the values are kept that sheet and catalog last agreed on; of an exported workbook (`export`) apart."""
    folder = journal.folder / "base"
    if not export:
        return bases.path_of(folder, account_id, catalog_id, mapping)
    return bases.path_of(folder / "exports", account_id, catalog_id, f"{mapping} {export}")


def _pending_path(journal: Journal, plan: Plan, digest: str) -> Path:
    return journal.folder / "base" / "pending" / f"{plan.account_id}-{plan.catalog_id}-{digest}.arrow"


def keep_pending(journal: Journal, plan: Plan, base: Base) -> None:
    """Keep what sheet and catalog agree on already when a plan is made, until it is applied: also by another process,
    or after a run that was cut off."""
    path = _pending_path(journal, plan, plan.digest)
    bases.save(base, path)
    _forget_old(path, journal.now_at(), PENDING_S)


def _forget_old(saved: Path, now_at: int, keep_s: int) -> None:
    """Remove what is older beside a file that was just saved: by the journal's clock, whatever the disk's says."""
    os.utime(saved, (now_at, now_at))
    for old in saved.parent.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if old.stat().st_mtime < now_at - keep_s:
                old.unlink()


def hand_over(journal: Journal, whole: Plan, part: Plan, decided: Iterable[Written] = ()) -> None:
    """Keep for a part of a plan what was kept for all of it, and what a person decided about values that differ."""
    places = (_pending_path(journal, whole, whole.digest), base_path_of(journal, whole))
    known = [base for base in (bases.load(path)[0] for path in places) if base is not None]
    base = known[0] if known else Base.empty()
    bases.save(base.patched(decided), _pending_path(journal, part, part.digest))


def base_path_of(journal: Journal, plan: Plan) -> Path:
    """Where the base of a plan's mapping is kept."""
    return base_path(journal, plan.account_id, plan.catalog_id, plan.mapping, plan.export)


def remember(
    journal: Journal,
    plan: Plan,
    results: Iterable[Result],
    stored: Mapping[int, Mapping[str, str]],
    *,
    wanted: pd.DataFrame | None = None,
    digest: str = "",
) -> None:
    """Keep what sheet and catalog agree on after a run, as the base of the next one.

    `stored` is what was read back, texts by column key by element id; else the catalog is taken to hold what it was
    sent. `wanted` are the rows that were planned from, where they are known. `digest` is the approved plan's, where
    new options got their ids since.
    """
    pending = _pending_path(journal, plan, digest or plan.digest)
    path = base_path_of(journal, plan)
    known = [base for base in (bases.load(pending)[0], bases.load(path)[0]) if base is not None]
    base = known[0] if known else Base.empty()
    bases.save(base.patched(threeway.written(plan, results, wanted, base.crm.columns, stored)), path)
    pending.unlink(missing_ok=True)
    if plan.export:
        _forget_old(path, journal.now_at(), EXPORT_S)


def _with_options(run: Run, client: Client, journal: Journal, options: WriteOptions) -> Run:
    """The run after its new options in doubt were settled: those that are there have their ids, others are planned.

    A request that may land yet would do away with what is added in the meantime: so the settling time is waited out.
    """
    for operation in journal.options(run.id):
        if operation.outcome != "sent":
            continue
        age_s = max(0, journal.now_at() - (operation.sent_at or 0))
        try:
            wait_s = options.settle_s - age_s
            added = settled(run.plan, operation.options, client, wait_s=wait_s, stop=options.stop)
        except (Refused, StalePlan) as error:  # the field is gone, or is another one: the next plan tells
            journal.options_ended(run.id, operation.options.field_id, "planned", str(error))
            continue
        if added:
            run = replace(run, plan=record(run.plan, added, journal, run.id))
        else:
            journal.options_ended(run.id, operation.options.field_id, "planned", operation.message)
    return run


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
        sleep=lambda seconds: client.budget.pause(seconds, options.stop.sleep),
        taken={operation.element_id for operation in operations if operation.element_id},
    )
    journal.found(run.id, settled.results, settled.absent)
    return settled.results


def remaining(
    run: Run, operations: Sequence[Operation], schema: Schema, client: Client
) -> tuple[Plan, tuple[Result, ...]]:
    """What is left of a run as a plan, and what became of the adds whose keys somebody added meanwhile: conflicts.

    Every element is looked at: since the run stopped, an old one may have been given the key of an add.
    """
    left = [operation.change for operation in operations if operation.outcome == "planned"]
    taken = _holders(run.plan, [change for change in left if isinstance(change, Add)], schema, client, None)
    overtaken = tuple(
        Result(change.op, "conflict", None, _was_added(taken[change.key]))
        for change in left
        if isinstance(change, Add) and change.key in taken
    )
    skipped = {result.op for result in overtaken}
    changes = tuple(change for change in left if change.op not in skipped)
    new_options = newoptions.needed(changes, run.plan.columns)
    requests = len(new_options) + client.write_requests(counts_of(changes), run.plan.batch_size)
    left_plan = replace(run.plan, changes=changes, options=new_options, write_requests=requests)
    return replace(left_plan, forecast=forecast_of(left_plan, client)), overtaken


def told(run: Run, results: Iterable[Result]) -> tuple[Problem, ...]:
    """Results of a run's changes as a person reads them."""
    keys = {change.op: change.key for change in run.plan.changes}
    return tuple(Problem(key_text(keys[result.op]), result.message) for result in results)


def keys_taken(plan: Plan, adds: Sequence[Add], schema: Schema, client: Client) -> dict[str, int]:
    """Keys of adds that an element holds which is newer than the plan, with its id."""
    return _holders(plan, adds, schema, client, Since(plan.max_id, plan.max_updated_at))


def _holders(plan: Plan, adds: Sequence[Add], schema: Schema, client: Client, since: Since | None) -> dict[str, int]:
    if not adds:
        return {}
    columns = columns_of(dict.fromkeys(key for entry in plan.key_columns for key in entry), schema)
    found = client.elements(schema, columns, expected_rows=plan.existing_count, since=since).set_index("id")
    holders = holders_of(found, plan, columns)
    return {add.key: holders[add.key][0] for add in adds if add.key in holders}


def _was_added(id_: int) -> str:
    return f"was added meanwhile, as element {id_}"
