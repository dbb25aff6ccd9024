"""Transport: one method, `send`. Rate limit and retry each wrap it.

``Retrying(RateLimited(HttpTransport(...)))``: retry stands outside the limiter, so that a repeated request
waits its turn like any other.

What a lost or bad answer means depends on the request. One that may be sent twice is Temporary. One that
may not (`is_repeatable` false: it adds, updates or deletes) is InDoubt, unless the server certainly did not
process it: no connection, or 429.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import stamina
import stamina.instrumentation
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from catalogsync import __version__
from catalogsync.api.auth import LOOPBACK, Account
from catalogsync.api.dialect import Request, Response
from catalogsync.errors import InDoubt, Refused, Temporary, Unauthorized, UnexpectedAnswer

# `on_wait` tells of repetitions. Left alone, stamina prints each of them to stdout once structlog is installed.
stamina.instrumentation.set_on_retry_hooks(())

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0

CEILING_RPS = 7.0
"""What the vendor allows per integration (notes 3.1)."""

PACE_SHARE = 6.6 / 7
"""Requests are paced evenly a little below the ceiling, so that jitter never makes one too many."""

LATE_S = 0.03
"""A turn this long past is not used: eight requests paced at 6.6 span 1.06 s, less the delay of the first."""

FAR_S = 60.0
"""Turns are not taken this far ahead; a later one in the file was written before the clock was set back."""


class Transport(Protocol):
    """One request in, one response out."""

    def send(self, request: Request) -> Response:
        """Send a request. Raises ApiError; returns 2xx responses only."""

    def close(self) -> None:
        """Give back connections and threads."""


class _Bearer(AuthBase):
    """The token as a header, set by an auth object so that no .netrc entry replaces it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class HttpTransport:
    """Requests over a socket, as one account."""

    def __init__(self, account: Account, *, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        self._url = account.url
        self._timeouts_s = (CONNECT_TIMEOUT_S, read_timeout_s)
        self._session = requests.Session()
        self._token = account.token
        self._session.auth = _Bearer(account.token)
        if urlsplit(account.url).hostname in LOOPBACK:
            self._session.trust_env = False  # no proxy can reach this machine's own server
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0))
        self._session.headers["User-Agent"] = f"catalogsync/{__version__}"

    def send(self, request: Request) -> Response:
        """Send once. Raises Temporary, InDoubt, Refused, Unauthorized or UnexpectedAnswer."""
        body = None if request.json is None else json.dumps(request.json, ensure_ascii=False).encode("utf-8")
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            answer = self._session.request(
                request.method,
                self._url + request.path,
                params=request.params,
                data=body,
                headers=headers,
                timeout=self._timeouts_s,
                allow_redirects=False,
            )
        except (requests.ConnectTimeout, requests.ConnectionError, requests.Timeout) as error:
            raise self._no_answer(request, error) from None
        except requests.RequestException as error:
            raise self._lost(request, f"the answer was cut off ({type(error).__name__})") from None
        return self._checked(request, answer)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _no_answer(self, request: Request, error: requests.RequestException) -> Temporary | InDoubt:
        if isinstance(error, requests.ConnectTimeout) or _was_never_connected(error):
            return Temporary(f"no connection to {self._url}")
        was_slow = isinstance(error, requests.Timeout)
        what = "no answer in time" if was_slow else "the connection broke"
        return self._lost(request, f"{what}: {request.method} {request.path}", was_slow=was_slow)

    def _lost(self, request: Request, what: str, status: int = 0, *, was_slow: bool = False) -> Temporary | InDoubt:
        if request.is_repeatable:
            return Temporary(what, status=status)
        return InDoubt(what, status=status, was_slow=was_slow)

    def _checked(self, request: Request, answer: requests.Response) -> Response:
        status = answer.status_code
        if 200 <= status < 300:
            return Response(status, self._body(request, answer), answer.headers)
        told = _told(answer, self._token)
        where = f"{request.method} {request.path}"
        if 300 <= status < 400:
            raise UnexpectedAnswer(
                f"the account answers at another address: {_host(answer)}; set CATALOGSYNC_URL", status=status
            )
        if status == 401:
            raise Unauthorized(f"the token is not accepted ({told}); make a new one in the account", status=status)
        if status == 402:
            raise Temporary(f"the account's subscription is reported as ended ({told})", status=status)
        if status == 403:
            raise Unauthorized(_forbidden(answer, told), status=status)
        if status == 429:
            raise _TooFast(f"too many requests ({told})", status=status, wait_s=_retry_after_s(answer))
        if status >= 500 or (status == 404 and _is_html(answer) and request.is_repeatable):
            raise self._lost(request, f"{where}: server error {status} ({told})", status)
        raise Refused(
            f"{where}: refused with {status} ({told})", status=status, body=_json_or_none(answer, self._token)
        )

    def _body(self, request: Request, answer: requests.Response) -> Any:
        """The answer's JSON. To a read only 204 says that there is nothing (notes 3): a 200 without a body lost it."""
        if answer.status_code == 204:
            return None
        try:
            body = json.loads(answer.content or b"null", parse_float=Decimal)
        except ValueError:
            if request.is_repeatable:
                raise _Garbled(f"{request.method} {request.path}: the answer is not JSON") from None
            raise InDoubt(
                f"{request.method} {request.path}: the answer is garbled", status=answer.status_code
            ) from None
        if body is None and request.is_repeatable:
            raise _Garbled(f"{request.method} {request.path}: the answer is empty")
        return body


class _TooFast(Temporary):
    """429: certainly not processed, so always worth sending again. `wait_s` as the server asks, else None."""

    def __init__(self, message: str, *, status: int, wait_s: float | None) -> None:
        super().__init__(message, status=status)
        self.wait_s = wait_s


class _Garbled(UnexpectedAnswer):
    """An answer to a repeatable request that is no JSON; it may come whole the next time."""


def _was_never_connected(error: BaseException) -> bool:
    """Whether urllib3 failed before it had a connection, so that nothing was sent."""
    from urllib3.exceptions import NameResolutionError, NewConnectionError

    seen: set[int] = set()
    pending: list[BaseException] = [error]
    while pending:
        cause = pending.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        if isinstance(cause, NewConnectionError | NameResolutionError):
            return True
        pending += [
            e
            for e in (cause.__cause__, cause.__context__, getattr(cause, "reason", None))
            if isinstance(e, BaseException)
        ]
        pending += [e for e in cause.args if isinstance(e, BaseException)]
    return False


def _is_html(answer: requests.Response) -> bool:
    return "html" in answer.headers.get("Content-Type", "").lower() or answer.content[:20].lstrip().startswith(b"<")


class _Title(HTMLParser):
    """The title of an HTML page, else its first heading."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = False
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag in {"title", "h1"} and not self.text

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.text, self._inside = " ".join(data.split()), False


def _without_token(answer: requests.Response, token: str) -> str:
    content = answer.content.decode("utf-8", "replace")
    return content.replace(token, "…") if token else content


def _json_or_none(answer: requests.Response, token: str) -> Any:
    try:
        return json.loads(_without_token(answer, token))
    except ValueError:
        return None


def _told(answer: requests.Response, token: str) -> str:
    """What an error answer says, in a line: problem+json, the legacy body, or an HTML page's title (notes 3.3).

    A token that the server repeats is left out (law 12).
    """
    content = _without_token(answer, token)
    if _is_html(answer):
        page = _Title()
        page.feed(content[:4000])
        return page.text[:200] or "an HTML page"
    try:
        body = json.loads(content)
    except ValueError:
        return " ".join(content.split())[:200] or "no text"
    if not isinstance(body, dict):
        return str(body)[:200]
    legacy = body.get("response")
    inner = legacy if isinstance(legacy, dict) else body
    words = [str(inner[name]) for name in ("title", "detail", "error", "error_code") if inner.get(name)]
    return ": ".join(words)[:300] or "no text"


def _forbidden(answer: requests.Response, told: str) -> str:
    if _is_html(answer):
        return (
            f"the account or this address is blocked ({told}); the vendor's support lifts it. Do not run again before"
        )
    return f"the token may not do this ({told}); lists need list rights, fields an administrator"


def _host(answer: requests.Response) -> str:
    parts = urlsplit(answer.headers.get("Location", ""))
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else "not said which"


def _retry_after_s(answer: requests.Response) -> float | None:
    """`Retry-After` in seconds, honoured where present; the vendor documents none (notes 3.2)."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 120.0) if text.isdigit() else None


class RateLimited:
    """At most `rps` requests in any second, over all threads and processes that share `turns_file`.

    A turn is taken inside a transaction and waited for outside of it. It counts from the clock as read inside:
    a time read before waiting for a lock lets requests follow each other faster than the file says.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        turns_file: Path,
        rps: float = CEILING_RPS,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inner = inner
        self._interval_s = 1 / (rps * PACE_SHARE)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        turns_file.parent.mkdir(parents=True, exist_ok=True)
        self._turns = sqlite3.connect(turns_file, timeout=30, isolation_level=None, check_same_thread=False)
        self._turns.execute("PRAGMA journal_mode=WAL")
        self._turns.execute("PRAGMA synchronous=NORMAL")
        self._turns.execute("CREATE TABLE IF NOT EXISTS turns (id INTEGER PRIMARY KEY CHECK (id = 1), last_at REAL)")

    def send(self, request: Request) -> Response:
        """Wait for a turn, then send. A turn that the machine let slip by is left unused."""
        while True:
            turn_at = self._take_turn()
            self._sleep(max(0.0, turn_at - self._clock()))
            if self._clock() - turn_at < LATE_S:
                return self._inner.send(request)

    def _take_turn(self) -> float:
        """The next free turn, from now on somebody's."""
        with self._lock, self._turns:
            self._turns.execute("BEGIN IMMEDIATE")
            now_at = self._clock()
            last = self._turns.execute("SELECT last_at FROM turns").fetchone()
            next_at = last[0] + self._interval_s if last else now_at
            turn_at = max(now_at, next_at) if next_at < now_at + FAR_S else now_at
            self._turns.execute("INSERT OR REPLACE INTO turns VALUES (1, ?)", (turn_at,))
        return turn_at

    def close(self) -> None:
        """Close the file and what is wrapped."""
        self._turns.close()
        self._inner.close()


class Retrying:
    """Sends again what was certainly not processed, or may safely be sent twice.

    `on_wait` hears of each repetition: the reason and the seconds until it.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        attempts: int = 7,
        wait_s: float = 1.0,
        max_wait_s: float = 30.0,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self._inner = inner
        self._on_wait = on_wait
        self._caller = stamina.RetryingCaller(
            attempts=attempts, timeout=None, wait_initial=wait_s, wait_max=max_wait_s, wait_jitter=wait_s
        ).on(self._verdict)

    def _verdict(self, error: Exception) -> bool | float:
        if not isinstance(error, Temporary | _Garbled):
            return False
        if self._on_wait:
            self._on_wait(str(error))
        if isinstance(error, _TooFast) and error.wait_s is not None:
            return error.wait_s
        return True

    def send(self, request: Request) -> Response:
        """Send until an answer comes or the attempts are used up; then the last error stands."""
        return self._caller(self._inner.send, request)

    def close(self) -> None:
        """Close what is wrapped."""
        self._inner.close()
