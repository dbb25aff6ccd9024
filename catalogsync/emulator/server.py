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
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from email.utils import formatdate
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from catalogsync.emulator import control, oauth, v2_catalogs, v2_elements, v2_products, v4_events, v4_routes
from catalogsync.emulator.damage import half_of
from catalogsync.emulator.faults import Fault, Faults, Moment
from catalogsync.emulator.forms import read_form
from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.late import Late
from catalogsync.emulator.limits import RateLimit
from catalogsync.emulator.normalising import Normalising
from catalogsync.emulator.port import ARRIVED, Port
from catalogsync.emulator.seed import load_seed
from catalogsync.emulator.store import Store
from catalogsync.emulator.wire import (
    Answer,
    Api,
    Call,
    Handler,
    Refused,
    allowing,
    html,
    legacy,
    problem,
)

ROUTES: dict[str, dict[str, Handler]] = {
    v2_catalogs.ACCOUNT: {"GET": v2_catalogs.get_account},
    v2_catalogs.CATALOGS: {"GET": v2_catalogs.get_catalogs, "POST": v2_catalogs.post_catalogs},
    v2_catalogs.FIELDS: {"POST": v2_catalogs.post_fields},
    v2_elements.PATH: {"GET": v2_elements.get_elements, "POST": v2_elements.post_elements},
    v2_products.PATH: {"GET": v2_products.get_settings, "POST": v2_products.post_settings},
    v4_events.PATH: {"GET": v4_events.get_events},
    v4_events.TYPES: {"GET": v4_events.get_types},
}

POLL_S = 0.05
"""How often the clock is looked at while something is to be applied later."""

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
        self.limit = RateLimit(rps, self.knobs.block_after_s, self.knobs.account_rps)
        self.faults = Faults()
        self.late = Late()
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
        self.late.settle(self._clock())
        return self.running.store

    @property
    def requests(self) -> list[Arrival]:
        """The requests of the API so far, the last `MOST_ARRIVALS` of them, in the order of arrival."""
        return sorted(self._arrivals, key=lambda arrival: arrival.at_s)

    def clear_requests(self) -> None:
        """Forgets the requests so far."""
        self._arrivals.clear()

    def fault(self, fault: Fault | str) -> Fault:
        """Sets a fault, as a value or as text (see `faults`); what it has done can be read from it."""
        return self.faults.add(fault if isinstance(fault, Fault) else Fault.from_text(fault))

    def issue_code(self) -> str:
        """An authorization code, as somebody gets it who lets an integration in."""
        return oauth.issue(self.store, "code", self.now())

    def now(self) -> int:
        """The server's time in whole Unix seconds."""
        return int(self._clock())

    def start(self) -> None:
        """Opens database and port and answers from its own thread. Returns once it does."""
        if self._running is None:
            self._running = _Running(self, self._options)

    def stop(self) -> None:
        """Closes port, thread and database. A second time does nothing."""
        if self._running is not None:
            self.late.settle(self._clock())
        self.late.clear()
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def serve_forever(self, tell: Callable[[], object] = lambda: None) -> int:
        """Serves until SIGINT or SIGTERM, then stops; answers the signal's number. Main thread only.

        `tell` is called when it serves and waits for signals: who hears of it may send one at once.
        """
        caught: list[int] = []

        def remember(number: int, _frame: FrameType | None) -> None:
            caught.append(number)

        before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.start()
            tell()
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
        self.late.settle(self._clock())
        path = str(request.scope["path"])
        if path.startswith(control.PREFIX):
            return _response(await control.steer(self, request), self.now())
        arrived_s = request.scope.get(ARRIVED)
        at_s = self._steady_clock() if arrived_s is None else arrived_s
        arrival = Arrival(at_s, request.method, _target(request))
        self._arrivals.append(arrival)
        try:
            body = await request.body()
        except ClientDisconnect:  # cut off before all of it had come: nothing is applied, nobody is answered
            arrival.status = 0
            return Response()
        call = Call(
            request.method,
            path,
            tuple(request.query_params.multi_items()),
            request.url.query,
            body,
            base=str(request.base_url).rstrip("/"),
            content_type=request.headers.get("content-type", ""),
        )
        arrival.body = _parsed(call)
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
            return self._refusal(429 if verdict == "over" else 403)
        due = [(fault, fault.moment(self.knobs.applied_504)) for fault in self.faults.due(call.method, call.path)]
        for fault, moment in due:
            if moment == "before":
                await self._strike(fault)
                if fault.effect == "status":
                    return fault.spoil(html(fault.status), self.now())
        answer = self._applied(call, token, due)
        for fault, moment in due:
            if moment != "before":
                await self._strike(fault)
                answer = fault.spoil(answer, self.now())
        return answer

    def _refusal(self, status: int) -> Answer:
        """What the rate limit answers."""
        answer = html(status) if self.knobs.refusal_body == "html" else problem(status, "Request limit exceeded")
        wait_s = self.knobs.retry_after_s
        return replace(answer, headers=(("Retry-After", str(wait_s)),)) if wait_s else answer

    def _applied(self, call: Call, token: str, due: list[tuple[Fault, Moment]]) -> Answer:
        """The answer to a request that is applied as the faults have it: whole, by halves, or later."""
        ways = tuple(fault.normalising for fault, _moment in due if fault.normalising)
        for fault, moment in due:
            if moment == "late":
                due_s = self._clock() + (fault.late_s or 0)
                self.late.add(due_s, lambda at: self._normalise(ways, call, token, lambda: at))
                self.running.port.spawn(self._settle_in_time())
                return html(504)
        if any(moment == "half" for _fault, moment in due):
            half = half_of(call) if call.method != "GET" else call
            return html(504) if half is None else self._normalise(ways, half, token, self.now)
        return self._normalise(ways, call, token, self.now)

    async def _settle_in_time(self) -> None:
        """Applies what is late also if nobody asks."""
        while self.late and not await self.running.port.pause(POLL_S):
            self.late.settle(self._clock())

    async def _strike(self, fault: Fault) -> None:
        if fault.effect == "delay":
            if await self.running.port.pause(fault.delay_s):
                raise _Dropped
        elif fault.effect == "drop":
            raise _Dropped
        fault.strike(self.store)

    def _normalise(self, ways: tuple[Normalising, ...], call: Call, token: str, now: Callable[[], int]) -> Answer:
        store = self.running.store
        if not ways:
            return self._handle(call, token, now)
        with store.transaction():
            store.normalising = ways
            try:
                return self._handle(call, token, now)
            finally:
                store.normalising = ()

    def _handle(self, call: Call, token: str, now: Callable[[], int]) -> Answer:
        if call.path == oauth.PATH:
            return oauth.answer(Api(self.running.store, self.knobs, now), call)
        if call.path == oauth.PAGE:
            return oauth.let_in(Api(self.running.store, self.knobs, now), call)
        if token not in self.running.store.tokens() and not oauth.lets_in(self.running.store, token, now()):
            return problem(401, "Token is missing, expired or revoked")
        by_method = ROUTES.get(call.path)
        if by_method is None and call.path.startswith(v4_routes.PREFIX):
            return v4_routes.answer(Api(self.running.store, self.knobs, now), call)
        if by_method is None:
            return html(404)
        handler = by_method.get(call.method)
        if handler is None:
            return allowing(by_method, legacy(Refused(405, "Wrong method", 405), self.now()))
        try:
            return handler(Api(self.running.store, self.knobs, now), call)
        except Refused as refused:
            return html(504) if refused.status == 504 else legacy(refused, self.now())


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
            if emulator.knobs.timezone != "seed":
                self.store.set_account(replace(self.store.account, timezone=emulator.knobs.timezone))
            self.token = _token(self.store, options.token)
            self.port = Port(emulator.answer, options.port, emulator._steady_clock)
            opened.callback(self.port.close)
            self.close = opened.pop_all().close


def _token(store: Store, given: str | None) -> str:
    known = list(store.tokens())
    token = given or (known[0] if known else secrets.token_urlsafe(32))
    store.add_token(token)
    return token


def _target(request: Request) -> str:
    path = request.scope["raw_path"].decode("latin-1")
    return f"{path}?{request.url.query}" if request.url.query else path


def _parsed(call: Call) -> Any:
    try:
        form = read_form(call)
        return form if form is not None else json.loads(call.body) if call.body else None
    except (ValueError, RecursionError, Refused):
        return None


def _response(answer: Answer, now_s: int) -> Response:
    headers = {
        "Date": formatdate(now_s, usegmt=True),
        "X-Request-Id": secrets.token_hex(16),
        "Runtime-Timestamp": str(now_s),
    }
    if answer.content_type:
        headers["Content-Type"] = answer.content_type
    headers.update(answer.headers)
    return Response(answer.body, answer.status, headers)
