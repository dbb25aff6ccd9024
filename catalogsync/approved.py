"""What a person approved in a review workbook, and nothing else, is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from catalogsync import reviewing, runs, sync, writer
from catalogsync.api.client import Client
from catalogsync.journal import Journal
from catalogsync.model import Ceiling, Schema
from catalogsync.plan import Plan
from catalogsync.reviewanswers import Answers


@dataclass(frozen=True)
class Approved:
    """The plan of what was approved, conflicts decided for the sheet included, and its run: None where nothing was."""

    plan: Plan
    report: writer.Report | None


def apply_approved(
    answers: Answers,
    client: Client,
    journal: Journal,
    options: writer.WriteOptions,
    *,
    begin: Callable[[Schema], object],
    hear: Callable[[Plan], object] = lambda _: None,
    ceilings: Mapping[str, Ceiling] | None = None,
    allow: str = "",
    watch: sync.Watch | None = None,
) -> Approved:
    """Apply what is approved. `begin` takes the catalog's lock once the catalog is known; `hear` gets the plan
    before anything of it is sent.

    Raises StalePlan where the workbook is too old, was applied, or no longer fits the catalog, GuardRefused where a
    guard stops what is approved.
    """

    def prepare(schema: Schema) -> None:
        reviewing.check_in_time(answers.plan, client)
        begin(schema)
        reviewing.check_unused(journal, answers)

    sync.check_guards(answers.approved, ceilings, allow)
    schema = sync.check_stored(answers.approved, client, watch, prepare=prepare)
    made = reviewing.decided(answers, client, schema)
    sync.check_guards(made.plan, ceilings, allow)
    hear(made.plan)
    reviewing.keep(journal, answers, made)
    if made.plan.changes:
        return Approved(made.plan, sync.apply(made.plan, client, journal, schema, options, watch=watch))
    runs.remember(journal, made.plan, (), {})
    return Approved(made.plan, None)
