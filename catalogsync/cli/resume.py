"""``catalogsync resume``: finish a run that ended early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from catalogsync import exitcodes
from catalogsync.cli import common
from catalogsync.errors import Problem, UserError

if TYPE_CHECKING:
    from catalogsync.api.client import Client
    from catalogsync.budget import Budget
    from catalogsync.journal import Journal, Run
    from catalogsync.model import Result, Schema
    from catalogsync.plan import Plan
    from catalogsync.sync import Watch
    from catalogsync.writer import Report


@click.command("resume")
@click.argument("run_id", metavar="[RUN]", type=int, required=False)
@common.write_options
@common.json_option
@common.budget_options
@common.rate_options
def command(
    run_id: int | None, settle: float, no_recheck: bool, as_json: bool, rps: float, quiet: bool, budget: Budget
) -> int:
    """Settle the last unfinished run (or RUN), and send what is left of it. Never asks: it was approved before."""
    journal = common.journal()
    unfinished = journal.unfinished()
    given = common.run_of(journal, run_id) if run_id is not None else None
    if given is None and not unfinished:
        return _nothing("Nothing to resume: every run came to its end.", as_json=as_json)
    if given and given.id not in unfinished:
        why = "a later run took its place" if given.state == "superseded" else "it came to its end"
        return _nothing(f"Nothing to resume: {why} (run {given.id} is {given.state}).", as_json=as_json)
    with (
        common.connected(rps=rps, budget=budget) as client,
        common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing,
        common.progress(quiet=quiet) as watch,
    ):
        candidates = [given] if given else [common.run_of(journal, id_) for id_ in reversed(unfinished)]
        run, schema = _of_this_account(candidates, client)
        carried = carry_on(run, schema, client, journal, writing, watch)
    return tell_carried(carried, journal, as_json=as_json, quiet=quiet)


@dataclass(frozen=True)
class Carried:
    """A run that was gone on with: what was left of it, what came of that, what was in doubt before."""

    run: Run
    schema: Schema
    left: Plan
    report: Report | None
    overtaken: Sequence[Problem]
    doubts: Sequence[Result]


def carry_on(
    run: Run, schema: Schema, client: Client, journal: Journal, writing: common.Writing, watch: Watch
) -> Carried:
    """Settle what a run left in doubt, and send what is left of it. Takes the catalog's lock."""
    from catalogsync import runs, sync

    settled = writing.begin(schema, client, journal)
    left, report, overtaken = sync.resume(run, client, journal, schema, writing.options, watch)
    doubts = [result for each in settled if each.run_id == run.id for result in each.results]
    told = (*overtaken, *runs.told(run, [result for result in doubts if result.outcome == "conflict"]))
    return Carried(run, schema, left, report, told, doubts)


def tell_carried(carried: Carried, journal: Journal, *, as_json: bool, quiet: bool) -> int:
    """Say what came of a run that was gone on with; its exit code."""

    _tell(carried.run, carried.left, carried.report, carried.overtaken, as_json=as_json)
    _tell_others(journal, carried.schema, quiet=quiet)
    codes = [5] if carried.overtaken else []
    codes += [6 for result in carried.doubts if result.outcome == "unknown"]
    codes += [3 for result in carried.doubts if result.outcome == "failed"]
    return exitcodes.worst(
        [*codes, *(exitcodes.report_exit_codes(carried.left, carried.report) if carried.report else ())]
    )


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
