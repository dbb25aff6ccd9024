"""Transport: one method, `send`. Rate limit (limited.py) and retry each wrap it.

``Retrying(Authorized(RateLimited(HttpTransport(...))))``: retry stands outside the limiter, so that a repeated request
waits its turn like any other; so does what is sent again with another token.

What a lost or bad answer means depends on the request. One that may be sent twice is Temporary. One that
may not (`is_repeatable` false: it adds, updates or deletes) is InDoubt, unless the server certainly did not
process it: no connection, or 429.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from html.parser import HTMLParser
from itertools import count
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import stamina
import stamina.instrumentation
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from catalogsync import __version__
from catalogsync.api.auth import LOOPBACK, Account
from catalogsync.api.credentials import Credentials, Fixed, Notice, Stored
from catalogsync.api.dialect import Request, Response
from catalogsync.api.wire import whole_text
from catalogsync.budget import Budget
from catalogsync.errors import InDoubt, Refused, Temporary, Unauthorized, UnexpectedAnswer

# `on_wait` tells of repetitions. Left alone, stamina prints each of them to stdout once structlog is installed.
stamina.instrumentation.set_on_retry_hooks(())

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0


class Transport(Protocol):
    """One request in, one response out."""

    def send(self, request: Request) -> Response:
        """Send a request. Raises ApiError; returns 2xx responses only."""

    def close(self) -> None:
        """Give back connections and threads."""


_HALF_PAIRS = (b"\\ud", b"\\uD", b"\xed")
"""Without one of these there is no half of a surrogate pair in an answer."""


class _Bearer(AuthBase):
    """The token as a header, set by an auth object so that no .netrc entry replaces it."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token := self._credentials.token():
            request.headers["Authorization"] = f"Bearer {token}"
        return request


def credentials_of(account: Account, *, rps: float = 0, on_notice: Notice | None = None) -> Credentials:
    """Where the account's token comes from. `rps` and `on_notice` are those of `Stored`."""
    if account.login is not None:
        return Stored(account.login, rps=rps, on_notice=on_notice)
    return Fixed(account.token)


class HttpTransport:
    """Requests over a socket, as one account."""

    def __init__(
        self, account: Account, *, credentials: Credentials | None = None, read_timeout_s: float = READ_TIMEOUT_S
    ) -> None:
        self._url = account.url
        self._timeouts_s = (CONNECT_TIMEOUT_S, read_timeout_s)
        self._session = requests.Session()
        self._credentials = credentials or credentials_of(account)
        self._session.auth = _Bearer(self._credentials)
        if urlsplit(account.url).hostname in LOOPBACK:
            self._session.trust_env = False  # no proxy can reach this machine's own server
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0))
        self._session.headers["User-Agent"] = f"catalogsync/{__version__}"

    def send(self, request: Request) -> Response:
        """Send once. Raises Temporary, InDoubt, Refused, Unauthorized or UnexpectedAnswer."""
        body = request.content
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
            return Response(status, self._body(request, answer), answer.headers, answer.elapsed.total_seconds())
        told = _told(answer, self._credentials.secrets())
        where = f"{request.method} {request.path}"
        if 300 <= status < 400:
            raise UnexpectedAnswer(
                f"the account answers at another address: {_host(answer)}; set CATALOGSYNC_URL", status=status
            )
        if status == 401:
            raise Unauthorized(self._credentials.refusal(told), status=status)
        if status == 402:
            raise Temporary(f"the account's subscription is reported as ended ({told})", status=status)
        if status == 403:
            raise Unauthorized(_forbidden(answer, told), status=status)
        if status == 429:
            raise _TooFast(f"too many requests ({told})", status=status, wait_s=_retry_after_s(answer))
        if status >= 500 or (status == 404 and _is_html(answer) and request.is_repeatable):
            raise self._lost(request, f"{where}: server error {status} ({told})", status)
        body = _json_or_none(answer, self._credentials.secrets())
        raise Refused(f"{where}: refused with {status} ({told})", status=status, body=body)

    def _body(self, request: Request, answer: requests.Response) -> Any:
        """The answer's JSON. To a read only 204 says that there is nothing (notes 3): a 200 without a body lost it."""
        if answer.status_code == 204:
            return None
        if request.decode is not None:
            with contextlib.suppress(ValueError, RecursionError):
                return request.decode(answer.content)
        try:
            body = json.loads(answer.content or b"null", parse_float=Decimal)
            if any(mark in answer.content for mark in _HALF_PAIRS):
                body = whole_text(body)
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


def _without(answer: requests.Response, secrets: Sequence[str]) -> str:
    content = answer.content.decode("utf-8", "replace")
    for secret in secrets:
        content = content.replace(secret, "…")
    return content


def _json_or_none(answer: requests.Response, secrets: Sequence[str]) -> Any:
    try:
        return json.loads(_without(answer, secrets))
    except ValueError:
        return None


def _told(answer: requests.Response, secrets: Sequence[str]) -> str:
    """What an error answer says, in a line: problem+json, the legacy body, or an HTML page's title (notes 3.3).

    A token that the server repeats is left out (law 12).
    """
    content = _without(answer, secrets)
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


class Authorized:
    """Renews the token in time, and sends once more what was refused for the token alone.

    A 401 was certainly not processed, so this holds for writes, too.
    """

    def __init__(self, inner: Transport, credentials: Credentials) -> None:
        self._inner = inner
        self._credentials = credentials

    def send(self, request: Request) -> Response:
        """Send; once more with another token. Raises Temporary where there may be one later."""
        self._credentials.keep_fresh()
        token = self._credentials.token()
        try:
            return self._inner.send(request)
        except Unauthorized as error:
            if error.status != 401 or not self._credentials.renewed(token):
                raise
        return self._inner.send(request)

    def close(self) -> None:
        """Close what is wrapped."""
        self._inner.close()


class Retrying:
    """Sends again what was certainly not processed, or may safely be sent twice.

    `on_wait` hears of each repetition: the reason and the seconds until it. What `budget` does not suffice for is not
    waited for: that ends with BudgetSpent.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        attempts: int = 7,
        wait_s: float = 1.0,
        max_wait_s: float = 30.0,
        on_wait: Callable[[str], None] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._inner = inner
        self._on_wait = on_wait
        self._budget = budget or Budget()
        self._least_s, self._most_s = wait_s, max_wait_s
        self._caller = stamina.RetryingCaller(
            attempts=attempts, timeout=None, wait_initial=wait_s, wait_max=max_wait_s, wait_jitter=wait_s
        )

    def _verdict(self, error: Exception, tries: Iterator[int]) -> bool | float:
        if not isinstance(error, Temporary | _Garbled):
            return False
        asked_s = error.wait_s if isinstance(error, _TooFast) else None
        backoff_s = min(self._most_s, self._least_s * 2 ** next(tries))
        self._budget.check(backoff_s if asked_s is None else asked_s)
        if self._on_wait:
            self._on_wait(str(error))
        return True if asked_s is None else asked_s

    def send(self, request: Request) -> Response:
        """Send until an answer comes or the attempts are used up; then the last error stands. Raises BudgetSpent."""
        tries = count()
        return self._caller.on(lambda error: self._verdict(error, tries))(self._inner.send, request)

    def close(self) -> None:
        """Close what is wrapped."""
        self._inner.close()
