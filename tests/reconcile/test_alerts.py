"""When what is told, and that nothing is told twice or lost. The clock is a number, sending is watched."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from catalogsync.reconcile import alertstore
from catalogsync.reconcile.addresses import Address
from catalogsync.reconcile.alerts import KEPT_S, Delivery, digest_moment
from catalogsync.reconcile.alertstore import CLAIM_S, Counts, counts_of
from catalogsync.reconcile.project import EVENTS
from tests.reconcile.turns import DAY_S, NIGHT, SCOPE, Desk, turn

HOUR_S = 3600.0
QUARTER_S = 900.0


def test_an_event_is_told_when_it_begins_and_when_it_is_over_and_not_every_night(desk: Desk) -> None:
    nights = [turn("guard"), turn("guard", words="another guard"), turn("guard"), turn(), turn(), turn("guard")]
    told = [desk.turn(outcome, NIGHT + number * DAY_S) for number, outcome in enumerate(nights)]
    assert told == [
        ["refused by a guard"],
        [],
        [],
        ["recovered: no longer refused by a guard"],
        [],
        ["refused by a guard"],
    ]


def test_every_event_has_words_of_its_own(desk: Desk) -> None:
    assert [desk.turn(turn(event), NIGHT)[0].partition(";")[0] for event in EVENTS] == [
        "failed",
        "refused by a guard",
        "conflicts",
        "rows rejected",
        "catalog and sheet differ",
        "waits for approval",
    ]


def test_what_one_turn_begins_and_ends_is_one_message(desk: Desk) -> None:
    desk.turn(turn("failure"), NIGHT)
    assert desk.turn(turn("rejected", "conflict"), NIGHT + DAY_S) == [
        "conflicts, rows rejected; recovered: works again"
    ]


def test_a_turn_that_looked_at_nothing_says_nothing(desk: Desk) -> None:
    desk.turn(turn("guard"), NIGHT)
    assert desk.turn(turn(is_skipped=True), NIGHT + 1) == []
    assert desk.turn(turn("failure", is_skipped=True), NIGHT + 2) == []
    assert desk.turn(turn("guard"), NIGHT + 3) == []
    assert desk.turn(turn(), NIGHT + 4) == ["recovered: no longer refused by a guard"]


def test_only_what_is_asked_for_is_told(desk: Desk) -> None:
    assert desk.turn(turn("guard", "rejected"), NIGHT, events=("guard",)) == ["refused by a guard"]
    assert desk.turn(turn(), NIGHT + 1, events=("guard",)) == ["recovered: no longer refused by a guard"]


def test_what_was_told_before_less_was_asked_for_is_told_as_over(desk: Desk) -> None:
    desk.turn(turn("guard"), NIGHT)
    assert desk.turn(turn(), NIGHT + DAY_S, events=("failure",)) == ["recovered: no longer refused by a guard"]


def test_what_is_open_when_more_is_asked_for_is_told_then(desk: Desk) -> None:
    desk.turn(turn("rejected"), NIGHT, events=("failure",))
    assert desk.turn(turn("rejected"), NIGHT + DAY_S) == ["rows rejected"]


def test_without_an_address_nothing_is_stored_and_the_first_address_hears_what_is_open(desk: Desk) -> None:
    assert desk.turn(turn("guard"), NIGHT, to=()) == []
    assert desk.turn(turn("guard"), NIGHT + DAY_S) == ["refused by a guard"]
    assert desk.turn(turn(), NIGHT + 2 * DAY_S, to=()) == []
    assert desk.turn(turn(), NIGHT + 3 * DAY_S) == []


def test_a_turn_that_is_noted_twice_is_told_once(desk: Desk) -> None:
    desk.alerts().note(turn("guard"), NIGHT)
    desk.alerts().note(turn("guard"), NIGHT)
    assert desk.alerts().deliver(NIGHT) == Delivery(sent=1)


def test_what_was_noted_before_a_crash_is_sent_by_the_next_turn(desk: Desk) -> None:
    desk.alerts().note(turn("guard"), NIGHT)
    assert desk.turn(turn(is_skipped=True), NIGHT + DAY_S) == ["refused by a guard"]


def test_every_address_has_every_message_once_and_a_failing_one_alone_is_tried_again(desk: Desk) -> None:
    both = ("env:ALERTS", "env:BOSS")
    desk.post.down = {"env:BOSS"}
    alerts = desk.alerts(to=both)
    alerts.note(turn("guard"), NIGHT)
    assert alerts.deliver(NIGHT) == Delivery(sent=1, problems=("env:BOSS: nobody is there",))
    assert counts_of(desk.memory, SCOPE) == Counts(sent=1, undelivered=1, given_up=0)
    desk.turn(turn(), NIGHT + 1, to=both)
    desk.post.down = set()
    assert desk.alerts(to=both).deliver(NIGHT + 2) == Delivery(sent=2)
    assert [(name, subject.partition("— ")[2]) for name, subject, _ in desk.post.taken] == [
        ("env:ALERTS", "refused by a guard"),
        ("env:ALERTS", "recovered: no longer refused by a guard"),
        ("env:BOSS", "refused by a guard"),
        ("env:BOSS", "recovered: no longer refused by a guard"),
    ]
    assert counts_of(desk.memory, SCOPE) == Counts(sent=4, undelivered=0, given_up=0)


def test_what_waits_for_an_address_that_is_no_more_goes_to_the_one_in_its_place(desk: Desk) -> None:
    desk.post.down = {"env:ALERTS"}
    desk.turn(turn("guard"), NIGHT, to=("env:ALERTS", "env:BOSS"))
    desk.post.down = set()
    desk.turn(turn("guard"), NIGHT + 1, to=("env:BOSS",))
    assert [name for name, _, _ in desk.post.taken] == ["env:BOSS"]

    desk.post.down = {"env:BOSS"}
    desk.turn(turn(), NIGHT + 2, to=("env:BOSS",))
    desk.turn(turn(), NIGHT + 3, to=("env:ALERTS",))
    assert [name for name, _, _ in desk.post.taken] == ["env:BOSS", "env:ALERTS"]


def test_what_nobody_takes_is_given_up_after_three_days_and_three_attempts(desk: Desk) -> None:
    desk.post.down = {"env:ALERTS"}
    alerts = desk.alerts()
    alerts.note(turn("guard"), NIGHT)
    assert [alerts.deliver(NIGHT + at).given_up for at in (0, KEPT_S - 1, KEPT_S)] == [
        (),
        (),
        ("catalogsync: prices — refused by a guard",),
    ]
    desk.post.down = set()
    assert alerts.deliver(NIGHT + KEPT_S + 1) == Delivery()
    assert counts_of(desk.memory, SCOPE) == Counts(sent=0, undelivered=0, given_up=1)


def test_a_weekly_job_tries_three_times_too(desk: Desk) -> None:
    desk.post.down = {"env:ALERTS"}
    desk.alerts().note(turn("guard"), NIGHT)
    given_up = [desk.alerts().deliver(NIGHT + week * 7 * DAY_S).given_up for week in (0, 1, 2)]
    assert [len(one) for one in given_up] == [0, 0, 1]


def test_of_too_many_that_wait_the_oldest_are_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alertstore, "MOST_WAITING", 5)
    desk.post.down = {"env:ALERTS"}
    alerts = desk.alerts()
    for number in range(5 + 3):
        alerts.note(turn("guard") if number % 2 == 0 else turn(), NIGHT + number)
    assert counts_of(desk.memory, SCOPE).given_up == 3
    desk.post.down = set()
    assert alerts.deliver(NIGHT + HOUR_S) == Delivery(sent=5)
    assert desk.post.subjects[0] == "recovered: no longer refused by a guard"


def test_an_address_that_is_not_set_is_told_and_the_alert_kept(desk: Desk) -> None:
    del desk.environment["ALERTS"]
    alerts = desk.alerts()
    alerts.note(turn("guard"), NIGHT)
    words = "the address of alerts is to come from the environment's ALERTS, which is not set"
    assert alerts.deliver(NIGHT) == Delivery(problems=(f"env:ALERTS: {words}",))
    desk.environment["ALERTS"] = "json://one"
    assert alerts.deliver(NIGHT + 1) == Delivery(sent=1)


def test_an_error_that_nobody_expected_is_a_failed_delivery_and_its_words_are_not_told(desk: Desk) -> None:
    def send(address: Address, subject: str, body: str) -> None:
        raise RuntimeError(f"at {address.text}")

    alerts = desk.alerts(send)
    alerts.note(turn("guard"), NIGHT)
    told = "env:ALERTS: the message could not be sent (RuntimeError)"
    assert alerts.deliver(NIGHT) == Delivery(problems=(told,))


# --- a process that dies, and two at once -------------------------------------------------------------------


def test_a_process_that_was_killed_while_sending_blocks_an_address_for_five_minutes_only(desk: Desk) -> None:
    desk.alerts().note(turn("guard"), NIGHT)
    with desk.memory.transaction() as connection:  # what a killed process leaves
        assert alertstore.claim(connection, SCOPE, "env:ALERTS", "dead", NIGHT)
    assert desk.alerts().deliver(NIGHT + CLAIM_S - 1) == Delivery()
    assert desk.alerts().deliver(NIGHT + CLAIM_S + 1) == Delivery(sent=1)


def test_a_claim_of_a_clock_that_was_wrong_blocks_nothing(desk: Desk) -> None:
    desk.alerts().note(turn("guard"), NIGHT)
    with desk.memory.transaction() as connection:
        assert alertstore.claim(connection, SCOPE, "env:ALERTS", "dead", NIGHT + 365 * DAY_S)
    assert desk.alerts().deliver(NIGHT) == Delivery(sent=1)


def test_a_person_who_stops_the_program_while_it_sends_blocks_nothing(desk: Desk) -> None:
    def stopped(address: Address, subject: str, body: str) -> None:
        raise KeyboardInterrupt

    desk.alerts().note(turn("guard"), NIGHT)
    with pytest.raises(KeyboardInterrupt):
        desk.alerts(stopped).deliver(NIGHT)
    assert desk.alerts().deliver(NIGHT) == Delivery(sent=1)


def test_while_one_process_sends_another_sends_nothing_to_this_address(desk: Desk) -> None:
    inner: list[Delivery] = []

    def send(address: Address, subject: str, body: str) -> None:
        inner.append(desk.alerts().deliver(NIGHT))
        desk.post(address, subject, body)

    desk.alerts().note(turn("guard"), NIGHT)
    assert desk.alerts(send).deliver(NIGHT) == Delivery(sent=1)
    assert inner == [Delivery()]
    assert desk.post.subjects == ["refused by a guard"]


def test_what_another_process_notes_while_one_sends_is_sent_by_that_one(desk: Desk) -> None:
    def send(address: Address, subject: str, body: str) -> None:
        desk.alerts().note(turn(), NIGHT)
        desk.post(address, subject, body)

    desk.alerts().note(turn("guard"), NIGHT)
    assert desk.alerts(send).deliver(NIGHT) == Delivery(sent=2)
    assert desk.post.subjects == ["refused by a guard", "recovered: no longer refused by a guard"]


def test_jobs_and_projects_know_nothing_of_each_other(desk: Desk) -> None:
    desk.turn(turn("guard"), NIGHT)
    assert counts_of(desk.memory, "other/prices") == Counts(0, 0, 0)


# --- digests ------------------------------------------------------------------------------------------------


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_a_digest_tells_once_a_day_in_order_and_nothing_where_nothing_happened(desk: Desk) -> None:
    turns = {
        "2026-11-26 07:45": turn(),
        "2026-11-26 08:00": turn(),
        "2026-11-26 10:00": turn("guard", words="too many deletes"),
        "2026-11-26 12:00": turn(words="all is well"),
        "2026-11-26 14:00": turn("rejected", words="3 rows rejected"),
        "2026-11-27 07:59": turn("rejected"),
        "2026-11-27 08:00": turn("rejected"),
        "2026-11-27 08:15": turn("rejected"),
        "2026-11-28 08:00": turn("rejected"),
        "2026-11-28 09:00": turn(),
    }
    told = {when: desk.turn(outcome, at(when), digest="08:00") for when, outcome in turns.items()}
    assert {when: subjects for when, subjects in told.items() if subjects} == {"2026-11-27 08:00": ["3 alerts"]}
    body = desk.post.taken[0][2]
    marks = (
        "refused by",
        "too many",
        "recovered: no longer",
        "all is well",
        "rows rejected",
        "Open now: rows rejected",
    )
    positions = [body.index(mark) for mark in marks]
    assert positions == sorted(positions)


def test_a_nightly_job_after_the_digests_hour_is_told_the_same_night(desk: Desk) -> None:
    desk.turn(turn(), at("2026-11-25 08:05"), digest="08:00")
    assert desk.turn(turn("guard"), at("2026-11-26 08:05"), digest="08:00") == ["1 alert"]


def test_a_digest_that_nobody_took_goes_with_what_came_since(desk: Desk) -> None:
    desk.turn(turn("guard"), at("2026-11-26 10:00"), digest="08:00")
    desk.post.down = {"env:ALERTS"}
    assert desk.turn(turn("guard"), at("2026-11-27 08:00"), digest="08:00") == []
    desk.post.down = set()
    assert desk.turn(turn(), at("2026-11-27 08:15"), digest="08:00") == ["2 alerts"]
    assert desk.turn(turn("guard"), at("2026-11-27 08:30"), digest="08:00") == []


def test_going_over_to_a_digest_and_back_loses_nothing(desk: Desk) -> None:
    desk.post.down = {"env:ALERTS"}
    desk.turn(turn("guard"), at("2026-11-26 10:00"))
    desk.post.down = set()
    assert desk.turn(turn(), at("2026-11-26 11:00"), digest="08:00") == []
    assert desk.turn(turn("failure"), at("2026-11-26 12:00")) == [
        "refused by a guard",
        "recovered: no longer refused by a guard",
        "failed",
    ]
    assert desk.turn(turn(), at("2026-11-27 11:00"), digest="08:00") == []
    assert desk.turn(turn(), at("2026-11-28 09:00"), digest="08:00") == ["1 alert"]


def test_a_digests_hour_is_that_of_the_jobs_zone(desk: Desk) -> None:
    spec = {"digest": "08:00", "timezone": "Europe/Riga"}
    desk.turn(turn("guard"), at("2026-11-26 10:00"), **spec)
    assert desk.turn(turn("guard"), at("2026-11-27 05:59"), **spec) == []
    assert desk.turn(turn("guard"), at("2026-11-27 06:00"), **spec) == ["1 alert"]


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-11-26 08:00", "2026-11-26 08:00"),
        ("2026-11-26 07:59", "2026-11-25 08:00"),
        ("2026-11-26 23:59", "2026-11-26 08:00"),
        ("2026-03-29 09:00", "2026-03-29 08:00"),  # the day has 23 hours
        ("2026-10-25 07:00", "2026-10-24 08:00"),  # and 25
    ],
)
def test_the_moment_of_a_digest(now: str, moment: str) -> None:
    assert digest_moment(at(now, "Europe/Riga"), "08:00", "Europe/Riga") == at(moment, "Europe/Riga")


def test_the_moment_of_a_digest_at_an_hour_that_is_left_out_is_that_hour_later() -> None:
    assert digest_moment(at("2026-03-29 12:00"), "03:30", "Europe/Riga") == at("2026-03-29 01:30")


# --- words --------------------------------------------------------------------------------------------------


def test_a_message_says_what_when_where_and_what_to_do(desk: Desk) -> None:
    outcome = turn(
        "guard",
        words="refused: 120 of 300 elements would be deleted (ceiling 10%)",
        details=("00415: deleted", "00416: deleted"),
        sheet="prices.xlsx",
        run_id=12,
        files=(Path("reviews/prices.xlsx"),),
    )
    desk.turn(outcome, NIGHT, timezone="Europe/Riga")
    assert desk.post.taken == [
        (
            "env:ALERTS",
            "catalogsync: prices — refused by a guard",
            f"""Job:   prices
When:  2026-11-26 04:00:03 Europe/Riga
Sheet: prices.xlsx
Run:   12

refused: 120 of 300 elements would be deleted (ceiling 10%)
  00415: deleted
  00416: deleted

Files:
  {Path("reviews/prices.xlsx")}

Next:
  Nothing was written. Look at the sheet first; if the changes are meant, raise the job's `guards:`.""",
        )
    ]


def test_a_message_is_bounded_and_has_no_control_characters(desk: Desk) -> None:
    details = ("one\ntwo", "\x1b[31mred\x07", "x" * 1000, *(f"row {number}" for number in range(100)))
    desk.turn(turn("rejected", details=details), NIGHT)
    lines = desk.post.taken[0][2].splitlines()
    assert lines[4:7] == ["  one", "  two", "   [31mred"]
    assert max(len(line) for line in lines) == 402
    assert [line for line in lines if "more" in line] == ["  … and 64 more"]
    assert len(lines) == 48


def test_a_digest_is_bounded(desk: Desk) -> None:
    details = tuple("x" * 400 for _ in range(40))
    for number in range(20):
        desk.alerts().note(turn("guard", details=details) if number % 2 == 0 else turn(details=details), NIGHT)
    desk.alerts(digest="08:00").deliver(NIGHT + DAY_S)
    (_, subject, body) = desk.post.taken[0]
    assert subject == "catalogsync: prices — 20 alerts"
    assert len(body) < 110_000
    assert body.count("== ") == 20
