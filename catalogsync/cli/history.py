"""``catalogsync history``: what ran, and every change of a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from catalogsync.cli import common


@click.command("history")
@click.argument("run_id", metavar="[RUN]", type=int, required=False)
@common.json_option
def command(run_id: int | None, as_json: bool) -> int:
    """All runs, the newest first; with RUN, every change of that run and what became of it."""
    from catalogsync.cli import render

    journal = common.journal()
    if run_id is None:
        runs = journal.runs()
        if as_json:
            click.echo(json.dumps(runs, ensure_ascii=False, indent=2))
        elif not runs:
            common.say("Nothing has run yet.")
        else:
            headings = ("Run", "Started", "Catalog", "Source", "State", "Changes")
            render.print_table("", headings, [render.run_row(run, _local(run["started_at"])) for run in runs])
        return 0
    run = common.run_of(journal, run_id)
    operations = journal.operations(run.id)
    if as_json:
        click.echo(json.dumps(render.run_json(run, operations), ensure_ascii=False, indent=2))
    else:
        render.print_run(run, operations, _local(run.started_at))
    return 0


def _local(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
