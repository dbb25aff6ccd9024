"""``catalogsync resume``: finish a run that ended early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from catalogsync.cli import common
from catalogsync.errors import Problem, UserError

if TYPE_CHECKING:
    from catalogsync.api.client import Client
    from catalogsync.journal import Journal, Run
    from catalogsync.model import Schema
    from catalogsync.plan import Plan
    from catalogsync.writer import Report


@click.command("resume")
@click.argument("run_id", metavar="[RUN]", type=int, required=False)
@common.write_options
@common.json_option
@common.rate_options
def command(run_id: int | None, settle: float, no_recheck: bool, as_json: bool, rps: float, quiet: bool) -> int:
    """Settle the last unfinished run (or RUN), and send what is left of it. Never asks: it was approved before."""
    from catalogsync import runs, sync
    from catalogsync.cli import render

    journal = common.journal()
    unfinished = journal.unfinished()
    given = common.run_of(journal, run_id) if run_id is not None else None
    if given is None and not unfinished:
        return _nothing("Nothing to resume: every run came to its end.", as_json=as_json)
    if given and given.id not in unfinished:
        why = "a later run took its place" if given.state == "superseded" else "it came to its end"
        return _nothing(f"Nothing to resume: {why} (run {given.id} is {given.state}).", as_json=as_json)
    with (
        common.connected(rps=rps) as client,
        common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing,
        common.progress(quiet=quiet) as watch,
    ):
        candidates = [given] if given else [common.run_of(journal, id_) for id_ in reversed(unfinished)]
        run, schema = _of_this_account(candidates, client)
        settled = writing.begin(schema, client, journal)
        left, report, overtaken = sync.resume(run, client, journal, schema, writing.options, watch)
    doubts = [result for each in settled if each.run_id == run.id for result in each.results]
    overtaken = (*overtaken, *runs.told(run, [result for result in doubts if result.outcome == "conflict"]))
    _tell(run, left, report, overtaken, as_json=as_json)
    _tell_others(journal, schema, quiet=quiet)
    codes = [5] if overtaken else []
    codes += [6 for result in doubts if result.outcome == "unknown"]
    codes += [3 for result in doubts if result.outcome == "failed"]
    return common.worst([*codes, *(render.report_exit_codes(left, report) if report else ())])


def _nothing(words: str, *, as_json: bool) -> int:
    if as_json:
        common.print_json({"resumes": None, "plan": None, "run": None, "overtaken": []})
    common.say(words)
    return 0


def _of_this_account(candidates: Sequence[Run], client: Client) -> tuple[Run, Schema]:
    """The first run that is of the account that is set. Raises UserError where there is none."""
    from catalogsync import sync

    refusals = []
    for run in candidates:
        try:
            return run, sync.schema_of(run, client)
        except UserError as error:
            refusals.append(error)
    raise refusals[0]


def _tell(run: Run, left: Plan, report: Report | None, overtaken: Sequence[Problem], *, as_json: bool) -> None:
    from catalogsync.cli import render, render_runs
    from catalogsync.plan import to_json

    if as_json:
        outcome = render.report_json(report) if report else None
        told = render_runs.problems_json(overtaken)
        common.print_json({"resumes": run.id, "plan": to_json(left), "run": outcome, "overtaken": told})
    elif report:
        render.print_report(left, report)
    else:
        click.echo(f"Run {run.id} is settled; nothing of it was left to send.")
    render.print_problems("Left out, somebody was faster:", overtaken, stderr=as_json)


def _tell_others(journal: Journal, schema: Schema, *, quiet: bool) -> None:
    others = journal.unfinished(schema.account_id)
    if others and not quiet:
        common.say(f"Still unfinished: run {', '.join(map(str, others))}")
