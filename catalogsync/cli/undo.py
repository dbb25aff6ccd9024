"""``catalogsync undo``: take a run back, as a plan of its own."""

from __future__ import annotations

import json

import click

from catalogsync.cli import USAGE_EXIT, common
from catalogsync.model import Ceiling


@click.command("undo")
@click.argument("run_id", metavar="RUN", type=int)
@common.yes_option
@common.write_options
@common.guard_options
@common.allow_option
@common.option("-v", "--verbose", is_flag=True, help="Every change and problem, however many.")
@common.json_option
@common.rate_options
def command(
    run_id: int,
    yes: bool,
    settle: float,
    no_recheck: bool,
    max_delete: Ceiling | None,
    max_update: Ceiling | None,
    max_add: Ceiling | None,
    allow: str,
    verbose: bool,
    as_json: bool,
    rps: float,
    quiet: bool,
) -> int:
    """Take RUN back: show what that changes, ask, apply. What somebody edited since stays as it is."""
    from catalogsync import sync
    from catalogsync.cli import render
    from catalogsync.plan import to_json

    journal = common.journal()
    run = common.run_of(journal, run_id)
    with (
        common.connected(rps=rps) as client,
        common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing,
    ):
        schema = sync.schema_of(run, client)
        writing.begin(schema, client, journal)
        made = sync.undo_plan(run, client, journal, schema)
        if not as_json:
            render.print_plan(made, rps=rps, verbose=verbose)
        sync.check_guards(made, common.ceilings_of(delete=max_delete, update=max_update, add=max_add), allow)
        report = None
        if made.changes:
            if not yes and not common.is_interactive():
                common.say("Nothing was written: there is no terminal to ask on. --yes applies without asking.")
                return USAGE_EXIT
            if not yes and not common.confirm(f"Take run {run.id} back?"):
                common.say("Nothing was written.")
                return 0
            with common.progress(quiet=quiet) as watch:
                report = sync.apply(made, client, journal, schema, writing.options, undoes=run.id, watch=watch)
    if as_json:
        outcome = {"plan": to_json(made), "run": render.report_json(report) if report else None}
        click.echo(json.dumps(outcome, ensure_ascii=False, indent=2))
    elif report:
        render.print_report(made, report)
    return common.worst(render.report_exit_codes(made, report) if report else ())
