"""``catalogsync resume``: finish a run that ended early."""

from __future__ import annotations

import json

import click

from catalogsync.cli import common


@click.command("resume")
@click.argument("run_id", metavar="[RUN]", type=int, required=False)
@common.write_options
@common.json_option
@common.rate_options
def command(run_id: int | None, settle: float, no_recheck: bool, as_json: bool, rps: float, quiet: bool) -> int:
    """Settle the last unfinished run (or RUN), and send what is left of it. Never asks: it was approved before."""
    from catalogsync import sync
    from catalogsync.cli import render

    journal = common.journal()
    unfinished = journal.unfinished()
    if run_id is None and not unfinished:
        common.say("Nothing to resume: every run came to its end.")
        return 0
    run = common.run_of(journal, run_id if run_id is not None else unfinished[-1])
    if run.id not in unfinished:
        common.say(f"Run {run.id} has nothing left to send (it is {run.state}).")
        return 0
    with (
        common.connected(rps=rps) as client,
        common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing,
        common.progress(quiet=quiet) as watch,
    ):
        schema = sync.schema_of(run, client)
        writing.begin(schema, client, journal)
        left, report, overtaken = sync.resume(run, client, journal, schema, writing.options, watch)
    if as_json:
        click.echo(json.dumps(render.report_json(report) if report else None, ensure_ascii=False, indent=2))
    elif report:
        render.print_report(left, report)
    else:
        click.echo(f"Run {run.id} is settled; nothing of it was left to send.")
    render.print_problems("Left out, somebody was faster:", overtaken, stderr=as_json)
    codes = [5] if overtaken else []
    return common.worst([*codes, *(render.report_exit_codes(left, report) if report else ())])
