"""A reviewed plan meets its account: whether it may still be applied, and what its decided conflicts come to.

A review workbook is good for a week by the server's clock, and for one run. A run of it that was cut off is gone on
with by applying the same workbook again, as long as it says the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from catalogsync import newoptions, runs
from catalogsync.api.client import Client
from catalogsync.base import Written
from catalogsync.elements import columns_of
from catalogsync.errors import CatalogBusy, Problem, StalePlan, UserError
from catalogsync.forecasting import forecast_of
from catalogsync.journal import Journal, Run
from catalogsync.keys import key_text
from catalogsync.model import Change, Clash, Schema, Update
from catalogsync.plan import Plan, counts_of
from catalogsync.reviewanswers import Answers
from catalogsync.reviewbook import CATALOG, SHEET, VALID_DAYS
from catalogsync.wording import title_of


def check_in_time(plan: Plan, client: Client) -> None:
    """Raises StalePlan where a reviewed plan is too old, by the server's clock as of its latest answer."""
    age_days = (client.server_now_at() - plan.made_at) / 86_400
    if age_days > VALID_DAYS:
        raise StalePlan(f"the plan was made {age_days:.0f} days ago and was good for {VALID_DAYS}; plan again")


def interrupted_run(journal: Journal, answers: Answers) -> Run | None:
    """The run of this workbook that is to be gone on with; None where there was none yet.

    Raises StalePlan where it came to its end, UserError where it was approved otherwise.
    """
    run = journal.reviewed_run(answers.plan)
    if run is None:
        return None
    if run.id not in journal.unfinished(run.plan.account_id, run.plan.catalog_id):
        raise StalePlan(f"this workbook was applied already, in run {run.id}; plan again")
    then, now = run.plan.review, answers.review
    if then is None or (then.left_out, then.decided) != (now.left_out, now.decided):
        words = f"run {run.id} of this workbook was cut off, and other lines were approved then"
        raise UserError(f"{words}; `catalogsync resume {run.id}` finishes that run, or plan again")
    return run


def check_unused(journal: Journal, answers: Answers) -> None:
    """Under the catalog's lock: that nobody else began to apply the same workbook meanwhile."""
    if interrupted_run(journal, answers):
        raise CatalogBusy("this workbook was applied by another process meanwhile, which was cut off; run again")


@dataclass(frozen=True)
class Decided:
    """What is to be sent, conflicts that the sheet won included, and what of the catalog counts from now on."""

    plan: Plan
    agreed: tuple[Written, ...] = ()


def decided(answers: Answers, client: Client, schema: Schema) -> Decided:
    """What is approved, with the conflicts as they were decided. Raises StalePlan where those changed meanwhile.

    Asks for the elements of decided conflicts, and for nothing where there are none.
    """
    plan = answers.approved
    chosen = [(answers.plan.clashes[place], side) for place, side in answers.decided.items()]
    if not chosen:
        return Decided(_with_requests(plan, answers, client))
    columns = columns_of(plan.columns, schema)
    held = client.elements_by_ids(schema, columns, [clash.id for clash, _ in chosen]).set_index("id")
    problems = list(_moved(plan, held, [clash for clash, _ in chosen]))
    if problems:
        raise StalePlan("the catalog changed since the plan was made; nothing was written. Plan again", problems)
    boxes = {column.key for column in columns if column.type == "checkbox"}
    changes = {change.id: change for change in plan.changes if isinstance(change, Update)}
    next_op = max((change.op for change in answers.plan.changes), default=0)
    for clash, side in chosen:
        if side == SHEET:
            next_op += clash.id not in changes
            changes[clash.id] = _with_sheet(changes.get(clash.id), clash, held, next_op, boxes)
    ordered: list[Change] = [changes.pop(c.id) if isinstance(c, Update) else c for c in plan.changes]
    ordered += changes.values()
    options = newoptions.needed(ordered, plan.columns)
    # One Written per element: the last one counts.
    agreed: dict[int, Written] = {}
    for clash, side in chosen:
        if side == CATALOG:
            before = agreed.get(clash.id, Written(clash.id, clash.key, {}, {}))
            sheet, crm = {**before.sheet, clash.column: clash.sheet}, {**before.crm, clash.column: clash.crm}
            agreed[clash.id] = Written(clash.id, clash.key, sheet, crm)
    plan = replace(plan, changes=tuple(ordered), options=options)
    return Decided(_with_requests(plan, answers, client), tuple(agreed.values()))


def _with_requests(plan: Plan, answers: Answers, client: Client) -> Plan:
    """The plan with the requests that it takes; its clashes are those that nobody decided."""
    requests = len(plan.options) + client.write_requests(counts_of(plan.changes), plan.batch_size)
    left = tuple(clash for place, clash in enumerate(plan.clashes) if place not in answers.decided)
    plan = replace(plan, write_requests=requests, clashes=left)
    return replace(plan, forecast=forecast_of(plan, client))


def _moved(plan: Plan, held: pd.DataFrame, clashes: list[Clash]) -> Iterator[Problem]:
    """Conflicts that are no longer what the person saw."""
    latest = max(plan.made_at, plan.max_updated_at)
    for clash in clashes:
        where = f"{plan.address(clash.row)} {key_text(clash.key)}"
        if clash.id not in held.index:
            yield Problem(where, f"element {clash.id} was deleted")
        elif clash.column not in held.columns:
            yield Problem(where, f"the field {clash.column} is gone")
        elif held.at[clash.id, clash.column] != clash.crm or int(str(held.at[clash.id, "updated_at"])) > latest:
            title = title_of(plan.columns, clash.column)
            yield Problem(f"{where} ({title})", f"element {clash.id} was edited since")


def _with_sheet(before: Update | None, clash: Clash, held: pd.DataFrame, op: int, boxes: set[str]) -> Update:
    """An update that writes what the sheet says in a conflict, too."""
    text = clash.sheet if clash.target is None else clash.target
    text = "0" if clash.column in boxes and not text else text
    made = before or Update(op, clash.key, clash.row, clash.id, int(str(held.at[clash.id, "updated_at"])), {}, {})
    after = {**made.after, clash.column: text}
    now = {str(name): str(held.at[clash.id, name]) for name in held.columns}
    fields = {key.partition(".")[0] for key in after if "." in key}
    kept = {
        key: text
        for key, text in now.items()
        if "." in key and key.partition(".")[0] in fields and key not in after and text
    }
    return replace(made, before={**made.before, clash.column: clash.crm}, after=after, kept=kept)


def keep(journal: Journal, answers: Answers, made: Decided) -> None:
    """Keep what the run will remember at its end: what sheet and catalog agree on, also where the catalog counts."""
    runs.hand_over(journal, answers.plan, made.plan, made.agreed)
