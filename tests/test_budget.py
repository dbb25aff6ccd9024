"""Budgets by themselves and around a client: what counts, what is set aside, deadlines by a clock of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from catalogsync import runs, writer
from catalogsync.api.auth import Account
from catalogsync.api.client import DIALECTS, Client
from catalogsync.api.limited import RateLimited
from catalogsync.api.metered import Metered
from catalogsync.api.transport import HttpTransport, Retrying
from catalogsync.api.v2 import V2
from catalogsync.budget import Budget, Purse, parse_duration, seconds_words, spending
from catalogsync.emulator.faults import Fault
from catalogsync.errors import BudgetSpent
from catalogsync.pace import PACE_SHARE, Pace
from tests.api.helpers import SCHEMA, TOKEN, Clock, Told, scripted
from tests.writing import APIS, ELEMENTS, Ticking, World, add, delete, outcomes, plan_of, world


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=7, cap=True):
        yield


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), (" 1M ", 60), ("0.5m", 30)]
)
def test_a_duration_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "0s", "-1m", "1m1h", "1.2.3s", "ten m", "inf s", "١m"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@pytest.mark.parametrize(("seconds", "words"), [(7200, "2h"), (90, "90s"), (600, "10m"), (0.5, "0.5s")])
def test_seconds_are_told_as_they_are_given(seconds: float, words: str) -> None:
    assert seconds_words(seconds) == words


# --- requests ------------------------------------------------------------------------------------------------


def test_every_attempt_counts_reads_and_writes_apart_and_no_more_go_out_than_the_budget_has() -> None:
    budget = Budget(3)
    budget.take(is_write=False)
    budget.take(is_write=True)
    budget.answered(0.1, was_throttled=True)
    budget.take(is_write=False)
    with pytest.raises(BudgetSpent, match=r"^the budget of 3 requests is used up: 3 were sent$"):
        budget.take(is_write=False)
    assert (budget.requests_sent, budget.reads_sent, budget.writes_sent, budget.throttled) == (3, 2, 1, 1)


def test_what_is_set_aside_is_only_for_its_purse_and_comes_back_when_it_is_not_needed() -> None:
    budget = Budget(3)
    purses = budget.reserve(1, 1)
    assert purses is not None
    assert budget.reserve(2) is None
    budget.take(is_write=False)
    with pytest.raises(BudgetSpent):
        budget.take(is_write=False)
    with spending(purses[0]):
        budget.take(is_write=False)
        with pytest.raises(BudgetSpent):
            budget.take(is_write=False)
    budget.give_back(purses)
    budget.take(is_write=False)
    assert budget.requests_sent == 3


def test_what_settles_a_doubt_may_exceed_requests_and_time() -> None:
    clock = Clock()
    budget = Budget(1, 10, clock=clock)
    budget.take(is_write=True)
    clock.now_s += 11
    with spending(Purse(may_exceed=True)):
        budget.take(is_write=False)
    assert budget.requests_sent == 2


# --- time ----------------------------------------------------------------------------------------------------


def test_a_batch_is_begun_only_if_its_expected_time_still_fits() -> None:
    clock = Clock()
    budget = Budget(deadline_s=10, clock=clock)
    assert budget.reserve(1, 1, 1)
    budget.took(3)
    budget.took(4)
    assert budget.reserve(1, 1)
    assert budget.reserve(1, 1, 1) is None
    clock.now_s += 4
    assert budget.reserve(1, 1) is None


def test_the_pace_counts_and_so_do_those_that_share_it() -> None:
    budget = Budget(deadline_s=1, clock=Clock())
    budget.pace = Pace(5 / PACE_SHARE)
    assert budget.reserve(4)
    assert budget.reserve(4, beside=1) is None


def test_a_pause_ends_at_the_deadline() -> None:
    clock = Clock()
    budget = Budget(deadline_s=4, clock=clock)
    budget.pause(3, clock.sleep)
    budget.pause(3, clock.sleep)
    budget.pause(3, clock.sleep)
    assert (clock.slept, budget.is_late) == ([3, 1, 0], True)


def test_an_answer_that_asks_for_more_patience_than_there_is_time_ends_the_waiting_before_it_begins() -> None:
    budget = Budget(deadline_s=10, clock=Clock())
    waits: list[str] = []
    with scripted(Told(429, "slow down", {"Retry-After": "60"})) as server:
        transport = Metered(HttpTransport(Account(server.url, TOKEN)), budget)
        with Client(V2(), Retrying(transport, on_wait=waits.append, budget=budget), budget) as client:
            with pytest.raises(BudgetSpent) as caught:
                client.catalogs()
            told = (client.requests_sent, client.reads_sent, client.writes_sent, client.throttled)
    assert str(caught.value) == (
        "the time of 10s does not suffice: 10 s are left, the next request has to wait 60 s (1 request sent)"
    )
    assert (len(server.seen), waits, told) == (1, [], (1, 1, 0, 1))


def test_growing_waits_between_attempts_end_at_the_deadline_too() -> None:
    budget = Budget(deadline_s=5, clock=Clock())
    with scripted(Told(503, "busy")) as server:
        transport = Metered(HttpTransport(Account(server.url, TOKEN)), budget)
        with Client(V2(), Retrying(transport, wait_s=1, budget=budget), budget) as client, pytest.raises(BudgetSpent):
            client.catalogs()
    assert len(server.seen) == 4  # after 1, 2 and 4 seconds; the next wait would be 8


def test_a_turn_of_the_rate_limit_that_comes_after_the_deadline_is_not_waited_for(tmp_path: Path) -> None:
    clock = Clock()
    budget = Budget(deadline_s=1, clock=clock)
    with scripted(Told(200, "{}")) as server:
        inner = Metered(HttpTransport(Account(server.url, TOKEN)), budget)
        limited = RateLimited(
            inner, turns_file=tmp_path / "t", pace=Pace(1), clock=clock, sleep=clock.sleep, budget=budget
        )
        with Client(V2(), limited, budget) as client:
            client.catalogs()
            with pytest.raises(BudgetSpent):
                client.catalogs()
    assert (len(server.seen), clock.slept) == (1, [0.0])


# --- a run with a deadline -----------------------------------------------------------------------------------


@pytest.fixture(params=APIS)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, request.param) as made:
        yield made


def with_deadline(made: World, seconds: float, each_s: float = 1) -> Budget:
    """From now on the account's client has a deadline, and each request takes a second of its clock."""
    clock = Clock()
    budget = Budget(deadline_s=seconds, clock=clock)

    def tick(_store: object) -> None:
        clock.now_s += each_s

    made.emulator.fault(Fault("call", count=0, call=tick))
    transport = Metered(HttpTransport(Account(made.emulator.url, made.emulator.token)), budget)
    made.client = Client(DIALECTS[made.api](), Retrying(transport, budget=budget), budget)
    return budget


def test_a_run_ends_before_the_batch_that_no_longer_fits_and_what_is_left_is_planned(either: World) -> None:
    budget = with_deadline(either, 7.5)
    report = either.apply(*(add(op) for op in range(1, 6)), batch_size=1)
    assert [result.op for result in report.results] == [1, 2, 3]
    assert (len(either.methods), budget.left_s) == (6, 1.5)
    assert str(report.stopped_by) == (
        "the time of 7.5s does not suffice: 2 s are left, too few for the next batch (6 requests sent)"
    )
    assert isinstance(report.stopped_by, BudgetSpent)
    assert [change.op for change in report.unsent] == [4, 5]
    assert [o.outcome for o in either.journal.operations(1)] == ["done"] * 3 + ["planned"] * 2


def test_a_look_that_uses_up_the_time_leaves_its_batch_unsent(either: World) -> None:
    with_deadline(either, 0.5)
    report = either.apply(delete(1, 1))
    assert (either.methods, report.results, len(report.unsent)) == (["GET"], (), 1)
    assert str(report.stopped_by) == "the time of 0.5s is used up (1 request sent)"
    assert [o.outcome for o in either.journal.operations(1)] == ["planned"]


def test_what_was_written_is_read_back_after_the_deadline(either: World) -> None:
    budget = with_deadline(either, 0.5)
    report = either.apply(add(1))
    assert (len(either.methods), list(report.stored), report.stopped_by) == (2, [1], None)
    assert budget.is_late


def test_the_deadline_cuts_the_settling_time_short_and_the_next_run_settles_the_doubt(either: World) -> None:
    budget = with_deadline(either, 6)
    either.emulator.fault(Fault("status", "POST", ELEMENTS[either.api], status=504, when="before"))
    report = either.apply(add(1), settle_s=10, stop=Ticking(budget.clock))  # type: ignore[arg-type]
    assert outcomes(report) == [(1, "unknown", None)]
    assert isinstance(report.stopped_by, BudgetSpent)
    assert [o.outcome for o in either.journal.operations(1)] == ["sent"]
    made_by = Client(
        DIALECTS[either.api](), Retrying(HttpTransport(Account(either.emulator.url, either.emulator.token)))
    )
    either.clock.now_s += 60
    assert either.journal.unfinished() == [1]
    runs.recover(SCHEMA, made_by, either.journal, writer.WriteOptions(settle_s=0))
    assert [o.outcome for o in either.journal.operations(1)] == ["planned"]


def test_a_plan_with_no_budget_left_for_its_first_batch_sends_nothing(either: World) -> None:
    budget = Budget(1)
    transport = Metered(HttpTransport(Account(either.emulator.url, either.emulator.token)), budget)
    either.client = Client(DIALECTS[either.api](), Retrying(transport, budget=budget), budget)
    report = either.apply_plan(plan_of(add(1), add(2)))
    assert (either.methods, report.results, len(report.unsent)) == ([], (), 2)
    assert str(report.stopped_by) == ("the budget of 1 request is used up: 0 were sent, and the next batch may take 2")
