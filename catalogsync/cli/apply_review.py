"""``catalogsync apply plan.xlsx``: what a person approved in a review workbook, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from catalogsync import exitcodes
from catalogsync.cli import common, printable

if TYPE_CHECKING:
    from catalogsync.approved import Approved
    from catalogsync.budget import Budget
    from catalogsync.cli.result import ResultFile
    from catalogsync.model import Ceiling
    from catalogsync.reviewanswers import Answers


def apply_review(
    answers: Answers,
    writing: common.Writing,
    ceilings: Mapping[str, Ceiling],
    result: ResultFile,
    *,
    allow: str,
    as_json: bool,
    rps: float,
    quiet: bool,
    budget: Budget,
) -> int:
    """Apply what is approved, or go on with the run of this workbook that was cut off. The exit code.

    Raises StalePlan where the workbook is too old, was applied, or no longer fits the
    catalog, GuardRefused where a guard stops what is approved.
    """
    from catalogsync import reviewing, sync
    from catalogsync.approved import apply_approved
    from catalogsync.cli import resume

    journal = common.journal()
    cut_off = reviewing.interrupted_run(journal, answers)
    if not quiet:
        _say_answers(answers)
    if cut_off:
        common.say(f"Run {cut_off.id} of this workbook was cut off; going on with it.")
        result.leave("a run that was cut off is gone on with; the next import of the sheet tells of every row")
        with common.connected(rps=rps, budget=budget) as client, common.progress(quiet=quiet) as watch:
            schema = sync.schema_of(cut_off, client)
            carried = resume.carry_on(cut_off, schema, client, journal, writing, watch)
        return resume.tell_carried(carried, journal, as_json=as_json, quiet=quiet)
    with common.connected(rps=rps, budget=budget) as client, common.progress(quiet=quiet) as watch:
        made = apply_approved(
            answers,
            client,
            journal,
            writing.options,
            begin=lambda schema: writing.begin(schema, client, journal),
            hear=result.approve,
            ceilings=ceilings,
            allow=allow,
            watch=watch,
        )
    result.write(made.report, "nothing of the plan is approved")
    return exitcodes.worst([_tell(answers, made, result, as_json=as_json), *result.exit_codes])


def _say_answers(answers: Answers) -> None:
    from catalogsync.plantext import review_lines

    for line in review_lines(answers.review):
        common.say(printable(line))


def _tell(answers: Answers, made: Approved, result: ResultFile, *, as_json: bool) -> int:
    import dataclasses

    from catalogsync.cli import render

    report = made.report
    if as_json:
        outcome = render.report_json(report) if report else {"run": None, "results": []}
        written = {"result": str(result.written)} if result.written else {}
        common.print_json({**outcome, "review": dataclasses.asdict(answers.review), **written})
    elif report:
        render.print_report(made.plan, report)
    else:
        render.print_line(render.console(), "Nothing to send: no change is approved.")
    if report:
        return exitcodes.worst(exitcodes.report_exit_codes(made.plan, report))
    return exitcodes.worst(exitcodes.plan_exit_codes(made.plan))
