"""``catalogsync history``: what ran, and every change of a run."""

from __future__ import annotations

import click

from catalogsync.cli import common


@click.command("history")
@click.argument("run_id", metavar="[RUN]", type=int, required=False)
@common.option("-v", "--verbose", is_flag=True, help="Every change of RUN, however many.")
@common.json_option
def command(run_id: int | None, verbose: bool, as_json: bool) -> int:
    """All runs, the newest first; with RUN, the changes of that run and what became of them."""
    from catalogsync.cli import render, render_runs

    journal = common.journal()
    if run_id is None:
        runs = journal.runs()
        if as_json:
            common.print_json(runs)
        elif not runs:
            common.say("Nothing has run yet.")
        else:
            headings = ("Run", "Started", "Catalog", "Source", "State", "Changes")
            render.print_table("", headings, [render_runs.run_row(run) for run in runs])
        return 0
    run = common.run_of(journal, run_id)
    operations, options = journal.operations(run.id), journal.options(run.id)
    if as_json:
        common.print_json(render_runs.run_json(run, operations, options))
    else:
        render_runs.print_run(run, operations, options, verbose=verbose)
    return 0
