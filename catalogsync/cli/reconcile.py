"""``catalogsync reconcile``: the jobs of a project file, once or on a schedule."""

from __future__ import annotations

import dataclasses
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalogsync import exitcodes
from catalogsync.cli import common, printable

if TYPE_CHECKING:
    from catalogsync.api.auth import Account
    from catalogsync.api.client import Client
    from catalogsync.reconcile.outcome import Outcome
    from catalogsync.reconcile.project import AccountSpec, JobSpec, ProjectFile
    from catalogsync.reconcile.running import Jobs

_SHOWN_DETAILS = 20


@click.command("reconcile")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@common.option(
    "--project",
    "project_path",
    type=click.Path(path_type=Path),
    default=Path("catalogsync.yaml"),
    show_default=True,
    help="The project file.",
)
@common.option(
    "--check", is_flag=True, help="Write nothing; exit 2 where sheet and catalog differ, and say who edited."
)
@common.option("--every", metavar="TIME", default="", help="Keep running: every job each so often, as in 15m.")
@common.option("--keep", is_flag=True, help="Keep running: every job at its `schedule:`.")
@common.option(
    "--install",
    type=click.Choice(["systemd", "cron", "windows"]),
    help="Print what is to be installed so that jobs run by themselves.",
)
@common.write_options
@common.option("-v", "--verbose", is_flag=True, help="Every line of what a turn has to tell.")
@common.json_option
@common.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="The log on stderr.")
@common.rate_options
def command(
    jobs: tuple[str, ...],
    project_path: Path,
    check: bool,
    every: str,
    keep: bool,
    install: str | None,
    settle: float,
    no_recheck: bool,
    verbose: bool,
    as_json: bool,
    log_format: str,
    rps: float,
    quiet: bool,
) -> int:
    """Run the jobs of catalogsync.yaml (all of them, or each JOB) once, or keep running them."""
    from catalogsync.reconcile import logs
    from catalogsync.reconcile.project import load_project

    project = load_project(project_path)
    names = list(dict.fromkeys(jobs)) or list(project.jobs)
    for name in names:
        project.job(name)
    if check and (every or keep):
        raise click.UsageError("--check looks once; leave --every and --keep out")
    if install:
        from catalogsync.reconcile.installing import installed

        click.echo(installed(install, project, names), nl=False)
        return 0
    logs.configure(log_format)
    with common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing:
        desk = _Desk(project, writing, rps=rps, as_json=as_json, verbose=verbose, quiet=quiet)
        if not every and not keep:
            outcomes = [outcome for name in names for outcome in desk.turn(name, is_check=check)]
            if as_json:
                common.print_json([_json(outcome) for outcome in outcomes])
            return exitcodes.worst(outcome.exit_code for outcome in outcomes)
        return desk.keep_running(names, every)


class _Desk:
    """Runs turns and tells of them: on the terminal, in the log, by alerts and metrics."""

    def __init__(
        self, project: ProjectFile, writing: common.Writing, *, rps: float, as_json: bool, verbose: bool, quiet: bool
    ) -> None:
        from catalogsync.reconcile.running import Jobs
        from catalogsync.reconcile.state import Memory
        from catalogsync.state import state_folder

        self._project, self._writing = project, writing
        self._rps, self._as_json, self._verbose, self._quiet = rps, as_json, verbose, quiet
        self._memory = Memory(state_folder() / "reconcile.sqlite")
        self._jobs: Jobs = Jobs(project, self._memory, common.journal(), self._connect, options=writing.options)

    def _connect(self, account: AccountSpec | None, job: JobSpec) -> AbstractContextManager[Client]:
        return common.connected(rps=self._rps, account=self._account_of(account) if account else None)

    def _account_of(self, spec: AccountSpec) -> Account:
        """The account that the file names; a token's file is looked for beside it."""
        from catalogsync.api.auth import account_of

        kind, _, name = spec.token.partition(":")
        token = f"file:{self._project.folder / Path(name).expanduser()}" if kind == "file" else spec.token
        return account_of(spec.url, token, spec.api, os.environ)

    def turn(self, name: str, *, is_check: bool = False) -> list[Outcome]:
        """A turn of a job, told."""
        outcomes = []
        for outcome in self._jobs.turn(name, is_check=is_check):
            outcomes.append(outcome)
            self._tell(name, outcome, is_check=is_check)
        return outcomes

    def _tell(self, name: str, outcome: Outcome, *, is_check: bool) -> None:
        from catalogsync.reconcile import logs, metrics
        from catalogsync.reconcile.alerts import Alerts
        from catalogsync.reconcile.state import scope_of

        logs.log_outcome(outcome)
        if not self._as_json:
            self._print(outcome)
        if is_check:
            return
        scope = scope_of(self._project.path, name)
        metrics.record(self._memory, scope, outcome)
        alerts = Alerts(self._memory, scope, self._project.job(name))
        alerts.note(outcome, outcome.ended_at)
        alerts.deliver(outcome.ended_at)
        if self._project.metrics.file:
            metrics.write_textfile(self._memory, self._project.folder / self._project.metrics.file)

    def _print(self, outcome: Outcome) -> None:
        requests = f"{outcome.reads} reads, {outcome.writes} writes" if outcome.reads or outcome.writes else ""
        facts = ", ".join(filter(None, [outcome.sheet, requests, f"run {outcome.run_id}" if outcome.run_id else ""]))
        click.echo(printable(f"{outcome.job}: {outcome.words}" + (f" ({facts})" if facts else "")))
        shown = outcome.details if self._verbose else outcome.details[:_SHOWN_DETAILS]
        for line in shown:
            click.echo(printable(f"  {line}"))
        if len(shown) < len(outcome.details):
            click.echo(f"  … and {len(outcome.details) - len(shown)} more (-v shows all)")
        for path in outcome.files:
            click.echo(printable(f"  → {path}"))

    def keep_running(self, names: list[str], every: str) -> int:
        """Run jobs at their times until asked to stop."""
        from catalogsync.reconcile import metrics, schedule

        try:
            plans = schedule.planned(self._project, names, every)
        except ValueError as error:
            raise click.UsageError(f"--every: {error}") from None
        accounts = {name: repr(self._project.account_of(self._project.job(name))) for name in names}
        if not self._quiet:
            for plan in plans:
                common.say(printable(f"{plan.job}: {plan.words}"))
        stop = self._writing.options.stop
        with metrics.served(self._memory, self._project.metrics.port):
            schedule.run(plans, accounts, self.turn, stop, at_once=True)
        return 128 + stop.signal


def _json(outcome: Outcome) -> dict[str, Any]:
    record = dataclasses.asdict(outcome)
    return {**record, "files": [str(path) for path in outcome.files]}
