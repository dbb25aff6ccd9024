"""Reading a list page by page while others change it: which pages, in which order, and when it was whole. Pure.

A reading yields the place to read next, gets the page, and returns the pages with each element once. There are
two kinds, by what the API offers.

by offset    each page begins with the last row of the one before. A page that does not, follows a deletion: rows
             moved up past the place unread, and the reading goes back half a page.
by number    pages allow no overlap. The last page is read first and once more at the end: had anything been
             deleted meanwhile, its rows would have moved. If they did, all pages are read again one by one from
             the last to the first, so that rows only move from what is still unread to what is read twice.
             Where the newest come first (v2 that ignores offsets), rows move both ways, and the reading begins
             anew until both ends stood still; an element added and deleted again meanwhile goes unnoticed.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import count, pairwise
from typing import Any

from catalogsync.api.dialect import Ask, Page, Reading, Since
from catalogsync.errors import Temporary

MOST_MOVES = 100
"""How often a list may be seen to move while it is read by offset, before the reading is given up."""

MOST_ROUNDS = 10
"""How often a list with its newest elements first is read anew by number, before the reading is given up."""


CLOCK_SLACK_S = 60
"""How far in the future a stored ``updated_at`` may lie (notes 8, Q10)."""


class Ids:
    """The ids that were listed so far. While they ascend, as in most lists, the last one tells which others are new."""

    def __init__(self) -> None:
        self._ascending: list[array[int]] = []
        self._last = 0
        self._count = 0
        self._all: set[int] | None = None

    def __len__(self) -> int:
        return self._count if self._all is None else len(self._all)

    def known(self, ids: Sequence[int]) -> set[int]:
        """Those of `ids` that were listed before."""
        if self._all is None and self._goes_on(ids):
            return {self._last} & {*ids[:1]}
        return self._set().intersection(ids)

    def add(self, ids: Sequence[int]) -> None:
        """The ids of another page."""
        if self._all is None and self._goes_on(ids):
            new = ids[1:] if ids and ids[0] == self._last else ids
            self._ascending.append(array("q", new))
            self._count += len(new)
            self._last = new[-1] if new else self._last
        else:
            self._set().update(ids)

    def _goes_on(self, ids: Sequence[int]) -> bool:
        return all(map(operator.lt, ids, ids[1:])) and (not ids or not self._count or ids[0] >= self._last)

    def _set(self) -> set[int]:
        if self._all is None:
            self._all = {id_ for ids in self._ascending for id_ in ids}
            self._ascending = []
        return self._all


class _Kept:
    """The pages read so far, each element once. With `since` only elements that came after it are kept."""

    def __init__(self, since: Since | None) -> None:
        self.pages: list[Page] = []
        self.ids = Ids()
        self.since = since

    def take(self, page: Page) -> None:
        """Keep what is new of a page."""
        least = self.since.max_id if self.since else 0
        known = self.ids.known(page.listed_ids)
        new = [place for place, id_ in enumerate(page.ids) if id_ > least and id_ not in known]
        if new:
            self.pages.append(page.only(new).packed())
        self.ids.add(page.listed_ids)

    def read(self, place: Any, ahead: Iterable[Any] = ()) -> Generator[Ask, Page, Page]:
        """Read a page and keep it."""
        page = yield Ask(place, ahead, len(self.ids))
        self.take(page)
        return page

    def ends_after(self, page: Page) -> bool:
        """Whether the newest come first, and what comes after this page is older than `since`."""
        ids = page.listed_ids
        return self.since is not None and _descends(ids) and ids[-1] <= self.since.max_id

    def begins_before(self, page: Page) -> bool:
        """Whether the oldest come first, by id or by ``updated_at``, and what comes before this page is older."""
        ids, at = page.listed_ids, page.updated_at
        if self.since is None or len(ids) < 2 or not _descends(ids[::-1]) or ids[0] > self.since.max_id:
            return False
        is_by_id = any(a > b for a, b in pairwise(at))
        return is_by_id or (bool(at) and at[0] < self.since.max_updated_at - CLOCK_SLACK_S)


def _descends(ids: Sequence[int]) -> bool:
    return len(ids) > 0 and all(a > b for a, b in pairwise(ids))


# --- by offset -----------------------------------------------------------------------------------------------


def by_offset(
    at_offset: Callable[[int], Any],
    at_number: Callable[[int], Any],
    page_rows: int,
    *,
    expected_rows: int | None = None,
    since: Since | None = None,
) -> Reading:
    """Read by offset, `page_rows` at a time; by page number where the server turns out to ignore offsets.

    `since` ends the reading early where the newest elements come first. Raises Temporary where the list never
    stands still.
    """
    kept = _Kept(since)
    offset, overlaps, moves = 0, False, 0
    before: Sequence[int] = ()
    ahead: Iterable[Any] = ()
    while True:
        page = yield Ask(at_offset(offset), ahead, len(kept.ids))
        ids = page.listed_ids
        if offset and ids and ids == before:
            return (yield from _by_number(kept, at_number, len(ids), expected_rows, first_ids=ids))
        if offset and overlaps and not kept.ids.known(ids[:1]):
            moves += 1
            if moves > MOST_MOVES:
                raise Temporary("the catalog keeps changing while it is read")
            offset, ahead = max(0, offset - page_rows // 2), ()
            continue
        kept.take(page)
        if not ids or kept.ends_after(page) or (offset and overlaps and len(ids) == 1):
            return kept.pages
        overlaps, before = len(ids) > 1, ids
        offset += len(ids) - overlaps
        is_full = len(ids) == page_rows and since is None
        ahead = map(at_offset, count(offset + page_rows - 1, page_rows - 1)) if is_full else ()


# --- by number -----------------------------------------------------------------------------------------------


def by_number(
    at_number: Callable[[int], Any], page_rows: int, *, expected_rows: int | None = None, since: Since | None = None
) -> Reading:
    """Read by page number. `expected_rows`, as of the last reading, spares the search for the last page.

    Where nothing moved it costs two requests more than there are pages: one past the end, and the last page
    again. With `since` the pages are read from the last one, until they are older. Raises Temporary where the
    list never stands still.
    """
    return (yield from _by_number(_Kept(since), at_number, page_rows, expected_rows))


def _by_number(
    kept: _Kept,
    at: Callable[[int], Any],
    page_rows: int,
    expected_rows: int | None,
    *,
    first_ids: Sequence[int] | None = None,
) -> Reading:
    """`first_ids` are those of the first page, where it was read just before."""
    last, ending = yield from _last_page(kept, at, page_rows, -(-(expected_rows or 0) // page_rows))
    for _ in range(MOST_ROUNDS):
        if (last < 2 and len(ending.listed_ids) < page_rows) or kept.begins_before(ending):
            return kept.pages
        if kept.since is not None:
            yield from _backwards(kept, at, last - 1)
            return kept.pages
        beginning: Sequence[int] = []
        for number in range(1, last):
            page = yield from kept.read(at(number), map(at, range(number + 1, last)))
            beginning = beginning or page.listed_ids
        again = yield from kept.read(at(last))
        is_still = _stood_still(ending, again)
        if not _descends([*beginning, *ending.listed_ids]):
            if not is_still:
                last, _ = yield from _last_page(kept, at, page_rows, last)
                yield from _arrivals(kept, at, page_rows, last, (yield from _backwards(kept, at, last)))
            return kept.pages
        # Newest first: rows move both ways, and only a round in which neither end moved is whole. The first page
        # has to be from before the last one, or an addition between the two hides a deletion after them.
        newest_ids = again.listed_ids if last == 1 else (yield from kept.read(at(1))).listed_ids
        if is_still and (last == 1 or newest_ids == first_ids):
            return kept.pages
        first_ids = newest_ids
        last, ending = yield from _last_page(kept, at, page_rows, last)
    raise Temporary("the catalog keeps changing while it is read")


def _stood_still(before: Page, after: Page) -> bool:
    """Whether the last page proves that no row before it moved: the same ids, and one that nobody edited meanwhile.

    An edited element proves nothing: in a list ordered by ``updated_at`` it is the last one again.
    """
    is_same = after.listed_ids[: len(before.listed_ids)] == before.listed_ids
    untouched = set(zip(before.ids, before.updated_at, strict=True)) & set(
        zip(after.ids, after.updated_at, strict=True)
    )
    return is_same and (bool(untouched) or not before.ids)


def _last_page(
    kept: _Kept, at: Callable[[int], Any], page_rows: int, guess: int
) -> Generator[Ask, Page, tuple[int, Page]]:
    """The number of the last page that has rows, 0 for none, and the page.

    A page that repeats another one is past the end too: some routes ignore the number (notes 4.1).
    """
    found: dict[int, Page] = {}
    filled, empty, step = 0, 0, 1
    number, ahead = max(guess, 1), [guess + 1] if guess > 1 else []
    while True:
        page = yield from kept.read(at(number), map(at, ahead))
        is_full = len(page.listed_ids) >= page_rows
        ahead = []
        if page.listed_ids and all(page.listed_ids != other.listed_ids for other in found.values()):
            filled, empty = number, empty if empty > number else 0
            found[number] = page
        else:
            empty = number
            if empty == filled + 1:
                return filled, found.get(filled, page)
        if not empty:
            number = filled + step
            if is_full and (guess < 2 or step > 1):
                ahead = [number + 2 * step]
            step *= 2
        elif not filled:
            number = max(1, empty - step)
            step *= 2
        else:  # the page past the end is looked at last, even if it was empty before
            number = max(filled + 1, (filled + empty) // 2)
            ahead = [(number + empty) // 2] if empty - number > 1 else []  # right in every other case


Seen = set[tuple[int, int]]
"""Elements by id and ``updated_at``."""


def _backwards(kept: _Kept, at: Callable[[int], Any], last: int) -> Generator[Ask, Page, Seen]:
    """Read one by one from the last page to the first: what moves up is still to be read, or is read twice."""
    seen: Seen = set()
    for number in range(last, 0, -1):
        page = yield from kept.read(at(number))
        seen.update(zip(page.ids, page.updated_at, strict=True))
        if kept.begins_before(page):
            break
    return seen


def _arrivals(
    kept: _Kept, at: Callable[[int], Any], page_rows: int, last: int, seen: Seen
) -> Generator[Ask, Page, None]:
    """What came to the end of the list while it was read backwards, until nothing more does.

    An edited element moves there in a list that is ordered by ``updated_at`` (notes 8, Q35).
    """
    for _ in range(MOST_ROUNDS):
        known_count = len(kept.ids)
        number, _ = yield from _last_page(kept, at, page_rows, last)
        while number:
            page = yield from kept.read(at(number))
            if not seen.isdisjoint(zip(page.ids, page.updated_at, strict=True)):
                break
            number -= 1
        if len(kept.ids) == known_count:
            return
    raise Temporary("the catalog keeps changing while it is read")
