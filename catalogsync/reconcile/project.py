"""``catalogsync.yaml``: accounts, jobs, alerts and metrics as a person wrote them, read and checked by itself.

Every problem is told with the file, the line and the key, all problems at once. Paths are relative to the file's
folder. No secret stands in the file: tokens and addresses of alerts are references (``env:``, ``file:``, ``keyring:``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, field_validator, model_validator

from catalogsync.budget import parse_duration
from catalogsync.errors import MappingError, Problem, UserError
from catalogsync.model import Ceiling
from catalogsync.secretrefs import is_reference
from catalogsync.yamlfile import YamlFile, YamlPath, read_yaml

FILE_NAME = "catalogsync.yaml"

Mode = Literal["apply", "plan-only", "approve"]
Event = Literal["failure", "guard", "conflict", "rejected", "drift", "approval"]
EVENTS: tuple[Event, ...] = ("failure", "guard", "conflict", "rejected", "drift", "approval")

SHORTEST_S = 10.0
"""The shortest interval of a schedule."""

_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_interval(when: str) -> bool:
    """Whether a schedule is an interval, as in 15m, and no cron expression."""
    try:
        parse_duration(when)
    except ValueError:
        return False
    return True


def _words(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _yes_or_no(value: object) -> object:
    known = {"yes": True, "true": True, "no": False, "false": False}
    if isinstance(value, str):
        if value.lower() not in known:
            raise ValueError(f'"{value}" is not yes or no')
        return known[value.lower()]
    return value


Flag = Annotated[bool, BeforeValidator(_yes_or_no)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AccountSpec(_Strict):
    """An account as written."""

    url: str
    """The account's address, as in https://example.kommo.com; emulator for the embedded one."""
    token: str = ""
    """Where its token is: env:NAME, file:PATH or keyring:NAME. Without it the login that `catalogsync login` stored."""
    api: Literal["v2", "v4"] = "v2"
    """The version of the remote API."""

    @field_validator("token")
    @classmethod
    def _is_a_reference(cls, value: str) -> str:
        if value and not is_reference(value):
            raise ValueError("a token does not belong into a file that is shared: env:NAME, file:PATH or keyring:NAME")
        return value


class AlertSpec(_Strict):
    """Who hears of what, as written."""

    to: Words = ()
    """Where alerts go: references to addresses as apprise writes them (mailto://, slack://, tgram://, json://), as in
    env:ALERTS; an address without a secret may stand here itself.
    """
    events: Annotated[tuple[Event, ...], BeforeValidator(_words)] = EVENTS
    """What is told: failure, guard, conflict, rejected, drift, approval. Everything, unless this says less."""
    digest: str = ""
    """A time of day, as in 08:00: what happened is gathered and told once a day. Without it, at once."""

    @field_validator("digest")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        if value:
            try:
                if not re.fullmatch("[0-9]{2}:[0-9]{2}", value):
                    raise ValueError
                time.fromisoformat(value)
            except ValueError:
                raise ValueError(f'"{value}" is not a time of day as in 08:00') from None
        return value


class MetricsSpec(_Strict):
    """Where metrics are found, as written."""

    file: str = ""
    """A file that is written after each run, for the textfile collector of the node exporter, as in `x.prom`."""
    port: int | None = None
    """A port of this machine where they are read while `reconcile --every` runs, or a schedule does."""

    @field_validator("port", mode="before")
    @classmethod
    def _is_a_port(cls, value: object) -> object:
        if isinstance(value, str) and not (value.isdecimal() and 0 < int(value) < 65536):
            raise ValueError(f'"{value}" is not a port from 1 to 65535')
        return value


class JobDefaults(_Strict):
    """What a job may say, and what is said once for all of them under ``defaults:``."""

    account: str = ""
    """One of `accounts:`; without it the one under `account:`, else the environment's."""
    mode: Mode = "apply"
    """apply writes; plan-only reports drift and writes nothing; approve writes what a person approved in a workbook."""
    schedule: str = ""
    """When it runs by itself: a cron expression as in `*/15 6-20 * * 1-5`, or an interval as in 15m."""
    timezone: str = "UTC"
    """The zone of a cron expression's hours, as in Europe/Riga."""
    guards: dict[str, str] = {}
    """Ceilings that replace those of the mapping: delete, update, add, options."""
    strict: Flag = False
    """Refuse the whole sheet when any row has a problem."""
    unchanged: Literal["check", "skip"] = "check"
    """A sheet that has not changed since the last good run: check reads the catalog for edits made there, skip does
    nothing.
    """
    reviews: str = "reviews"
    """The folder where workbooks to approve are written, and looked for when they come back."""
    max_requests: int = 0
    """The most requests of one run; it stops at the edge of a batch, the next run goes on. 0: as many as it takes."""
    deadline: str = ""
    """The longest that one run may take, as in 10m; it stops at the edge of a batch, the next run goes on."""
    alerts: AlertSpec = AlertSpec()
    """Who hears of what."""

    @field_validator("max_requests", mode="before")
    @classmethod
    def _is_a_count(cls, value: object) -> object:
        if isinstance(value, str) and not value.isdecimal():
            raise ValueError(f'"{value}" is not a count')
        return value

    @field_validator("deadline")
    @classmethod
    def _is_a_span(cls, value: str) -> str:
        if value:
            parse_duration(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f'"{value}" is no time zone as in Europe/Riga') from None
        return value

    @field_validator("schedule")
    @classmethod
    def _is_a_schedule(cls, value: str) -> str:
        if value and not is_interval(value):
            try:
                CronSim(value, datetime.now(UTC))
            except CronSimError as error:
                raise ValueError(f'"{value}" is neither an interval (15m) nor a cron expression: {error}') from None
        elif value and parse_duration(value) < SHORTEST_S:
            raise ValueError(f'"{value}" is shorter than 10s')
        return value

    @field_validator("guards")
    @classmethod
    def _are_ceilings(cls, value: dict[str, str]) -> dict[str, str]:
        for kind, text in value.items():
            if kind not in {"delete", "update", "add", "options"}:
                raise ValueError(f"`{kind}` is none of delete, update, add, options")
            try:
                Ceiling.parse(text)
            except ValueError:
                raise ValueError(f'{kind}: "{text}" is not a count or a percentage') from None
        return value


class JobSpec(JobDefaults):
    """A job as written."""

    sheet: str
    """A file, a pattern (the newest match counts), a folder that is watched (ends with /), an http(s) address, or
    another address that fsspec knows.
    """
    mapping: str
    """The mapping file."""


class ProjectFile(_Strict):
    """``catalogsync.yaml`` as written."""

    account: AccountSpec | None = None
    """The account of every job that names none."""
    accounts: dict[str, AccountSpec] = {}
    """Further accounts by name."""
    defaults: JobDefaults = JobDefaults()
    """What every job says that does not say otherwise."""
    jobs: dict[str, JobSpec]
    """The jobs by name."""
    metrics: MetricsSpec = MetricsSpec()
    """Where metrics are found."""

    _source: YamlFile = YamlFile(Path())

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, tree: Any) -> Any:
        """Jobs with what ``defaults:`` says and they do not; of `alerts` and `guards` key by key."""
        if not isinstance(tree, dict) or not isinstance(tree.get("jobs"), dict):
            return tree
        given = tree.get("defaults")
        defaults: Mapping[str, Any] = given if isinstance(given, dict) else {}
        return {**tree, "jobs": {name: _merged(defaults, job) for name, job in tree["jobs"].items()}}

    @field_validator("jobs")
    @classmethod
    def _have_names(cls, value: dict[str, JobSpec]) -> dict[str, JobSpec]:
        if not value:
            raise ValueError("there is no job")
        for name in value:
            if not _JOB_NAME.fullmatch(name):
                raise ValueError(f"“{name}” cannot be a job's name: letters, digits, dots, dashes, 64 at most")
        return value

    @property
    def path(self) -> Path:
        """The file this was read from."""
        return self._source.path

    @property
    def folder(self) -> Path:
        """What paths in the file are relative to."""
        return self.path.resolve().parent

    def job(self, name: str) -> JobSpec:
        """A job. Raises UserError where there is none of this name."""
        if name not in self.jobs:
            raise UserError(f"{self.path}: there is no job “{name}”. Jobs: {', '.join(self.jobs)}")
        return self.jobs[name]

    def account_of(self, job: JobSpec) -> AccountSpec | None:
        """The account of a job; None where the environment says it."""
        return self.accounts[job.account] if job.account else self.account


def _merged(defaults: Mapping[str, Any], job: Any) -> Any:
    if not isinstance(job, dict):
        return job
    made = {**defaults, **job}
    for name in ("alerts", "guards"):
        if isinstance(defaults.get(name), dict) and isinstance(job.get(name), dict):
            made[name] = {**defaults[name], **job[name]}
    return made


def load_project(path: Path) -> ProjectFile:
    """Read and check a project file. Raises MappingError with every problem."""
    if not path.exists():
        raise UserError(
            f"{path}: no such file; `catalogsync reconcile` runs the jobs of a project file (docs/reconcile.md)"
        )
    source = read_yaml(path)
    problems = list(source.mistakes)
    file = None
    try:
        file = ProjectFile.model_validate(source.tree)
    except ValidationError as error:
        problems += _once(source.problems(error, _keys_at), source.place(("jobs",)).rpartition(" ")[2])
    if file is not None:
        file._source = source
        problems += [
            Problem(source.place(("jobs", name, "account")), f"there is no account “{job.account}” under `accounts:`")
            for name, job in file.jobs.items()
            if job.account and job.account not in file.accounts
        ]
        problems += [
            Problem(source.place(("jobs", name, "mode")), "a watched folder cannot wait for approval", "name a file")
            for name, job in file.jobs.items()
            if job.mode == "approve" and job.sheet.endswith(("/", "\\"))
        ]
    if file is None or problems:
        raise MappingError(f"{path}: the project file is not valid", problems)
    return file


def _once(problems: list[Problem], jobs: str) -> list[Problem]:
    """The problems, each once: what is wrong under ``defaults:`` is so in every job."""
    told = {problem.what for problem in problems if f" {jobs}." not in problem.where}
    return [
        problem for problem in dict.fromkeys(problems) if problem.what not in told or f" {jobs}." not in problem.where
    ]


_SPECS: Mapping[str, type[_Strict]] = {
    "account": AccountSpec,
    "accounts": AccountSpec,
    "defaults": JobDefaults,
    "jobs": JobSpec,
    "alerts": AlertSpec,
    "metrics": MetricsSpec,
}


def _keys_at(at: YamlPath) -> list[str]:
    """The keys that are known at a path: those of the nearest part of it that has some of its own."""
    named = [str(part) for part in at if part in _SPECS]
    return list((_SPECS[named[-1]] if named else ProjectFile).model_fields)
