"""Whatever turns come in whatever order, each address is told each beginning and each end once, in order."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogsync.reconcile import alertstore
from catalogsync.reconcile.alerts import Delivery
from catalogsync.reconcile.alertstore import CLAIM_S, counts_of
from catalogsync.reconcile.alertwords import BEGUN, OVER
from catalogsync.reconcile.project import EVENTS, Event
from catalogsync.reconcile.state import Memory
from tests.reconcile.turns import NIGHT, SCOPE, Desk, turn

TO = ("env:ALERTS", "env:BOSS")

Told = tuple[str, Event]


@dataclass(frozen=True)
class Step:
    """A turn and what happens to it: it is noted, then delivered unless the process dies; some addresses are down, at
    some a process was killed while it sent.
    """

    events: frozenset[Event]
    is_skipped: bool
    dies_before_delivery: bool
    down: frozenset[str]
    killed_at: frozenset[str]
    on: frozenset[Event]
    digest: str
    later_s: int


places = st.frozensets(st.sampled_from(TO))
events = st.frozensets(st.sampled_from(EVENTS[:3]))
steps = st.builds(
    Step,
    events=events,
    is_skipped=st.sampled_from([False, False, False, True]),
    dies_before_delivery=st.booleans(),
    down=places,
    killed_at=st.one_of(st.just(frozenset[str]()), places),
    on=st.one_of(st.just(frozenset(EVENTS)), events),
    digest=st.sampled_from(["", "", "03:00", "08:00"]),
    later_s=st.integers(0, 3 * 3600),
)


def expected(turns: Sequence[Step]) -> list[Told]:
    """What an address is to be told: a few lines of sets that know nothing of how it is stored."""
    told: list[Told] = []
    is_open: set[Event] = set()
    for step in turns:
        if step.is_skipped:
            continue
        told += [("begun", event) for event in EVENTS if event in (step.events & step.on) - is_open]
        over = set() if "failure" in step.events else is_open - step.events
        told += [("over", event) for event in EVENTS if event in over]
        is_open = (is_open - over) | (step.events & step.on)
    return told


_OF_WORDS: dict[str, Told] = {
    **{words: ("begun", event) for event, words in BEGUN.items()},
    **{words: ("over", event) for event, words in OVER.items()},
}


def read(subject: str, body: str) -> list[Told]:
    """What a person reads in a message, or in each part of a digest."""
    headings = [line.strip("= ") for line in body.splitlines() if line.startswith("== ")]
    news = headings or [subject.removeprefix("catalogsync: prices — ")]
    words = [part.removeprefix("recovered: ") for one in news for part in one.split("; ")]
    return [_OF_WORDS[word] for part in words for word in part.split(", ")]


@settings(max_examples=12)
@given(turns=st.lists(steps, min_size=1, max_size=10))
def test_each_address_is_told_each_beginning_and_each_end_once_and_in_order(turns: list[Step]) -> None:
    _each_once_and_in_order(turns)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=200)
@given(turns=st.lists(steps, min_size=1, max_size=16))
def test_each_address_is_told_each_beginning_and_each_end_once_and_in_order_in_many_worlds(turns: list[Step]) -> None:
    _each_once_and_in_order(turns)


def _each_once_and_in_order(turns: Sequence[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "jobs.sqlite")):
        desk = Desk(Memory(Path(folder) / "jobs.sqlite"))
        now_at = NIGHT
        for step in turns:
            now_at += step.later_s
            desk.post.down = set(step.down)
            alerts = desk.alerts(to=TO, events=tuple(step.on), digest=step.digest)
            alerts.note(turn(*sorted(step.events), is_skipped=step.is_skipped), now_at)
            with desk.memory.transaction() as connection:
                for place in step.killed_at:
                    alertstore.claim(connection, SCOPE, place, "killed", now_at)
            if not step.dies_before_delivery:
                alerts.deliver(now_at)
        desk.post.down = set()
        last = desk.alerts(to=TO).deliver(now_at + CLAIM_S + 1)
        assert last.problems == ()
        told = {place: [one for name, *text in desk.post.taken if name == place for one in read(*text)] for place in TO}
        assert told == dict.fromkeys(TO, expected(turns))
        assert desk.alerts(to=TO).deliver(now_at + 2 * CLAIM_S) == Delivery()
        counts = counts_of(desk.memory, SCOPE)
        assert (counts.undelivered, counts.given_up) == (0, 0)


@settings(max_examples=12)
@given(turns=st.lists(st.tuples(st.frozensets(st.sampled_from(TO), min_size=1), places, st.booleans()), max_size=12))
def test_whatever_addresses_come_and_go_each_message_reaches_one_and_none_twice(
    turns: list[tuple[frozenset[str], frozenset[str], bool]],
) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "jobs.sqlite")):
        desk = Desk(Memory(Path(folder) / "jobs.sqlite"))
        for number, (to, down, is_delivered) in enumerate(turns):
            desk.post.down = set(down)
            alerts = desk.alerts(to=tuple(sorted(to)))
            alerts.note(turn(*(["guard"] if number % 2 == 0 else []), words=f"turn {number}"), NIGHT + number)
            if is_delivered:
                alerts.deliver(NIGHT + number)
        desk.post.down = set()
        desk.alerts(to=("env:BOSS",)).deliver(NIGHT + len(turns))
        told = [(name, body.splitlines()[3]) for name, _, body in desk.post.taken]
        assert len(told) == len(set(told))
        assert {words for _, words in told} == {f"turn {number}" for number in range(len(turns))}


def test_the_model_tells_what_people_expect() -> None:
    """The model itself, by one example that was worked out by hand."""
    all_events = frozenset(EVENTS)
    guard: frozenset[Event] = frozenset({"guard"})
    nothing: frozenset[str] = frozenset()

    def step(found: frozenset[Event], on: frozenset[Event] = all_events, *, is_skipped: bool = False) -> Step:
        return Step(found, is_skipped, False, nothing, nothing, on, "", 0)

    quiet: frozenset[Event] = frozenset()
    turns = [
        step(guard, quiet),
        step(guard),
        step(quiet, is_skipped=True),
        step(guard),
        step(quiet, quiet),
        step(quiet),
    ]
    assert expected(turns) == [("begun", "guard"), ("over", "guard")]
