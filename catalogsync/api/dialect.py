"""What a dialect of the remote API is: pure conversions between this project's values and requests.

A dialect sends nothing. What it can do is declared in `Capabilities`, not found out by `if`s elsewhere.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from catalogsync.model import Catalog, Change, Column, Result, Schema


@dataclass(frozen=True)
class Request:
    """One request as a value. `is_repeatable` says whether sending it twice is harmless.

    `decode` makes of the answer's bytes what the dialect reads faster than plain JSON. It raises ValueError where the
    answer has another shape; that one is decoded as plain JSON.
    """

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    json: Any = None
    is_repeatable: bool = True
    decode: Callable[[bytes], Any] | None = field(default=None, compare=False)

    @cached_property
    def content(self) -> bytes | None:
        """What is sent: `json` as UTF-8, None where there is none. Made once, it goes to the journal as well."""
        return None if self.json is None else json.dumps(self.json, ensure_ascii=False).encode("utf-8")


@dataclass(frozen=True, slots=True)
class Response:
    """One answer as a value. `json` is None where the body is empty or no JSON; `elapsed_s` until its headers came.

    Where the request has a `decode`, `json` is what that made of the answer, or plain JSON.
    """

    status: int
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    elapsed_s: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a dialect's API allows. `ids_per_read` elements can be looked up in one request.

    `compares_updates`: whether the server refuses an update of an element that was edited since it was read.
    `keeps_repeated_hours`: whether a moment keeps its identity in the hour that clocks repeat.
    `shows_links`: whether it can be seen that an element hangs on deals or customers.
    """

    max_batch: int
    page_rows: int
    ids_per_read: int
    can_delete: bool
    compares_updates: bool
    keeps_repeated_hours: bool
    shows_links: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page of elements as columns: ids, when (Unix seconds) and by whom edited, canonical text by column key.

    `values` has a column (large_string) per wanted column key, without missing values.
    `linked` says which elements hang on deals or customers, as far as the API shows it. `listed_ids` are
    those of all rows the server listed, elements that are marked as deleted too: by them the next page is
    found.
    """

    ids: Sequence[int]
    updated_at: Sequence[int]
    updated_by: Sequence[int]
    values: pa.RecordBatch
    linked: Sequence[int]
    listed_ids: Sequence[int]

    def packed(self) -> Page:
        """The page in as little memory as it takes."""
        numbers = (self.ids, self.updated_at, self.updated_by, self.listed_ids)
        ids, updated_at, updated_by, listed_ids = (array("q", each) for each in numbers)
        return Page(ids, updated_at, updated_by, self.values, array("b", self.linked), listed_ids)

    def only(self, places: Sequence[int]) -> Page:
        """The page with some of its elements, by their places in it."""
        if len(places) == len(self.ids):
            return self
        is_end = bool(places) and places[0] == len(self.ids) - len(places)  # ascending, so all from there on
        return replace(
            self,
            ids=[self.ids[i] for i in places],
            updated_at=[self.updated_at[i] for i in places],
            updated_by=[self.updated_by[i] for i in places],
            values=self.values.slice(places[0]) if is_end else self.values.take(pa.array(places, pa.int64())),
            linked=[self.linked[i] for i in places],
        )


@dataclass(frozen=True)
class Ask:
    """What a reading wants: the place to read now, those that are probably next, and how many it has read so far.

    Places are the dialect's own; `Dialect.elements_request` makes requests of them.
    """

    place: Any
    ahead: Iterable[Any]
    found_count: int


Reading = Generator[Ask, Page, list[Page]]
"""A list read page by page without any I/O: yields places, gets pages, returns them with each element once."""


@dataclass(frozen=True, slots=True)
class Since:
    """The state of a list at an earlier reading: its highest id, and the latest ``updated_at`` in it (Unix seconds)."""

    max_id: int
    max_updated_at: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes that travel in one request. `number` is 1-based within the run."""

    number: int
    request: Request
    changes: tuple[Change, ...]


T = TypeVar("T")

Flow = Generator[Request, Response, T]
"""A conversation of several requests without any I/O: yields requests, gets responses, returns what came of it."""


class Dialect(Protocol):
    """Requests out of values, values out of responses. What a `place` in a list is, only the dialect knows."""

    capabilities: Capabilities

    def catalogs_request(self, catalog_id: int | None = None) -> Request:
        """Asks for all catalogs, or for one."""

    def read_catalogs(self, response: Response) -> list[Catalog]:
        """The catalogs in an answer."""

    def schema(self, catalog: Catalog) -> Flow[Schema]:
        """Asks for what the account says about one of its catalogs."""

    def write_catalogs(
        self, add: Sequence[Mapping[str, Any]], update: Sequence[Mapping[str, Any]], delete: Sequence[int]
    ) -> Flow[tuple[list[int], list[str]]]:
        """Adds, changes and deletes catalogs: the ids that the answers confirm, and the errors they tell."""

    def elements_request(self, catalog_id: int, place: Any = None) -> Request:
        """Asks for one page of elements; None is the first one."""

    def reading(self, expected_rows: int | None = None, since: Since | None = None) -> Reading:
        """How a list is read page by page: all of it, or what came after an earlier reading."""

    def elements_by_ids_request(self, catalog_id: int, ids: Sequence[int]) -> Request:
        """Asks for certain elements."""

    def elements_by_term_request(self, catalog_id: int, term: str, place: Any = None) -> Request:
        """Asks for one page of the elements that a search finds."""

    def read_elements(self, response: Response, columns: Sequence[Column], timezone: str) -> Page:
        """The elements of a page as columns, one list per column key."""

    def rows_at(self, place: Any) -> tuple[int, int]:
        """A place in a list as the number of rows before it, and how many rows it has."""

    def schema_requests(self, schema: Schema) -> int:
        """How many requests asking for a schema like this takes."""

    def parts(self, changes: Sequence[Change], batch_size: int) -> Iterator[Sequence[Change]]:
        """The changes as `batches` puts them into requests."""

    def write_requests(self, counts: Mapping[str, int], batch_size: int) -> int:
        """The fewest requests that carry so many adds, updates and deletes."""

    def batches(self, catalog_id: int, changes: Sequence[Change], schema: Schema, batch_size: int) -> Iterator[Batch]:
        """The fewest requests that carry all the given changes."""

    def read_results(self, batch: Batch, response: Response) -> list[Result]:
        """What became of each change of a batch."""

    def read_refusal(self, batch: Batch, body: Any) -> list[Result]:
        """The changes that a refusal of a whole batch names; nothing of the batch was stored."""

    def with_names(self, batch: Batch, body: Any, names: Mapping[int, str]) -> Batch | None:
        """The batch with the elements' names (by id) in its updates, where a refusal asks for nothing else."""
