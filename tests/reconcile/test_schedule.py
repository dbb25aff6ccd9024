"""When jobs run by themselves."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from catalogsync.errors import UserError
from catalogsync.reconcile import schedule
from catalogsync.reconcile.project import ProjectFile, load_project
from catalogsync.reconcile.schedule import CronTrigger, planned
from catalogsync.stopping import Stop

RIGA = ZoneInfo("Europe/Riga")


def project(folder: Path, **schedules: str) -> ProjectFile:
    jobs = "".join(
        f"  {name}: {{sheet: x.csv, mapping: m.yaml, schedule: '{when}', timezone: Europe/Riga}}\n"
        for name, when in schedules.items()
    )
    path = folder / "catalogsync.yaml"
    path.write_text(f"jobs:\n{jobs}", encoding="utf-8")
    return load_project(path)


def times(expression: str, start: datetime, count: int) -> list[str]:
    trigger = CronTrigger(expression, RIGA)
    found: list[datetime] = []
    for _ in range(count):
        last = found[-1] if found else None
        following = trigger.get_next_fire_time(last, last or start)
        assert following is not None
        found.append(following)
    return [f"{when.astimezone(RIGA):%m-%d %H:%M}" for when in found]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 3 * * *", ["11-27 03:00", "11-28 03:00", "11-29 03:00"]),
        ("0 9 * * 1", ["11-30 09:00", "12-07 09:00", "12-14 09:00"]),  # a Monday, and not a Tuesday
        ("0 9 * * 0", ["11-29 09:00", "12-06 09:00", "12-13 09:00"]),
        ("0 0 13 * 5", ["11-27 00:00", "12-04 00:00", "12-11 00:00"]),  # the 13th or a Friday, as cron has it
        ("*/15 6-7 * * *", ["11-27 06:00", "11-27 06:15", "11-27 06:30"]),
    ],
)
def test_a_cron_expression_means_what_it_means_to_cron_in_the_hours_of_the_job(
    expression: str, expected: list[str]
) -> None:
    assert times(expression, datetime(2026, 11, 26, 12, tzinfo=UTC), 3) == expected


def test_an_hour_that_clocks_skip_or_repeat_brings_one_turn() -> None:
    spring = times("30 3 * * *", datetime(2026, 3, 27, 12, tzinfo=UTC), 3)
    assert [when[:5] for when in spring] == ["03-28", "03-29", "03-30"]
    autumn = times("30 3 * * *", datetime(2026, 10, 23, 12, tzinfo=UTC), 3)
    assert autumn == ["10-24 03:30", "10-25 03:30", "10-26 03:30"]


def test_a_turn_that_was_missed_is_not_made_up() -> None:
    trigger = CronTrigger("*/15 * * * *", UTC)
    slept = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
    following = trigger.get_next_fire_time(slept, slept + timedelta(hours=5, minutes=2))
    assert following == datetime(2026, 11, 26, 8, 15, tzinfo=UTC)


def test_a_schedule_is_told_in_words_and_one_that_is_missing_too(tmp_path: Path) -> None:
    made = project(tmp_path, prices="*/15 * * * *", stock="2h", none="")
    assert [plan.words for plan in planned(made, ["prices", "stock"])] == [
        "every 15th minute of every hour (Europe/Riga)",
        "every 2h",
    ]
    with pytest.raises(UserError, match="no `schedule:` for none"):
        planned(made, ["prices", "none"])
    assert [plan.words for plan in planned(made, ["none"], "90s")] == ["every 90s"]


def test_jobs_of_one_account_wait_for_each_other_and_a_stop_lets_what_is_going_on_end(tmp_path: Path) -> None:
    made = project(tmp_path, a="1d", b="1d", c="1d")
    stop, lock = Stop(), threading.Lock()
    running: set[str] = set()
    together: set[frozenset[str]] = set()
    both = threading.Barrier(2, timeout=30)
    ended: list[str] = []

    def turn(name: str) -> None:
        with lock:
            running.add(name)
            together.add(frozenset(running))
        if name in "bc" and not ended:
            both.wait()  # the two accounts' jobs are there at once, or this never ends
            with lock:
                together.add(frozenset(running))
        if name == "c":
            stop.ask(15)
        with lock:
            running.discard(name)
            ended.append(name)

    accounts = {"a": "one", "b": "one", "c": "two"}
    errors: list[tuple[str, Exception]] = []
    plans = planned(made, accounts)
    schedule.run(plans, accounts, turn, stop, at_once=True, on_error=lambda *told: errors.append(told))
    assert errors == []
    assert not any({"a", "b"} <= set(some) for some in together)
    assert "c" in ended
    assert running == set()


def test_a_turn_that_raises_is_told_and_the_others_run(tmp_path: Path) -> None:
    made = project(tmp_path, a="1d", b="1d")
    stop, broken = Stop(), RuntimeError("the disk is full")
    told: list[tuple[str, Exception]] = []

    def turn(name: str) -> None:
        if name == "a":
            raise broken
        stop.ask(15)

    accounts = {"a": "one", "b": "one"}
    schedule.run(planned(made, accounts), accounts, turn, stop, at_once=True, on_error=lambda *each: told.append(each))
    assert told == [("a", broken)]
