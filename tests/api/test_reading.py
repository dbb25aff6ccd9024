"""How a list is read that others change meanwhile: what nobody touched is there, once, in few requests.

The readings are pure, so most schedules run against a list in memory; `tests/e2e/test_moving.py` runs them against
the emulator over a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalogsync.api.dialect import Page, Reading, Since
from catalogsync.api.pages import batch_of
from catalogsync.api.reading import MOST_MOVES, MOST_ROUNDS, Ids, by_number, by_offset
from catalogsync.errors import Temporary

ROWS = 4
"""Rows of a page."""

Order = Literal["oldest first", "newest first", "by edit"]
Move = tuple[str, int]
PLACES: tuple[Callable[[int], tuple[str, int]], Callable[[int], tuple[str, int]]] = (
    lambda offset: ("offset", offset),
    lambda number: ("page", number),
)


@dataclass
class Moving:
    """A list that changes between any two pages. `touched` elements were edited, deleted or added meanwhile."""

    count: int
    order: Order = "oldest first"
    schedule: list[list[Move]] = field(default_factory=list)
    ignores_offsets: bool = False
    keeps_added: bool = False
    touched: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.at = dict.fromkeys(range(1, self.count + 1), 0)

    def page(self, place: tuple[str, int]) -> Page:
        """One page; then the changes that are due."""
        listed = {
            "oldest first": sorted(self.at),
            "newest first": sorted(self.at, reverse=True),
            "by edit": sorted(self.at, key=lambda id_: (self.at[id_], id_)),
        }[self.order]
        kind, number = place
        start = number if kind == "offset" else ROWS * (number - 1)
        ids = listed[0 if self.ignores_offsets and kind == "offset" else start :][:ROWS]
        page = Page(ids, [self.at[id_] for id_ in ids], [0] * len(ids), batch_of({}), [False] * len(ids), ids)
        for what, which in self.schedule[len(self.asked)] if len(self.asked) < len(self.schedule) else ():
            self._move(what, which)
        self.asked.append(place)
        return page

    def _move(self, what: str, which: int) -> None:
        now = len(self.asked) + 1
        if what == "add":
            self.touched.add(new := self.count + len(self.touched) + 1000 * now)
            self.at[new] = now
        elif self.at:
            there = [id_ for id_ in sorted(self.at) if id_ <= self.count or not self.keeps_added]
            if not there:
                return
            id_ = there[which % len(there)]
            self.touched.add(id_)
            if what == "edit":
                self.at[id_] = now
            else:
                self.deleted.add(id_)
                del self.at[id_]

    def read(self, reading: Reading) -> list[int]:
        """The ids of a reading, in the order in which they were read."""
        pages: list[Page] = []
        try:
            ask = next(reading)
            while True:
                ask = reading.send(self.page(ask.place))
        except StopIteration as end:
            pages = end.value
        return [id_ for page in pages for id_ in page.ids]


moves = st.lists(st.tuples(st.sampled_from(["add", "delete", "edit"]), st.integers(0, 200)), max_size=4)
schedules = st.lists(moves, max_size=24)


LAST_ONE_AGAIN: list[list[Move]] = [
    *([], [], [("add", 0)], [("delete", 0)], [("delete", 0)]),
    [*[("add", 0)] * 3, ("delete", 0)],
    [("add", 0), ("delete", 0), ("delete", 0)],
    [("edit", 175), ("delete", 0)],
]
"""Rows before the last page move, and its only element is edited, so that it is the last one again."""


@given(count=st.integers(0, 30), schedule=schedules, known=st.integers(0, 40), order=st.sampled_from(["id", "edit"]))
@example(count=30, schedule=LAST_ONE_AGAIN, known=13, order="edit")
@settings(max_examples=1000)
def test_by_number_whatever_moves_every_element_that_stayed_is_read_once(
    count: int, schedule: list[list[Move]], known: int, order: str
) -> None:
    moving = Moving(count, "oldest first" if order == "id" else "by edit", schedule)
    there = set(moving.at)

    read = moving.read(by_number(PLACES[1], ROWS, expected_rows=known))

    assert len(read) == len(set(read))
    assert there - moving.touched <= set(read)
    assert there - moving.deleted <= set(read), "an edited element is not a missing one"


@given(count=st.integers(0, 30), schedule=schedules, order=st.sampled_from(["oldest first", "newest first"]))
@settings(max_examples=1000)
def test_by_offset_whatever_moves_no_untouched_element_is_missed_or_doubled(
    count: int, schedule: list[list[Move]], order: Order
) -> None:
    moving = Moving(count, order, schedule)
    there = set(moving.at)

    read = moving.read(by_offset(*PLACES, ROWS))

    assert len(read) == len(set(read))
    assert there - moving.touched <= set(read)


WHOLE_PAGE_CAME: list[list[Move]] = [[], [], [("add", 0)] * 4, *[[]] * 10, [("add", 0)]]
"""The second page is what the first one was, so that it passes for the end of the list."""


@given(count=st.integers(0, 30), schedule=schedules, known=st.integers(0, 40))
@example(count=13, schedule=WHOLE_PAGE_CAME, known=0)
@settings(max_examples=500)
def test_where_offsets_are_ignored_and_the_newest_come_first_rows_may_move_both_ways(
    count: int, schedule: list[list[Move]], known: int
) -> None:
    """All but one thing is noticed: an element that is added and deleted again within the same fetch."""
    moving = Moving(count, "newest first", schedule, ignores_offsets=True, keeps_added=True)
    there = set(moving.at)

    read = moving.read(by_offset(*PLACES, ROWS, expected_rows=known))

    assert len(read) == len(set(read))
    assert there - moving.touched <= set(read)


def _asked(count: int, known: int | None, order: Order = "oldest first") -> list[tuple[str, int]]:
    moving = Moving(count, order)
    assert sorted(moving.read(by_number(PLACES[1], ROWS, expected_rows=known))) == list(range(1, count + 1))
    return moving.asked


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 40, 401])
def test_two_requests_prove_that_nothing_moved_where_the_size_is_known(count: int) -> None:
    pages = -(-count // ROWS)
    assert len(_asked(count, known=count)) <= pages + 2


def test_the_last_page_is_read_first_and_again_at_the_end() -> None:
    assert [number for _, number in _asked(13, known=13)] == [4, 5, 1, 2, 3, 4]


def test_a_list_of_unknown_size_costs_a_search_for_its_end() -> None:
    assert [number for _, number in _asked(13, known=None)] == [1, 2, 4, 8, 6, 5, 1, 2, 3, 4]
    assert len(_asked(400 * ROWS, known=None)) <= 400 + 20


@pytest.mark.parametrize(("count", "known"), [(13, 40), (13, 1), (13, 20), (0, 40), (1, 40), (40, 13)])
def test_a_list_that_grew_or_shrank_since_is_read_whole(count: int, known: int) -> None:
    _asked(count, known)


def test_a_route_that_ignores_page_numbers_ends_at_once() -> None:
    page = Page([1, 2, 3, 4], [0] * 4, [0] * 4, batch_of({}), [False] * 4, [1, 2, 3, 4])
    reading = by_number(PLACES[1], ROWS)
    asked = [next(reading).place, reading.send(page).place, reading.send(page).place]
    with pytest.raises(StopIteration) as end:
        reading.send(page)
    assert (asked, end.value.value) == ([("page", 1), ("page", 2), ("page", 1)], [page.packed()])


@given(st.lists(st.lists(st.integers(1, 30), max_size=4)), st.lists(st.integers(1, 30)))
@example([[1, 3], [3, 5], [], [5]], [1, 5, 6])
@example([[5, 3], [3, 1]], [3, 4])
def test_ids_that_were_listed_are_known_in_whatever_order_they_came(pages: list[list[int]], asked: list[int]) -> None:
    ids, listed = Ids(), set[int]()
    for page in pages:
        assert ids.known(page) == listed & set(page)
        ids.add(page)
        listed.update(page)
        assert len(ids) == len(listed)
    assert ids.known(asked) == listed & set(asked)


def _ahead(count: int, known: int | None) -> list[tuple[int, list[int]]]:
    """Each page that is asked for, and those that are asked for with it."""
    moving = Moving(count)
    reading = by_number(PLACES[1], ROWS, expected_rows=known)
    asked: list[tuple[int, list[int]]] = []
    try:
        ask = next(reading)
        while True:
            asked.append((ask.place[1], [number for _, number in ask.ahead]))
            ask = reading.send(moving.page(ask.place))
    except StopIteration:
        return asked


def test_pages_are_asked_for_ahead_but_never_the_proof() -> None:
    assert [ahead for _, ahead in _ahead(20, known=20)] == [[6], [], [2, 3, 4], [3, 4], [4], [], []]


def test_the_search_for_the_end_asks_one_page_ahead() -> None:
    search = [(2, [4]), (4, [8]), (8, [16]), (16, [32]), (32, [64]), (24, [28]), (20, [22]), (18, [19]), (19, [])]
    assert _ahead(18 * ROWS, known=None)[:11] == [(1, []), *search, (1, [*range(2, 18)])]


def test_offsets_overlap_by_a_row_and_end_at_the_last_one() -> None:
    moving = Moving(9, "newest first")
    assert moving.read(by_offset(*PLACES, ROWS)) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert moving.asked == [("offset", 0), ("offset", 3), ("offset", 6), ("offset", 8)]


def test_a_page_that_does_not_begin_with_a_row_that_was_read_is_read_again_from_further_up() -> None:
    moving = Moving(9, "newest first", [[("delete", 8)]])  # 9 goes after the first page: 5 moves up past offset 3
    assert sorted(moving.read(by_offset(*PLACES, ROWS))) == list(range(1, 10))
    assert [offset for _, offset in moving.asked] == [0, 3, 1, 4, 7]


def test_a_list_that_never_stands_still_is_given_up() -> None:
    def keep_moving() -> Iterator[Page]:
        number = 0
        while True:
            number += ROWS
            ids = list(range(number, number + ROWS))
            yield Page(ids, [0] * ROWS, [0] * ROWS, batch_of({}), [False] * ROWS, ids)

    def read_on() -> None:
        reading = by_offset(*PLACES, ROWS)
        next(reading)
        for page in islice(keep_moving(), 2 * MOST_MOVES + 2):
            reading.send(page)

    with pytest.raises(Temporary, match="keeps changing"):
        read_on()


def test_newest_first_by_number_is_given_up_after_some_rounds() -> None:
    moving = Moving(20, "newest first", [[("add", 0)]] * 1000)
    with pytest.raises(Temporary, match="keeps changing"):
        moving.read(by_number(PLACES[1], ROWS, expected_rows=20))
    assert len(moving.asked) < 100 * MOST_ROUNDS


@pytest.mark.parametrize("order", ["oldest first", "by edit"])
def test_what_came_since_is_found_at_the_end_without_reading_all(order: Order) -> None:
    moving = Moving(400, order)
    moving.at |= {id_: 1000 + id_ for id_ in range(1, 401)}
    moving.at |= {401: 5000, 402: 5001, 7: 5002}

    read = moving.read(by_number(PLACES[1], ROWS, expected_rows=400, since=Since(400, 1400)))

    assert sorted(read) == [401, 402]
    assert len(moving.asked) < 30


def test_what_came_since_is_not_missed_behind_edits_in_the_order_of_ids() -> None:
    moving = Moving(40, "by edit")
    moving.at[41] = 100
    moving.at |= {id_: 101 + id_ for id_ in range(1, 9)}  # two pages of edits, which look like the order of ids

    assert moving.read(by_number(PLACES[1], ROWS, expected_rows=40, since=Since(40, 99))) == [41]


def test_what_came_since_comes_first_where_the_newest_do() -> None:
    moving = Moving(42, "newest first")
    assert moving.read(by_offset(*PLACES, ROWS, since=Since(40, 0))) == [42, 41]
    assert moving.asked == [("offset", 0)]
