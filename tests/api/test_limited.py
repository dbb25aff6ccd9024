"""The rate limit's turns, by a clock that only sleeping moves: never eight in a second, and none later than need be."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from bisect import bisect_left
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.api.auth import Account
from catalogsync.api.client import connect
from catalogsync.api.dialect import Request, Response
from catalogsync.api.limited import KEPT, LATE_S, SOON_S, RateLimited
from catalogsync.api.transport import Retrying
from catalogsync.emulator.server import Emulator
from catalogsync.errors import Temporary
from catalogsync.pace import Pace
from tests.api.helpers import Clock

READ = Request("GET", "/api/v2/account")
SEVEN = Pace(7)


class Answers:
    """A transport that raises each error in turn, then answers."""

    def __init__(self, clock: Clock, *errors: Exception) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.sent_at: list[float] = []

    def send(self, request: Request) -> Response:
        self.sent_at.append(round(self.clock.now_s, 3))
        if self.errors:
            raise self.errors.pop(0)
        return Response(200)

    def close(self) -> None:
        pass


def limited_by(tmp_path: Path, inner: Answers, pace: Pace = SEVEN) -> RateLimited:
    return RateLimited(inner, turns_file=tmp_path / "turns", pace=pace, clock=inner.clock, sleep=inner.clock.sleep)


def all_sent(limited: RateLimited, count: int) -> None:
    """Send so many requests one after the other."""
    for _ in range(count):
        limited.send(READ)
    limited.close()


def times(count: int, began_at: float = 1000.0) -> list[float]:
    """When so many requests go out one after the other, as the first of them begins."""
    return [round(began_at + turn // 7 * 7 / 6.6 + turn % 7 * 0.5 / 6.6, 3) for turn in range(count)]


def test_seven_may_come_at_twice_the_pace_and_then_the_pace_is_kept(tmp_path: Path) -> None:
    inner = Answers(Clock(1000.0))
    limited = limited_by(tmp_path, inner)
    all_sent(limited, 23)
    assert inner.sent_at == times(23)
    assert SEVEN.turns_s(23) == pytest.approx(inner.sent_at[-1] - 1000, abs=0.001)


def test_idle_time_is_not_saved_up_for_more_than_seven(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    inner = Answers(clock)
    limited = limited_by(tmp_path, inner)
    limited.send(READ)
    clock.now_s = 1100.0
    all_sent(limited, 8)
    assert inner.sent_at == [1000.0, *times(8, 1100.0)]


def test_what_one_request_is_late_the_next_ones_make_up_for(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    inner = Answers(clock)
    limited = limited_by(tmp_path, inner)
    for turn in range(8):
        clock.now_s += 0.4 if turn == 3 else 0
        limited.send(READ)
    limited.close()
    assert inner.sent_at[2:4] == [times(3)[2], pytest.approx(times(3)[2] + 0.4)]
    assert inner.sent_at[7] == times(8)[7]


def test_limiters_that_share_a_file_share_the_turns(tmp_path: Path) -> None:
    inner = Answers(Clock(1000.0))
    both = [limited_by(tmp_path, inner) for _ in range(2)]
    for limited in both * 5:
        limited.send(READ)
    for limited in both:
        limited.close()
    assert inner.sent_at == times(10)


def test_a_program_that_starts_right_after_another_waits_for_its_turn(tmp_path: Path) -> None:
    inner = Answers(Clock(1000.0))
    for _ in range(9):
        limited = limited_by(tmp_path, inner)
        limited.send(READ)
        limited.close()
    assert inner.sent_at == times(9)


def test_a_repetition_waits_its_turn_like_any_request(tmp_path: Path) -> None:
    inner = Answers(Clock(1000.0), Temporary("a"), Temporary("b"), Temporary("c"))
    transport = Retrying(limited_by(tmp_path, inner))
    transport.send(READ)
    transport.close()
    assert inner.sent_at == times(4)


def test_a_turn_that_the_machine_overslept_is_given_back(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    inner = Answers(clock)
    late = iter([0.0, 0.1])

    def sleep(seconds: float) -> None:
        clock.sleep(seconds + next(late, 0.0))

    limited = RateLimited(inner, turns_file=tmp_path / "turns", pace=SEVEN, clock=clock, sleep=sleep)
    all_sent(limited, 9)
    woke = round(1000 + 0.5 / 6.6 + 0.1, 3)
    assert inner.sent_at[:2] == [1000.0, woke]
    assert inner.sent_at[7:] == [times(8)[7], pytest.approx(woke + 7 / 6.6, abs=0.001)]


def test_a_clock_that_was_set_back_does_not_stop_everything(tmp_path: Path) -> None:
    clock = Clock(1_000_000.0)
    inner = Answers(clock)
    limited = limited_by(tmp_path, inner)
    limited.send(READ)
    clock.now_s = 1000.0
    all_sent(limited, 8)
    assert inner.sent_at == [1_000_000.0, *times(8)]


def test_a_turn_counts_from_a_time_read_while_nobody_else_can_take_one(tmp_path: Path) -> None:
    """A time read before waiting for the lock is old by the wait, and let two processes make eight in a second."""
    file = tmp_path / "turns"
    refusals: list[str] = []

    def clock() -> float:
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                refusals.append(str(error))
        return 1000.0

    limited = RateLimited(Answers(Clock()), turns_file=file, pace=SEVEN, clock=clock)
    assert limited._take_turn()[1] == 1000.0
    limited.close()
    assert refusals == ["database is locked"]


def test_threads_of_one_limiter_share_the_turns(tmp_path: Path) -> None:
    lock = threading.Lock()
    turns: list[float] = []
    limited = limited_by(tmp_path, Answers(Clock(1000.0)))

    def take() -> None:
        for _ in range(10):
            turn_at = limited._take_turn()[1]
            with lock:
                turns.append(round(turn_at, 3))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limited.close()
    assert sorted(turns) == times(40)


def test_only_the_last_turns_are_kept(tmp_path: Path) -> None:
    inner = Answers(Clock(1000.0))
    limited = limited_by(tmp_path, inner)
    all_sent(limited, KEPT + 5)
    with closing(sqlite3.connect(tmp_path / "turns")) as connection:
        assert connection.execute("SELECT count(*) FROM taken").fetchone() == (KEPT,)


WHOLE = st.integers(0, 400).map(lambda milliseconds: milliseconds / 1000)


@given(
    st.lists(st.tuples(WHOLE, st.sampled_from([0.0, 0.01, LATE_S - 0.001, 0.05, 0.3])), min_size=1, max_size=60),
    st.sampled_from([1.0, 2.0, 7.0, 7.0, 50.0]),
)
def test_no_second_ever_sees_more_than_the_ceiling(asks: list[tuple[float, float]], rps: float) -> None:
    """Whenever requests are asked for, by whatever number of processes, and however late the machine wakes them."""
    clock, pace = Clock(1000.0), Pace(rps)
    used: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        limiters = [
            RateLimited(Answers(clock), turns_file=Path(name) / "turns", pace=pace, clock=clock) for _ in range(2)
        ]
        for number, (later_s, late_s) in enumerate(asks):
            clock.now_s += later_s
            limited = limiters[number % 2]
            id_, turn_at = limited._take_turn()
            assert turn_at >= clock.now_s
            if late_s < LATE_S:
                used.append(turn_at + late_s)
            else:
                limited._give_back(id_)
        for limited in limiters:
            limited.close()
    used.sort()
    assert max((bisect_left(used, at + 1) - place for place, at in enumerate(used)), default=0) <= rps


@given(st.lists(st.tuples(WHOLE, st.sampled_from([0.0, SOON_S, 0.012, LATE_S - 0.001, 0.05])), min_size=8, max_size=40))
def test_those_that_come_a_group_later_count_from_when_a_request_really_went_out(
    asks: list[tuple[float, float]],
) -> None:
    """So that what is on its way for longer than another has the whole of the margin."""
    clock = Clock(1000.0)
    inner = Answers(clock)
    late = iter(late_s for _, late_s in asks)
    with tempfile.TemporaryDirectory() as name:
        limited = RateLimited(
            inner,
            turns_file=Path(name) / "turns",
            pace=SEVEN,
            clock=clock,
            sleep=lambda seconds: clock.sleep(seconds + next(late, 0.0)),
        )
        for later_s, _ in asks:
            clock.now_s += later_s
            limited.send(READ)
        limited.close()
    spans = [later - earlier for earlier, later in zip(inner.sent_at, inner.sent_at[7:], strict=False)]
    assert min(spans, default=SEVEN.span_s) >= SEVEN.span_s - SOON_S - 0.002  # times are rounded


def test_a_connected_client_paces_its_repetitions_too(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGSYNC_STATE", str(tmp_path))
    emulator.fault("429 GET count=5")
    with connect(Account(emulator.url, emulator.token), rps=2) as client:
        client.catalogs()
    arrived = [request.at_s for request in emulator.requests]
    assert len(arrived) == 6
    assert arrived[5] - arrived[0] > 2
