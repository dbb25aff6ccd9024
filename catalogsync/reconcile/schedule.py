"""Keeps jobs running: each at its schedule, those of one account one after the other, until somebody asks to stop.

A turn that was missed (the machine slept, an earlier one took longer) is not made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger
from cronsim import CronSim

from catalogsync.budget import parse_duration
from catalogsync.errors import UserError
from catalogsync.reconcile.project import JobSpec, ProjectFile, is_interval
from catalogsync.stopping import Stop

LATE_S = 60
"""A turn that could not begin so long after its time is left out."""


class CronTrigger(BaseTrigger):  # type: ignore[misc]
    """The times of a cron expression, as cron itself understands it: Sunday is 0, and in the clocks' own hours."""

    def __init__(self, expression: str, zone: tzinfo) -> None:
        self.expression = expression
        self._zone = zone

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next time after the previous one, and not before now."""
        after = max(now, previous_fire_time or now).astimezone(self._zone)
        found: datetime | None = next(CronSim(self.expression, after), None)
        return found


@dataclass(frozen=True)
class Planned:
    """When a job runs by itself: its trigger, and that in words."""

    job: str
    trigger: BaseTrigger
    words: str


def planned(project: ProjectFile, names: Iterable[str], every: str = "") -> list[Planned]:
    """The schedule of jobs: every one of them each `every`, where that is given, else as the file says.

    Raises UserError where a job has no schedule, ValueError where `every` is no time.
    """
    names = list(names)
    if every:
        parse_duration(every)
    without = [name for name in names if not every and not project.job(name).schedule]
    if without:
        told = ", ".join(without)
        raise UserError(f"{project.path}: no `schedule:` for {told}; write one, or give --every 15m")
    return [_planned(name, project.job(name), every or project.job(name).schedule) for name in names]


def _planned(name: str, job: JobSpec, when: str) -> Planned:
    if is_interval(when):
        return Planned(name, IntervalTrigger(seconds=parse_duration(when), timezone=UTC), f"every {when.strip()}")
    trigger = CronTrigger(when, ZoneInfo(job.timezone))
    words = CronSim(when, datetime.now(UTC)).explain()
    return Planned(name, trigger, f"{words[:1].lower()}{words[1:]} ({job.timezone})")


def run(
    plans: Iterable[Planned],
    accounts: Mapping[str, str],
    turn: Callable[[str], object],
    stop: Stop,
    *,
    at_once: bool,
    on_error: Callable[[str, Exception], object],
) -> None:
    """Run jobs at their times until asked to stop; what is going on then comes to its end.

    `accounts` names for each job the account that it shares with others: their jobs wait for each other. `at_once`:
    the first turn of a job with an interval is now. `on_error` hears of a job whose `turn` raised; it goes on.
    """
    lanes = {account: ThreadPoolExecutor(1) for account in dict.fromkeys(accounts.values())}
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(1), **lanes},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": LATE_S},
        timezone=UTC,
    )
    for plan in plans:
        first = {}
        if at_once and isinstance(plan.trigger, IntervalTrigger):
            first = {"next_run_time": datetime.now(UTC) + timedelta(milliseconds=10)}
        scheduler.add_job(turn, plan.trigger, [plan.job], id=plan.job, executor=accounts[plan.job], **first)
    scheduler.add_listener(lambda event: on_error(event.job_id, event.exception), EVENT_JOB_ERROR)
    scheduler.start()
    stop.is_awaited = True
    try:
        while not stop:
            stop.sleep(3600)
    finally:
        scheduler.shutdown(wait=True)
