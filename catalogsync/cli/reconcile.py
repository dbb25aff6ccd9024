"""``catalogsync reconcile``: the jobs of a project file, once or on a schedule."""

from __future__ import annotations

import dataclasses
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalogsync import exitcodes
from catalogsync.cli import common, printable

if TYPE_CHECKING:
    from catalogsync.api.auth import Account
    from catalogsync.api.client import Client
    from catalogsync.reconcile.logs import LogFormat
    from catalogsync.reconcile.outcome import Outcome
    from catalogsync.reconcile.project import AccountSpec, JobSpec, ProjectFile

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
    log_format: LogFormat,
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
        how = _How(rps, log_format, as_json=as_json, verbose=verbose, quiet=quiet)
        desk = _Desk(project, names, writing, how)
        if not every and not keep:
            outcomes = [outcome for name in names for outcome in desk.turn(name, is_check=check)]
            if as_json:
                common.print_json([_json(outcome) for outcome in outcomes])
            return exitcodes.worst(outcome.exit_code for outcome in outcomes)
        return desk.keep_running(every)


@dataclasses.dataclass(frozen=True)
class _How:
    """How the commands's flags say that turns are run and told."""

    rps: float
    log_format: LogFormat
    _: dataclasses.KW_ONLY
    as_json: bool
    verbose: bool
    quiet: bool


class _Desk:
    """Runs turns and tells of them: on the terminal, in the log, by alerts and metrics."""

    def __init__(self, project: ProjectFile, names: list[str], writing: common.Writing, how: _How) -> None:
        from catalogsync.reconcile.running import Jobs
        from catalogsync.reconcile.state import Memory, scope_of
        from catalogsync.state import state_folder

        self._project, self._writing, self._how = project, writing, how
        self._memory = Memory(state_folder() / "reconcile.sqlite")
        self._scopes = {name: scope_of(project.path, name) for name in names}
        self._jobs = Jobs(project, self._memory, common.journal(), self._connect, options=writing.options)

    def _connect(self, spec: AccountSpec | None, job: JobSpec) -> AbstractContextManager[Client]:
        from catalogsync.budget import Budget, parse_duration

        deadline_s = parse_duration(job.deadline) if job.deadline else None
        budget = Budget(max_requests=job.max_requests or None, deadline_s=deadline_s)
        account = self._account_of(spec) if spec else None
        return common.connected(rps=self._how.rps, account=account, budget=budget, on_wait=self._waits)

    def _account_of(self, spec: AccountSpec) -> Account:
        """The account that the file names; a token's file is looked for beside it."""
        from catalogsync.api.auth import account_of
        from catalogsync.reconcile.secrets import keep_secret

        kind, _, name = spec.token.partition(":")
        token = f"file:{self._project.folder / Path(name).expanduser()}" if kind == "file" else spec.token
        account = account_of(spec.url, token, spec.api, os.environ)
        keep_secret(account.token)
        return account

    def _waits(self, reason: str) -> None:
        import logging

        from catalogsync.reconcile import logs

        if self._how.log_format == "json":
            logs.log_event(logging.INFO, "request is sent again", reason=reason)
        else:
            common.say(printable(f"waiting, then trying again: {reason}"))

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

        logs.log_outcome(outcome)
        self._log_operations(outcome)
        job, scope = self._project.job(name), self._scopes[name]
        if not is_check:  # before it is told: who hears of a turn finds it counted
            metrics.record(self._memory, scope, outcome)
        if not self._how.as_json:
            self._print(outcome)
        if is_check:
            return
        alerts = Alerts(self._memory, scope, job.alerts, timezone=job.timezone, folder=self._project.folder)
        alerts.note(outcome, outcome.ended_at)
        delivery = alerts.deliver(outcome.ended_at)
        if self._how.log_format == "text":
            for problem in delivery.problems:
                common.say(printable(f"{name}: {problem}"))
        self._write_metrics()

    def _write_metrics(self) -> None:
        """Write the file of metrics. Where that is not possible it is told: no turn goes wrong by it."""
        from catalogsync.errors import UserError
        from catalogsync.reconcile import metrics

        name = self._project.metrics.file
        if not name:
            return
        try:
            metrics.write_textfile(self._project.folder / name, self._memory, list(self._scopes.values()))
        except UserError as error:
            self._complain("metrics", str(error))

    def _broke(self, name: str, error: Exception) -> None:
        """A turn could not even be told of, as with a full disk: the next one is tried all the same."""
        self._complain(name, f"the turn could not be told of ({type(error).__name__}: {error})")

    def _complain(self, about: str, words: str) -> None:
        import logging

        from catalogsync.reconcile import logs

        if self._how.log_format == "json":
            logs.log_event(logging.ERROR, "trouble", about=about, reason=words)
        else:
            common.say(printable(f"{about}: {words}"))

    def _log_operations(self, outcome: Outcome) -> None:
        """Every change of a run, for the log alone: the terminal has `history`."""
        if outcome.run_id is None or self._how.log_format != "json":
            return
        from catalogsync.plan import kind_of
        from catalogsync.reconcile import logs

        for each in common.journal().operations(outcome.run_id):
            change = each.change
            logs.log_operation(outcome.run_id, change.op, kind_of(change), change.key, each.outcome, words=each.message)

    def _print(self, outcome: Outcome) -> None:
        """A turn in a line, and what is to be read besides; with --quiet only what a person should read."""
        if self._how.quiet and not outcome.exit_code and not outcome.events:
            return
        floor = f" of {outcome.read_floor} foreseen" if outcome.read_floor else ""
        reads, writes = _counted(outcome.reads, "read"), _counted(outcome.writes, "write")
        requests = f"{reads}{floor}, {writes}" if outcome.reads or outcome.writes else ""
        facts = ", ".join(filter(None, [outcome.sheet, requests, f"run {outcome.run_id}" if outcome.run_id else ""]))
        click.echo(printable(f"{outcome.job}: {outcome.words}" + (f" ({facts})" if facts else "")))
        shown = outcome.details if self._how.verbose else outcome.details[:_SHOWN_DETAILS]
        for line in shown:
            click.echo(printable(f"  {line}"))
        if len(shown) < len(outcome.details):
            click.echo(f"  … and {len(outcome.details) - len(shown)} more (-v shows all)")
        for path in outcome.files:
            click.echo(printable(f"  → {path}"))

    def keep_running(self, every: str) -> int:
        """Run jobs at their times until asked to stop."""
        from catalogsync.reconcile import metrics, schedule

        names = list(self._scopes)
        try:
            plans = schedule.planned(self._project, names, every)
        except ValueError as error:
            raise click.UsageError(f"--every: {error}") from None
        accounts = {name: repr(self._project.account_of(self._project.job(name))) for name in names}
        if not self._how.quiet and self._how.log_format == "text":
            for plan in plans:
                common.say(printable(f"{plan.job}: {plan.words}"))
        stop, port = self._writing.options.stop, self._project.metrics.port
        served = metrics.serve(port, self._memory, list(self._scopes.values())) if port else nullcontext()
        with served:
            schedule.run(plans, accounts, self.turn, stop, at_once=True, on_error=self._broke)
        return 128 + stop.signal


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _json(outcome: Outcome) -> dict[str, Any]:
    record = dataclasses.asdict(outcome)
    return {**record, "files": [str(path) for path in outcome.files]}
