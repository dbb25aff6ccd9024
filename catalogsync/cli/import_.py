"""``catalogsync import``: plan, show, ask, apply."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalogsync import exitcodes
from catalogsync.cli import USAGE_EXIT, common
from catalogsync.model import Ceiling

if TYPE_CHECKING:
    from catalogsync.budget import Budget
    from catalogsync.writer import Report


@click.command("import")
@common.sheet_argument
@common.mapping_option
@common.yes_option
@common.read_options
@common.plan_options
@common.write_options
@common.guard_options
@common.allow_option
@common.result_option
@common.option("-v", "--verbose", is_flag=True, help="Every change and problem, however many.")
@common.json_option
@common.budget_options
@common.rate_options
def command(
    sheet: Path,
    mapping_path: Path,
    yes: bool,
    allow: str,
    result_path: Path | None,
    verbose: bool,
    as_json: bool,
    rps: float,
    quiet: bool,
    budget: Budget,
    strict: bool,
    batch: int,
    delete_unseen: bool,
    delete_linked: bool,
    settle: float,
    no_recheck: bool,
    max_delete: Ceiling | None,
    max_update: Ceiling | None,
    max_add: Ceiling | None,
    max_options: Ceiling | None,
    **reading: Any,
) -> int:
    """Make the catalog say what SHEET says: plan, show, ask, apply."""
    from catalogsync import planning, sync
    from catalogsync.cli import render
    from catalogsync.cli.result import result_file, why_not_applied
    from catalogsync.errors import GuardRefused
    from catalogsync.plan import to_json

    options = sync.PlanOptions(
        read=common.read_options_of(**reading),
        strict=strict and result_path is None,  # with a result workbook the plan is made first, then refused
        keep_sheet=result_path is not None,
        delete_unseen=delete_unseen,
        delete_linked=delete_linked,
        batch_size=batch,
        recheck=not no_recheck,
        is_stored=not yes,
        ceilings=common.ceilings_of(delete=max_delete, update=max_update, add=max_add, options=max_options),
    )
    journal = common.journal()

    def tell(report: Report | None, why_not: str = "") -> None:
        """The outcome; without a report the plan alone, and why nothing was written."""
        result.write(report, why_not)
        if as_json:
            requests = common.requests_json(planned, client)
            outcome = render.report_json(report) if report else None
            told = {"plan": to_json(made), "run": outcome, "requests": requests}
            common.print_json({**told, "result": str(result.written)} if result.written else told)
            return
        if report:
            render.print_report(made, report)
        if verbose:
            common.say_requests(planned, client)

    with (
        result_file(result_path, sheet, mapping_path) as result,
        common.connected(rps=rps, budget=budget) as client,
        common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing,
    ):
        with common.progress(quiet=quiet) as watch:
            planned = sync.plan(
                sheet,
                mapping_path,
                client,
                journal,
                options,
                watch,
                prepare=lambda schema: writing.begin(schema, client, journal),
            )
        made = planned.plan
        result.take(made, planned)
        if strict:
            planning.check_strict(made)
        if not as_json:
            if not quiet:
                render.print_facts(planned.sheet_facts)
            render.print_plan(made, rps=rps, verbose=verbose)
        try:
            sync.check_guards(made, allow=allow)
        except GuardRefused as error:
            tell(None, why_not_applied(error))
            raise
        if not made.changes:
            sync.remember(planned, journal)
            tell(None)
            return exitcodes.worst([*exitcodes.plan_exit_codes(made), *result.exit_codes])
        if not yes and not common.is_interactive():
            tell(None, "nobody could be asked, and --yes was not given")
            common.say("Nothing was written: there is no terminal to ask on. --yes applies without asking.")
            return USAGE_EXIT
        if not yes and not common.confirm("Apply this plan?"):
            tell(None, "the answer was no")
            common.say("Nothing was written.")
            return 0
        with common.progress(quiet=quiet) as watch:
            if not yes:  # the question may have stood there for an hour
                sync.check_stored(made, client, watch)
            report = sync.apply(made, client, journal, planned.schema, writing.options, planned=planned, watch=watch)
    tell(report)
    return exitcodes.worst([*exitcodes.report_exit_codes(made, report), *result.exit_codes])
