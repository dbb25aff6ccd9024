"""Reading a catalog that others change meanwhile: what nobody touched is there, once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from catalogsync.api.client import Client
from catalogsync.api.dialect import Request, Response
from catalogsync.api.v2 import V2
from catalogsync.model import Schema

Move = tuple[str, int]


class Moving:
    """A server in memory that changes its list between any two pages. Pages of 10, newest first.

    A stand-in for the emulator, which answers the same in 1/100 of the speed: 1,000 schedules are run here.
    """

    def __init__(self, count: int, schedule: list[list[Move]]) -> None:
        self.ids = list(range(1, count + 1))
        self.touched: set[int] = set()
        self._schedule = schedule
        self._reads = 0

    def send(self, request: Request) -> Response:
        """One page; then the changes that are due."""
        params = dict(request.params)
        newest_first = sorted(self.ids, reverse=True)
        offset = int(params.get("limit_offset", 10 * (int(params.get("page", 1)) - 1)))
        rows = newest_first[offset : offset + 10]
        items = [{"id": id_, "name": f"P{id_}", "updated_at": 1, "custom_fields": []} for id_ in rows]
        for kind, number in self._schedule[self._reads] if self._reads < len(self._schedule) else ():
            if kind == "add":
                new = max(self.ids, default=0) + 1
                self.ids.append(new)
                self.touched.add(new)
            elif self.ids:
                gone = self.ids.pop(number % len(self.ids))
                self.touched.add(gone)
        self._reads += 1
        return Response(200, {"_embedded": {"items": items}}) if items else Response(204)

    def close(self) -> None:
        """Nothing to close."""


moves = st.lists(st.tuples(st.sampled_from(["add", "delete"]), st.integers(0, 200)), max_size=6)


@given(count=st.integers(0, 80), schedule=st.lists(moves, max_size=12))
@settings(max_examples=1000, deadline=None)
def test_whatever_moves_no_untouched_element_is_missed_or_doubled(count: int, schedule: list[list[Move]]) -> None:
    server = Moving(count, schedule)
    before = set(server.ids)
    table = Client(V2(), server).elements(Schema(1, "UTC", 4220, "Products", ()), ())

    read = table["id"].tolist()
    assert len(read) == len(set(read))
    assert before - server.touched <= set(read)


def test_after_a_deletion_between_two_pages_the_stretch_is_read_again() -> None:
    server = Moving(40, [[("delete", 39)]])
    client = Client(V2(), server)

    table = client.elements(Schema(1, "UTC", 4220, "Products", ()), ())

    assert set(table["id"]) == set(range(1, 41))
    assert client.requests_sent == 2 + 6
