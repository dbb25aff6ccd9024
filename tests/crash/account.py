"""The account of a random schedule: the emulator without a socket, on a clock of its own, and everything that happens
to its elements in one order.

Every occurrence has a number, its `seq`. A write knows which request carried it and what its sender had read by then,
so that it can be told afterwards whether somebody's edit was overwritten that had been looked at, or one that came
between the look and the write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

import requests
from requests.structures import CaseInsensitiveDict

from catalogsync.api.dialect import Request
from catalogsync.emulator import server
from catalogsync.emulator.late import Late
from catalogsync.emulator.model import Element, Value
from catalogsync.emulator.seed import load_seed
from catalogsync.emulator.server import Arrival, Emulator
from catalogsync.emulator.store import Store
from catalogsync.emulator.wire import Call

T = TypeVar("T")

BEGIN_S = 1_760_000_000.0
WRITES = ("POST", "PATCH")


class Clock:
    """Stands still until something sleeps."""

    def __init__(self) -> None:
        self.now_s = BEGIN_S

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Moves on at once."""
        self.now_s += max(0.0, seconds)


@dataclass(frozen=True)
class Sending:
    """A request on its way: who sent it (the command's number, 0 for a colleague), at which `seq` and time.

    `planned` and `looked` say by element id when its values were read for the plan, and when it was read last;
    `is_compared` whether the server compares its updates with what they were made from. A look counts as one just
    before where it came after `since`: the writing had begun then, and the write before this one was over.
    """

    command: int
    seq: int
    at_s: float
    planned: Mapping[int, int] = field(default_factory=dict)
    looked: Mapping[int, int] = field(default_factory=dict)
    is_compared: bool = False
    since: int = 0


COLLEAGUE = Sending(0, 0, 0.0)


@dataclass(frozen=True)
class Event:
    """An element was added (`before` is None), changed or deleted (`after` is None), by the request `by`."""

    seq: int
    at_s: float
    by: Sending
    is_late: bool
    before: Element | None
    after: Element | None

    @property
    def id(self) -> int:
        """The element's."""
        element = self.before or self.after
        assert element is not None
        return element.id

    def changed(self) -> set[str]:
        """The column keys whose text it changed; all where the element came or went."""
        old, new = texts_of(self.before), texts_of(self.after)
        return {key for key in {*old, *new} if old.get(key, "") != new.get(key, "")}


def texts_of(element: Element | None) -> dict[str, str]:
    """The name and the values of an element by column key; nothing for none."""
    if element is None:
        return {}
    texts = {"name": element.name}
    for number, value in element.values.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        texts |= {f"{number}.{part}" if part else str(number): str(text) for part, text in parts}
    return texts


class _Store(Store):
    """Tells of everything that happens to an element."""

    def __init__(self, account: Account) -> None:
        super().__init__(Path(":memory:"), account.now, durable=False)
        self._watched = account

    def insert_element(
        self, catalog_id: int, name: str, values: Mapping[int, Value], *, by: int, at: int, **told: Any
    ) -> Element:
        element = super().insert_element(catalog_id, name, values, by=by, at=at, **told)
        self._watched.happened(None, element)
        return element

    def save_element(self, element: Element) -> None:
        before = self.element(element.id)
        super().save_element(element)
        self._watched.happened(before, element)

    def delete_element(self, element_id: int) -> bool:
        before = self.element(element_id)
        if before is not None:
            self._watched.happened(before, None)
        return super().delete_element(element_id)


class _Late(Late):
    """Remembers who sent what is applied late."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self._account = account

    def add(self, due_s: float, apply: Callable[[int], object]) -> None:
        sender = self._account.sending

        def apply_as_sent(at: int) -> None:
            with self._account.acting(sender, is_late=True):
                apply(at)

        super().add(due_s, apply_as_sent)


class Account:
    """An emulator to which requests are handed. `events` is all that happened, `requests` the requests so far."""

    def __init__(self, seed: Mapping[str, Any], token: str, clock: Clock) -> None:
        self._clock, self._token = clock, token
        self.seq = 0
        self.sending, self.is_late = COLLEAGUE, False
        self.events: list[Event] = []
        self.command = 0
        self._planned: dict[int, int] = {}
        self._looked: dict[int, int] = {}
        self._since = 0
        self._last_write: tuple[Request | None, int] = None, 0
        self.emulator = Emulator(rps=0, clock=clock, steady_clock=clock)
        self.emulator.late = _Late(self)
        self.store = _Store(self)
        load_seed(self.store, seed, self.now())
        self.events.clear()
        port = SimpleNamespace(spawn=lambda work: work.close(), pause=_never)
        self.emulator._running = cast(Any, SimpleNamespace(store=self.store, port=port, token=token))

    def now(self) -> int:
        """The server's time in whole seconds."""
        return int(self._clock())

    def close(self) -> None:
        """Closes the database."""
        self.store.close()

    # --- what happens ---

    def next(self) -> int:
        """The number of what happens next."""
        self.seq += 1
        return self.seq

    def happened(self, before: Element | None, after: Element | None) -> None:
        """Something came of an element, by whoever is acting."""
        by = self.sending
        at_s = self._clock()
        self.events.append(Event(self.next(), at_s, by, self.is_late, before, after))

    @contextmanager
    def acting(self, sender: Sending, *, is_late: bool = False) -> Iterator[None]:
        """What happens meanwhile, `sender` does."""
        before = self.sending, self.is_late
        self.sending, self.is_late = sender, is_late
        try:
            yield
        finally:
            self.sending, self.is_late = before

    def begin(self, command: int) -> None:
        """A command begins, or begins to read for its plan: what was read before counts no more."""
        self.command = command
        self._planned, self._looked = {}, {}

    def begin_to_write(self) -> None:
        """The command's plan is made, and is carried out now."""
        self._last_write = None, self.next()

    # --- requests ---

    def serve(self, request: Request) -> requests.Response | None:
        """The answer to a request; None where the connection died instead."""
        self.emulator.late.settle(self._clock())
        query = urlencode(request.params)
        target = f"{request.path}?{query}" if query else request.path
        body = b"" if request.json is None else json.dumps(request.json, ensure_ascii=False).encode()
        arrival = Arrival(self._clock(), request.method, target, request.json)
        self.emulator._arrivals.append(arrival)
        call = Call(request.method, request.path, request.params, query, body, "http://here", "application/json")
        seq = self.next()
        if request.method in WRITES and request is not self._last_write[0]:  # else it is sent again after a 429
            self._since, self._last_write = self._last_write[1], (request, seq)
        is_compared = request.method in WRITES and request.path.startswith("/api/v2/")
        sending = Sending(
            self.command, seq, self._clock(), dict(self._planned), dict(self._looked), is_compared, self._since
        )
        with self.acting(sending):
            try:
                given = _result(self.emulator._through_faults(call, f"Bearer {self._token}", self._clock()))
            except server._Dropped:
                arrival.status = 0
                return None
        arrival.status = given.status
        if request.method == "GET" and given.status == 200:
            self._was_read(seq, given.body)
        answer = requests.Response()
        answer.status_code = given.status
        answer._content = given.body
        headers = {"Runtime-Timestamp": str(self.now()), "Content-Type": given.content_type, **dict(given.headers)}
        answer.headers = CaseInsensitiveDict(headers)
        return answer

    def _was_read(self, seq: int, body: bytes) -> None:
        """The elements in an answer have been looked at."""
        try:
            embedded = json.loads(body)["_embedded"]
            found = [int(each["id"]) for each in embedded.get("elements", embedded.get("items", []))]
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # damaged: nobody can read it
        for id_ in found:
            self._planned.setdefault(id_, seq)
            self._looked[id_] = seq


async def _never(_seconds: float) -> bool:
    return False


def _result(work: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    raise AssertionError("the emulator waits for something")
