"""`Emulator`: the account on a port of this machine, in its own thread or in the foreground.

Every request passes the same gates in the same order: log, rate limit, faults that come before,
token, handler, faults that come after. Routes under ``/_emulator/`` steer the emulator itself; they
need no token and answer only this machine.
"""

from __future__ import annotations

import json
import secrets
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from dataclasses import field as dataclass_field
from email.utils import formatdate
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from catalogsync.emulator import v2_catalogs, v2_elements, v4_routes
from catalogsync.emulator.faults import Fault, FaultError, Faults
from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.limits import RateLimit
from catalogsync.emulator.port import Port
from catalogsync.emulator.seed import load_seed
from catalogsync.emulator.store import Store
from catalogsync.emulator.wire import (
    Answer,
    Api,
    Call,
    Handler,
    Refused,
    as_json,
    html,
    legacy,
    problem,
)

ROUTES: dict[str, dict[str, Handler]] = {
    v2_catalogs.ACCOUNT: {"GET": v2_catalogs.get_account},
    v2_catalogs.CATALOGS: {"GET": v2_catalogs.get_catalogs, "POST": v2_catalogs.post_catalogs},
    v2_catalogs.FIELDS: {"POST": v2_catalogs.post_fields},
    v2_elements.PATH: {"GET": v2_elements.get_elements, "POST": v2_elements.post_elements},
}

CONTROL = "/_emulator/"
LOOPBACK = ("127.0.0.1", "::1")

MOST_ARRIVALS = 20_000
"""How many requests the log keeps, so that a server that runs for months does not grow."""


@dataclass(slots=True)
class Arrival:
    """One request as it arrived. `at_s` is a steady clock's; `status` is None while it is being answered,
    and 0 where the connection was dropped."""

    at_s: float
    method: str
    target: str
    body: Any = None
    status: int | None = None

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class _Options:
    db: Path | None
    seed: Path | Mapping[str, Any] | None
    port: int
    token: str | None = dataclass_field(repr=False)


class _Dropped(Exception):
    """The connection is to die instead of an answer."""


class Emulator:
    """The remote lists API on a local port.

    `db` keeps the account between starts; without one it lives in a temporary file. `seed` (a YAML or
    JSON file, or the same as a mapping) fills a new database and is ignored by one that holds an account.
    `clock` is the server's time, `steady_clock` counts the rate and stamps the request log.
    """

    def __init__(
        self,
        db: Path | None = None,
        *,
        seed: Path | Mapping[str, Any] | None = None,
        port: int = 0,
        rps: float = 7,
        knobs: Knobs | None = None,
        clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = time.monotonic,
        token: str | None = None,
    ) -> None:
        self._options = _Options(db, seed, port, token)
        self._clock = clock
        self._steady_clock = steady_clock
        self.knobs = knobs or Knobs()
        self.limit = RateLimit(rps, self.knobs.block_after_s)
        self.faults = Faults()
        self._arrivals: deque[Arrival] = deque(maxlen=MOST_ARRIVALS)
        self._running: _Running | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url if self._running else 'stopped'})"

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> _Running:
        if self._running is None:
            raise RuntimeError("the emulator is not running: start it first")
        return self._running

    @property
    def url(self) -> str:
        """Where the account answers, without a slash at the end."""
        return f"http://127.0.0.1:{self.running.port.number}"

    @property
    def token(self) -> str:
        """A token that is let in: the given one, else the oldest one of the database."""
        return self.running.token

    @property
    def store(self) -> Store:
        """What the account holds; another user's edits are its ``…_as_other_user`` methods."""
        return self.running.store

    @property
    def requests(self) -> list[Arrival]:
        """The requests of the API so far, the last `MOST_ARRIVALS` of them, in the order of arrival."""
        return list(self._arrivals)

    def clear_requests(self) -> None:
        """Forgets the requests so far."""
        self._arrivals.clear()

    def fault(self, fault: Fault | str) -> Fault:
        """Sets a fault, as a value or as text (see `faults`); what it has done can be read from it."""
        return self.faults.add(fault if isinstance(fault, Fault) else Fault.from_text(fault))

    def now(self) -> int:
        """The server's time in whole Unix seconds."""
        return int(self._clock())

    def start(self) -> None:
        """Opens database and port and answers from its own thread. Returns once it does."""
        if self._running is None:
            self._running = _Running(self, self._options)

    def stop(self) -> None:
        """Closes port, thread and database. A second time does nothing."""
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def serve_forever(self) -> int:
        """Serves until SIGINT or SIGTERM, then stops; answers the signal's number. Main thread only."""
        caught: list[int] = []

        def remember(number: int, _frame: FrameType | None) -> None:
            caught.append(number)

        before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.start()
            while not caught:
                time.sleep(0.1)
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)
        return caught[0]

    # the gates, on the server's thread

    async def answer(self, request: Request) -> Response:
        """One request through all gates."""
        if request.url.path.startswith(CONTROL):
            return _response(await self._steer(request), self.now())
        arrival = Arrival(self._steady_clock(), request.method, _target(request))
        self._arrivals.append(arrival)
        body = await request.body()
        arrival.body = _parsed(body)
        call = Call(
            request.method,
            request.url.path,
            tuple(request.query_params.multi_items()),
            request.url.query,
            body,
            base=str(request.base_url).rstrip("/"),
        )
        try:
            answer = await self._through_faults(call, request.headers.get("authorization", ""), arrival.at_s)
        except _Dropped:
            arrival.status = 0
            await self.running.port.drop(request)
            return Response()
        arrival.status = answer.status
        return _response(answer, self.now())

    async def _through_faults(self, call: Call, authorization: str, at_s: float) -> Answer:
        token = authorization.removeprefix("Bearer ")
        verdict = self.limit.judge(token, at_s)
        if verdict != "admitted":
            return html(429 if verdict == "over" else 403)
        due = self.faults.due(call.method, call.path)
        for fault in due:
            if fault.when == "before":
                await self._strike(fault)
                if fault.effect == "status":
                    return fault.spoil(html(fault.status), self.now())
        answer = self._handle(call, token)
        for fault in due:
            if fault.when == "after":
                await self._strike(fault)
                answer = fault.spoil(answer, self.now())
        return answer

    async def _strike(self, fault: Fault) -> None:
        if fault.effect == "delay":
            if await self.running.port.pause(fault.delay_s):
                raise _Dropped
        elif fault.effect == "drop":
            raise _Dropped
        elif fault.call is not None:
            fault.call(self.store)

    def _handle(self, call: Call, token: str) -> Answer:
        if token not in self.store.tokens():
            return problem(401, "Token is missing, expired or revoked")
        by_method = ROUTES.get(call.path)
        if by_method is None and call.path.startswith(v4_routes.PREFIX):
            return v4_routes.answer(Api(self.store, self.knobs, self.now), call)
        if by_method is None:
            return html(404)
        handler = by_method.get(call.method)
        try:
            if handler is None:
                raise Refused(405, "Wrong method", 405)
            return handler(Api(self.store, self.knobs, self.now), call)
        except Refused as refused:
            return html(504) if refused.status == 504 else legacy(refused, self.now())

    # steering

    async def _steer(self, request: Request) -> Answer:
        """``/_emulator/{faults,requests,block}``: GET reads, POST adds, DELETE clears."""
        if request.client is None or request.client.host not in LOOPBACK:
            return html(404)
        what = (request.method, request.url.path.removeprefix(CONTROL))
        if what == ("GET", "requests"):
            return as_json(200, [asdict(arrival) for arrival in self._arrivals])
        if what == ("GET", "faults"):
            return as_json(200, [fault.as_json() for fault in self.faults.all()])
        if what == ("POST", "faults"):
            return self._set_faults(await request.body())
        clear = {"requests": self.clear_requests, "faults": self.faults.clear, "block": self.limit.lift}
        if request.method == "DELETE" and what[1] in clear:
            clear[what[1]]()
            return Answer(204)
        return html(404)

    def _set_faults(self, body: bytes) -> Answer:
        try:
            given = json.loads(body)
            faults = [Fault.from_json(each) for each in (given if isinstance(given, list) else [given])]
        except (ValueError, TypeError) as error:
            detail = str(error) if isinstance(error, FaultError) else "expected a fault or a list of faults as JSON"
            return problem(400, detail)
        return as_json(200, [self.faults.add(fault).as_json() for fault in faults])


class _Running:
    """Everything that exists only while the emulator runs, opened and closed together."""

    def __init__(self, emulator: Emulator, options: _Options) -> None:
        with ExitStack() as opened:
            path = options.db
            if path is None:
                folder = tempfile.TemporaryDirectory(prefix="catalogsync-emulator-")
                path = Path(opened.enter_context(folder)) / "emulator.db"
            self.store = Store(path, emulator.now, durable=options.db is not None)
            opened.callback(self.store.close)
            if not self.store.has_account:
                load_seed(self.store, options.seed, emulator.now())
            self.token = _token(self.store, options.token)
            self.port = Port(emulator.answer, options.port)
            opened.callback(self.port.close)
            self.close = opened.pop_all().close


def _token(store: Store, given: str | None) -> str:
    known = list(store.tokens())
    token = given or (known[0] if known else secrets.token_urlsafe(32))
    store.add_token(token)
    return token


def _target(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None


def _response(answer: Answer, now_s: int) -> Response:
    headers = {
        "Date": formatdate(now_s, usegmt=True),
        "X-Request-Id": secrets.token_hex(16),
        "Runtime-Timestamp": str(now_s),
    }
    if answer.content_type:
        headers["Content-Type"] = answer.content_type
    return Response(answer.body, answer.status, headers)
