"""A catalog that others edit, delete from and add to between any two pages of a fetch, on the emulator over a socket.

The same laws as in `tests/api/test_reading.py`, here with the server's own order, pages and clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogsync.api.auth import Account
from catalogsync.api.client import Client
from catalogsync.api.transport import HttpTransport
from catalogsync.api.v2 import V2
from catalogsync.api.v4 import V4
from catalogsync.emulator.faults import Fault
from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.server import Emulator
from catalogsync.emulator.store import Store
from catalogsync.model import Column, Field, Schema
from tests.e2e.conftest import catalog_of

ROWS = 4
SCHEMA = Schema(30001, "UTC", 4220, "Products", (Field(1, "Price", "price"),))
COLUMNS = (Column("", None), Column("", SCHEMA.fields[0]))
Move = tuple[str, int]


class Clock:
    """A second goes by with every move, so that the order by ``updated_at`` is the order of the moves."""

    now_s = 1_760_000_000

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Catalog:
    """The emulated catalog, and what was done to it while it was read."""

    store: Store
    clock: Clock
    before: dict[int, tuple[str, str]]
    touched: set[int]
    deleted: set[int]

    def now(self) -> dict[int, tuple[str, str]]:
        """Every element: name and price."""
        return {
            element.id: (element.name, "".join(str(value) for value in element.values.get(1, [])))
            for element in self.store.elements(4220)
        }

    def move(self, what: str, which: int) -> None:
        """What another user does between two pages."""
        self.clock.now_s += 1
        there = sorted(element.id for element in self.store.elements(4220))
        if what == "add":
            self.touched.add(self.store.add_as_other_user(4220, f"New {which}", {}).id)
        elif there:
            id_ = there[which % len(there)]
            self.touched.add(id_)
            if what == "edit":
                self.store.edit_as_other_user(id_, name=f"Edited {which}")
            else:
                self.deleted.add(id_)
                self.store.delete_as_other_user(id_)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def emulator(clock: Clock) -> Iterator[Emulator]:
    seed = catalog_of([{"id": 1, "name": "Price", "type": "price"}])
    with Emulator(seed=seed, rps=0, clock=clock) as emulator:
        yield emulator


def _refilled(emulator: Emulator, clock: Clock, count: int, schedule: list[list[Move]]) -> Catalog:
    """The catalog with `count` elements, which moves as the schedule says after each page."""
    emulator.faults.clear()
    store = emulator.store
    store.delete_as_other_user(*(element.id for element in store.elements(4220)))
    for number in range(count):
        clock.now_s += 1
        store.add_as_other_user(4220, f"P{number}", {1: str(number)})
    catalog = Catalog(store, clock, {}, set(), set())
    catalog.before = catalog.now()
    for number, moves in enumerate(schedule, start=1):

        def strike(_: Store, moves: list[Move] = moves) -> None:
            for what, which in moves:
                catalog.move(what, which)

        emulator.faults.add(Fault("call", method="GET", path="*elements", nth=number, when="after", call=strike))
    return catalog


moves = st.lists(st.tuples(st.sampled_from(["add", "delete", "edit"]), st.integers(0, 200)), max_size=3)


@pytest.mark.parametrize(
    ("dialect", "knobs"),
    [
        (V2(ROWS), Knobs()),
        (V2(ROWS), Knobs(element_order="oldest_first")),
        (V4(ROWS), Knobs()),
        (V4(ROWS), Knobs(v4_element_order="updated_at")),
    ],
    ids=["v2", "v2 oldest first", "v4", "v4 by updated_at"],
)
@given(count=st.integers(0, 22), schedule=st.lists(moves, max_size=16), known=st.sampled_from([0, 10, 22, 40]))
@settings(max_examples=250)
def test_a_fetch_ends_with_every_element_that_nobody_touched_as_it_is_and_once(
    emulator: Emulator,
    clock: Clock,
    dialect: V2 | V4,
    knobs: Knobs,
    count: int,
    schedule: list[list[Move]],
    known: int,
) -> None:
    """1,000 schedules over the four orders that are known of."""
    emulator.knobs = knobs
    catalog = _refilled(emulator, clock, count, schedule)
    with Client(dialect, HttpTransport(Account(emulator.url, emulator.token))) as client:
        table = client.elements(SCHEMA, COLUMNS, expected_rows=known)

    read = dict(zip(table["id"], zip(table["name"], table["1"], strict=True), strict=True))
    untouched = {id_: texts for id_, texts in catalog.before.items() if id_ not in catalog.touched}
    assert len(read) == len(table)
    assert {id_: texts for id_, texts in read.items() if id_ in untouched} == untouched
    assert set(read) <= set(catalog.before) | catalog.touched
    if isinstance(dialect, V4):
        assert set(catalog.before) - catalog.deleted <= set(read), "an edited element is not a missing one"
