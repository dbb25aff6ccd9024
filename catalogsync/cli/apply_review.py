"""``catalogsync apply plan.xlsx``: what a person approved in a review workbook, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from catalogsync.cli import common, printable

if TYPE_CHECKING:
    from catalogsync.budget import Budget
    from catalogsync.model import Ceiling, Schema
    from catalogsync.reviewanswers import Answers
    from catalogsync.reviewing import Decided
    from catalogsync.writer import Report


def apply_review(
    path: Path,
    writing: common.Writing,
    ceilings: Mapping[str, Ceiling],
    *,
    allow: str,
    as_json: bool,
    rps: float,
    quiet: bool,
    budget: Budget,
) -> int:
    """Apply what is approved, or go on with the run of this workbook that was cut off. The exit code.

    Raises UserError where the workbook was edited, StalePlan where it is too old, was applied, or no longer fits the
    catalog, GuardRefused where a guard stops what is approved.
    """
    from catalogsync import reviewing, runs, sync
    from catalogsync.cli import resume
    from catalogsync.reviewanswers import read_review

    answers = read_review(path)
    journal = common.journal()
    cut_off = reviewing.interrupted_run(journal, answers)
    if not quiet:
        _say_answers(answers)
    if cut_off:
        common.say(f"Run {cut_off.id} of this workbook was cut off; going on with it.")
        with common.connected(rps=rps, budget=budget) as client, common.progress(quiet=quiet) as watch:
            schema = sync.schema_of(cut_off, client)
            carried = resume.carry_on(cut_off, schema, client, journal, writing, watch)
        return resume.tell_carried(carried, journal, as_json=as_json, quiet=quiet)
    with common.connected(rps=rps, budget=budget) as client, common.progress(quiet=quiet) as watch:

        def prepare(schema: Schema) -> None:
            reviewing.check_in_time(answers.plan, client)
            writing.begin(schema, client, journal)
            reviewing.check_unused(journal, answers)

        sync.check_guards(answers.approved, ceilings, allow)
        schema = sync.check_stored(answers.approved, client, watch, prepare=prepare)
        made = reviewing.decided(answers, client, schema)
        sync.check_guards(made.plan, ceilings, allow)
        reviewing.keep(journal, answers, made)
        report = None
        if made.plan.changes:
            report = sync.apply(made.plan, client, journal, schema, writing.options, watch=watch)
        else:
            runs.remember(journal, made.plan, (), {})
    return _tell(answers, made, report, as_json=as_json)


def _say_answers(answers: Answers) -> None:
    from catalogsync.plantext import review_lines

    for line in review_lines(answers.review):
        common.say(printable(line))


def _tell(answers: Answers, made: Decided, report: Report | None, *, as_json: bool) -> int:
    import dataclasses

    from catalogsync.cli import render

    if as_json:
        outcome = render.report_json(report) if report else {"run": None, "results": []}
        common.print_json({**outcome, "review": dataclasses.asdict(answers.review)})
    elif report:
        render.print_report(made.plan, report)
    else:
        render.print_line(render.console(), "Nothing to send: no change is approved.")
    if report:
        return common.worst(render.report_exit_codes(made.plan, report))
    return common.worst(render.plan_exit_codes(made.plan))
