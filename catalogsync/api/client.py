"""Client: a dialect joined with a transport. Fetches catalogs as columns, writes batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from catalogsync.api import v4_fields, v4_options
from catalogsync.api.auth import Account
from catalogsync.api.dialect import Batch, Capabilities, Dialect, Flow, Page, Reading, Request, Response, Since
from catalogsync.api.limited import RateLimited, turns_file
from catalogsync.api.metered import Metered
from catalogsync.api.transport import Authorized, HttpTransport, Retrying, Transport, credentials_of
from catalogsync.api.v2 import V2
from catalogsync.api.v4 import V4
from catalogsync.budget import Budget
from catalogsync.collecting import rare_collections
from catalogsync.errors import Refused, UnexpectedAnswer, UserError
from catalogsync.model import Catalog, Change, Column, NewField, Result, Schema
from catalogsync.pace import CEILING_RPS, Pace

DIALECTS: Mapping[str, type[V2] | type[V4]] = {"v2": V2, "v4": V4}

T = TypeVar("T")

PAGES_AHEAD = 3
"""How many pages may be under way beside the one that is waited for: at 6.6 requests a second this hides a latency
of half a second."""

Progress = Callable[[int], None]


def connect(
    account: Account,
    *,
    rps: float = CEILING_RPS,
    on_wait: Callable[[str], None] | None = None,
    on_notice: Callable[[str], None] | None = None,
    budget: Budget | None = None,
) -> Client:
    """A client for an account. `rps` is the ceiling of requests per second, 0 for none; `budget` that of its run.

    `on_wait` hears why a request is sent again, `on_notice` what a person should do soon about the login.
    """
    budget = budget or Budget()
    credentials = credentials_of(account, rps=rps, on_notice=on_notice)
    transport: Transport = Metered(HttpTransport(account, credentials=credentials), budget)
    if rps:
        budget.pace = Pace(rps)
        transport = RateLimited(transport, turns_file=turns_file(account.url), pace=budget.pace, budget=budget)
    authorized = Authorized(transport, credentials)
    return Client(DIALECTS[account.api](), Retrying(authorized, on_wait=on_wait, budget=budget), budget)


class Client:
    """One account through one dialect. A context manager: leaving it closes the connections.

    `budget` counts what is sent; without one that the transport counts against, each request counts once.
    `vain_reads` are the pages that were asked for ahead and turned out not to be needed.
    """

    def __init__(self, dialect: Dialect, transport: Transport, budget: Budget | None = None) -> None:
        self._dialect = dialect
        self.budget = budget or Budget()
        self._transport = transport if budget else Metered(transport, self.budget)
        self._ahead_s = 0.0
        self.vain_reads = 0
        self._answer_rows = dialect.capabilities.ids_per_read

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and threads."""
        self._transport.close()

    @property
    def capabilities(self) -> Capabilities:
        """What the dialect declares."""
        return self._dialect.capabilities

    def send(self, request: Request) -> Response:
        """Send a request that is no dialect's conversation. Raises ApiError."""
        return self._send(request)

    @property
    def rows_per_answer(self) -> int:
        """How many of the elements asked for by id one answer holds, as far as is known: some accounts ignore the
        limit of rows that is named (notes 1.4), which their answers so far have shown."""
        return self._answer_rows

    @property
    def requests_sent(self) -> int:
        """How many requests were sent, repeated ones included; see `reads_sent` and `writes_sent`."""
        return self.budget.requests_sent

    @property
    def reads_sent(self) -> int:
        """How many GETs were sent."""
        return self.budget.reads_sent

    @property
    def writes_sent(self) -> int:
        """How many requests were sent that write."""
        return self.budget.writes_sent

    @property
    def throttled(self) -> int:
        """How often the account answered that it was asked too fast (429)."""
        return self.budget.throttled

    def _send(self, request: Request) -> Response:
        began_at = self.budget.clock()
        response = self._transport.send(request)
        self.budget.took(self.budget.clock() - began_at)
        stamp = next((text for name, text in response.headers.items() if name.lower() == "runtime-timestamp"), "")
        if stamp.isdecimal():
            self._ahead_s = int(stamp) - time.time()
        return response

    def server_now_at(self) -> int:
        """The server's time in Unix seconds, never ahead of it: by its latest ``Runtime-Timestamp`` (notes 1)."""
        return math.floor(time.time() + self._ahead_s)

    def _run(self, flow: Flow[T]) -> T:
        """A conversation, to its end."""
        try:
            request = next(flow)
            while True:
                request = flow.send(self._send(request))
        except StopIteration as end:
            result: T = end.value
            return result

    # --- lists ---

    def catalogs(self, catalog_id: int | None = None) -> list[Catalog]:
        """All lists of the account, or the one with this id."""
        return self._dialect.read_catalogs(self._send(self._dialect.catalogs_request(catalog_id)))

    def catalog(self, wanted: str) -> Catalog:
        """The list with this id or exact name. Raises UserError where there is none, or several."""
        if wanted.isdecimal():
            by_id = [catalog for catalog in self.catalogs(int(wanted)) if catalog.id == int(wanted)]
            if by_id:
                return by_id[0]
        catalogs = self.catalogs()
        found = [catalog for catalog in catalogs if catalog.name == wanted]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{c.id} ({c.name})" for c in catalogs) or "none"
        if found:
            raise UserError(f"several catalogs are called “{wanted}”: use the id. Catalogs: {known}")
        raise UserError(f"the account has no catalog “{wanted}”. Catalogs: {known}")

    def schema(self, catalog: Catalog) -> Schema:
        """The list's custom fields, and the account's id and time zone."""
        return self._run(self._dialect.schema(catalog))

    def schema_requests(self, schema: Schema) -> int:
        """How many requests `schema` sends for a schema like this."""
        return self._dialect.schema_requests(schema)

    def write_catalogs(
        self,
        *,
        add: Sequence[Mapping[str, Any]] = (),
        update: Sequence[Mapping[str, Any]] = (),
        delete: Sequence[int] = (),
    ) -> tuple[list[int], list[str]]:
        """Add, change and delete lists in the fewest requests: the ids confirmed, the errors told."""
        return self._run(self._dialect.write_catalogs(add, update, delete))

    # --- fields and their options ---

    def add_fields(self, catalog_id: int, fields: Sequence[NewField]) -> int:
        """Create custom fields, through v4 whatever the dialect (v4_fields.py): how many the answers confirm.

        Raises InDoubt where an answer is lost: the schema then says what is there. Raises Refused with the names.
        """
        count = 0
        for request, some in v4_fields.add_requests(catalog_id, fields):
            try:
                count += len(v4_fields.added_ids(self._send(request)))
            except Refused as error:
                told = "; ".join(v4_fields.refused_fields(some, error.body)) or error.message
                raise Refused(f"fields were not created: {told}", status=error.status, body=error.body) from None
        return count

    def options(self, catalog_id: int, field_id: int) -> tuple[v4_options.Option, ...]:
        """The options that a field has now."""
        return v4_options.read(self._send(v4_options.read_request(catalog_id, field_id)), field_id)

    def write_options(self, request: Request, field_id: int) -> tuple[v4_options.Option, ...]:
        """Send a change of a field's options (`v4_options.write_request`); those that it has after it."""
        return v4_options.read(self._send(request), field_id)

    # --- elements ---

    def elements(
        self,
        schema: Schema,
        columns: Sequence[Column],
        *,
        expected_rows: int | None = None,
        since: Since | None = None,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """The elements of a list as columns: ``id``, ``updated_at``, ``updated_by``, ``linked``, text per column key.

        Each element once, also where rows move between pages (reading.py). `expected_rows` is how many the list
        had when it was last read. With `since` only the elements that came after that reading, which ends early
        where the server's order allows it.
        """

        def request(place: Any) -> Request:
            return self._dialect.elements_request(schema.catalog_id, place)

        reading = self._dialect.reading(expected_rows, since)
        return _frame(self._pages(reading, request, schema, columns, progress), columns)

    def _pages(
        self,
        reading: Reading,
        request: Callable[[Any], Request],
        schema: Schema,
        columns: Sequence[Column],
        progress: Progress | None = None,
    ) -> list[Page]:
        """The pages of a reading, to its end.

        While one page is looked at, the next ones are under way: the rate limit, not the latency, says how
        long it takes. Each becomes columns where it arrives. What is under way when the end is reached was asked for
        in vain.
        """

        def page(wanted: Request) -> Page:
            return self._read(self._send(wanted), columns, schema)

        ahead = _Ahead(page)
        with rare_collections(), ahead:
            try:
                ask = next(reading)
                while True:
                    if progress and ask.found_count:
                        progress(ask.found_count)
                    ahead.ask(map(request, (ask.place, *islice(ask.ahead, PAGES_AHEAD - 1))))
                    ask = reading.send(ahead.answer(request(ask.place)))
            except StopIteration as end:
                pages: list[Page] = end.value
        self.vain_reads += ahead.vain_count
        longest = max((len(page.listed_ids) for page in pages), default=0)
        if longest < min(self.capabilities.page_rows, sum(len(page.ids) for page in pages)):
            self._answer_rows = min(self._answer_rows, longest)
        if progress:
            progress(sum(len(page.ids) for page in pages))
        return pages

    def _read(self, response: Response, columns: Sequence[Column], schema: Schema) -> Page:
        try:
            return self._dialect.read_elements(response, columns, schema.timezone)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"an element in the answer has another shape than expected ({type(error).__name__}: {error})"
            raise UnexpectedAnswer(what, status=response.status) from None

    def reading(self, expected_rows: int | None, since: Since | None) -> Reading:
        """How `elements` reads a list, as a value: nothing is sent."""
        return self._dialect.reading(expected_rows, since)

    def rows_at(self, place: Any) -> tuple[int, int]:
        """A place of such a reading as the number of rows before it, and how many rows it has."""
        return self._dialect.rows_at(place)

    def elements_by_ids(self, schema: Schema, columns: Sequence[Column], ids: Sequence[int]) -> pd.DataFrame:
        """Certain elements, as `elements` gives them; an id that does not exist is left out.

        An answer with some of them may be a page that was cut: the others are asked for again.
        """
        pages = []
        for some in _chunks(list(dict.fromkeys(ids)), self.capabilities.ids_per_read):
            wanted = list(some)
            before = 0
            while wanted:
                response = self._send(self._dialect.elements_by_ids_request(schema.catalog_id, wanted))
                page = self._read(response, columns, schema)
                asked, found = set(wanted), set(page.ids)
                if before and asked & found:  # what the answer before left out is there: it was cut
                    self._answer_rows = min(self._answer_rows, before)
                before = len(asked & found)
                pages.append(page.only([place for place, id_ in enumerate(page.ids) if id_ in asked]))
                wanted = [id_ for id_ in wanted if id_ not in found] if asked & found else []
        return _frame(pages, columns)

    def elements_by_term(self, schema: Schema, columns: Sequence[Column], term: str) -> pd.DataFrame:
        """The elements that a search for `term` finds, as `elements` gives them."""

        def request(place: Any) -> Request:
            return self._dialect.elements_by_term_request(schema.catalog_id, term, place)

        return _frame(self._pages(self._dialect.reading(), request, schema, columns), columns)

    # --- writing ---

    def write_requests(self, counts: Mapping[str, int], batch_size: int) -> int:
        """The fewest requests that carry so many adds, updates and deletes (law 5)."""
        return self._dialect.write_requests(counts, min(batch_size, self.capabilities.max_batch))

    def parts(self, changes: Sequence[Change], batch_size: int) -> Iterator[Sequence[Change]]:
        """The changes as they are put into requests; nothing is encoded."""
        return self._dialect.parts(changes, min(batch_size, self.capabilities.max_batch))

    def batches(self, catalog_id: int, changes: Sequence[Change], schema: Schema, batch_size: int) -> Iterator[Batch]:
        """The fewest requests that carry the changes (law 5)."""
        size = min(batch_size, self.capabilities.max_batch)
        return self._dialect.batches(catalog_id, changes, schema, size)

    def read_refusal(self, batch: Batch, error: Refused) -> list[Result]:
        """The changes that a refusal of a whole request names; none where it names none."""
        return self._dialect.read_refusal(batch, error.body)

    def with_names(self, batch: Batch, error: Refused, names: Mapping[int, str]) -> Batch | None:
        """The batch with the elements' names in its updates, where their absence is all that a refusal names."""
        return self._dialect.with_names(batch, error.body, names)

    def write(self, batch: Batch) -> list[Result]:
        """Send a batch: one result per change. Raises ApiError where the request as a whole failed."""
        response = self._send(batch.request)
        try:
            return self._dialect.read_results(batch, response)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"the answer to a write has another shape than expected ({type(error).__name__}: {error})"
            raise UnexpectedAnswer(what, status=response.status) from None


class _Ahead:
    """Pages that are probably needed next, under way while others are looked at."""

    def __init__(self, page: Callable[[Request], Page]) -> None:
        self._page = page
        self._pool = ThreadPoolExecutor(PAGES_AHEAD, "page")
        self._under_way: dict[Request, Future[Page]] = {}
        self.vain_count = 0

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        is_interrupted = kind is not None and not issubclass(kind, Exception)
        self._pool.shutdown(wait=not is_interrupted, cancel_futures=True)
        self.vain_count += sum(not future.cancelled() for future in self._under_way.values())

    def ask(self, requests: Iterable[Request]) -> None:
        """Ask for these soon, unless they are under way; what is under way and not among them is dropped if it can."""
        wanted = list(requests)
        for request in [request for request in self._under_way if request not in wanted]:
            self.vain_count += not self._under_way.pop(request).cancel()
        for request in wanted:
            if request not in self._under_way:
                self._under_way[request] = self._pool.submit(copy_context().run, self._page, request)

    def answer(self, request: Request) -> Page:
        """The page that a request asks for: of the one under way, else of one that is sent now."""
        future = self._under_way.pop(request, None)
        if future is None or future.cancelled():
            return self._page(request)
        return future.result()


def _chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _frame(pages: list[Page], columns: Sequence[Column]) -> pd.DataFrame:
    """The pages as one table. They are taken out of their list: what is joined already is not held twice."""

    def numbers(of: Callable[[Page], Iterable[int]], dtype: str) -> NDArray[Any]:
        return np.concatenate([np.array(of(page), dtype=dtype) for page in pages] or [np.zeros(0, dtype)])

    made: dict[str, Any] = {
        "id": numbers(lambda page: page.ids, "int64"),
        "updated_at": numbers(lambda page: page.updated_at, "int64"),
        "updated_by": numbers(lambda page: page.updated_by, "int64"),
        "linked": numbers(lambda page: page.linked, "bool"),
    }
    parts = {column.key: [page.values.column(column.key) for page in pages] for column in columns}
    pages.clear()
    for key in list(parts):
        texts = pa.chunked_array(parts.pop(key), pa.large_string()).combine_chunks()
        made[key] = pd.Series(pd.array(texts, dtype="str"), copy=False)
        pa.default_memory_pool().release_unused()  # or the joined and the parts are held together till the last one
    return pd.DataFrame(made, copy=False)
