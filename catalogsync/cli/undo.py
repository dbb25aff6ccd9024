"""``catalogsync undo``: take a run back, as a plan of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from catalogsync import exitcodes
from catalogsync.cli import USAGE_EXIT, common
from catalogsync.model import Ceiling

if TYPE_CHECKING:
    from catalogsync.budget import Budget


@click.command("undo")
@click.argument("run_id", metavar="RUN", type=int)
@common.yes_option
@common.write_options
@common.guard_options
@common.allow_option
@common.option("-v", "--verbose", is_flag=True, help="Every change and problem, however many.")
@common.json_option
@common.budget_options
@common.rate_options
def command(
    run_id: int,
    yes: bool,
    settle: float,
    no_recheck: bool,
    max_delete: Ceiling | None,
    max_update: Ceiling | None,
    max_add: Ceiling | None,
    max_options: Ceiling | None,
    allow: str,
    verbose: bool,
    as_json: bool,
    rps: float,
    quiet: bool,
    budget: Budget,
) -> int:
    """Take RUN back: show what that changes, ask, apply. What somebody edited since stays as it is."""
    from catalogsync import sync
    from catalogsync.cli import render, render_runs
    from catalogsync.errors import GuardRefused
    from catalogsync.plan import to_json
    from catalogsync.writer import Report

    journal = common.journal()
    run = common.run_of(journal, run_id)

    def tell(report: Report | None) -> None:
        """The outcome; without a report the plan alone."""
        if as_json:
            lists = {"left_alone": taken.left_alone, "cannot_come_back": taken.lost}
            told = {name: render_runs.problems_json(problems) for name, problems in lists.items()}
            outcome = render.report_json(report) if report else None
            common.print_json({"undoes": run.id, "plan": to_json(taken.plan), **told, "run": outcome})
        elif report:
            render.print_report(taken.plan, report)

    with (
        common.connected(rps=rps, budget=budget) as client,
        common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing,
    ):
        schema = sync.schema_of(run, client)
        writing.begin(schema, client, journal)
        with common.progress(quiet=quiet) as watch:
            taken = sync.undo_plan(run, client, journal, schema, watch)
        if not as_json:
            render_runs.print_taken_back(run, taken, rps=rps, verbose=verbose)
        ceilings = common.ceilings_of(delete=max_delete, update=max_update, add=max_add, options=max_options)
        try:
            sync.check_guards(taken.plan, ceilings, allow, has_sheet=False)
        except GuardRefused:
            tell(None)
            raise
        if not taken.plan.changes:
            tell(None)
            return 0
        if not yes and not common.is_interactive():
            tell(None)
            common.say("Nothing was written: there is no terminal to ask on. --yes applies without asking.")
            return USAGE_EXIT
        if not yes and not common.confirm(f"Take run {run.id} back?"):
            tell(None)
            common.say("Nothing was written.")
            return 0
        with common.progress(quiet=quiet) as watch:
            if not yes:  # the question may have stood there for an hour
                sync.check_stored(taken.plan, client, watch)
            report = sync.apply(taken.plan, client, journal, schema, writing.options, undoes=run.id, watch=watch)
    tell(report)
    return exitcodes.worst(exitcodes.report_exit_codes(taken.plan, report))
