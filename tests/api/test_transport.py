"""The transport over real sockets: which answer means what, what is sent again, and what never leaks."""

from __future__ import annotations

import logging
import os
import socket
import traceback
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import requests
import stamina.instrumentation
from requests.adapters import HTTPAdapter

from catalogsync.api.auth import Account
from catalogsync.api.client import Client
from catalogsync.api.dialect import Request, Response
from catalogsync.api.transport import HttpTransport, Retrying
from catalogsync.api.v2 import V2
from catalogsync.emulator.server import Emulator
from catalogsync.errors import ApiError, InDoubt, Refused, Temporary, Unauthorized, UnexpectedAnswer
from tests.api.helpers import CATALOG_ID, TOKEN, Scripted, Told, posts, scripted, seed

PATH = "/api/v2/catalog_elements"
READ = Request("GET", PATH)
WRITE = Request("POST", PATH, json={"add": [{"catalog_id": CATALOG_ID, "name": "Č"}]}, is_repeatable=False)

HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/hal+json"}
PROBLEM = {"Content-Type": "application/problem+json"}


def page(title: str) -> str:
    return f"<html>\n<head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>"


def sent_once(script: Scripted, request: Request) -> Response | ApiError:
    """What one sending comes to, without repetitions."""
    transport = HttpTransport(Account(script.url, TOKEN))
    try:
        return transport.send(request)
    except ApiError as error:
        return error
    finally:
        transport.close()


def outcome(told: Told, request: Request) -> tuple[type[Exception], int, str]:
    """The error that an answer comes to: its public class, status, and words."""
    with scripted(told) as script:
        error = sent_once(script, request)
    assert isinstance(error, ApiError), error
    public = next(kind for kind in type(error).__mro__ if not kind.__name__.startswith("_"))
    return public, error.status, str(error)


# --- answers ---


def test_json_is_read_with_exact_fractions() -> None:
    with scripted(Told(200, '{"price": 0.10, "name": "\u010c"}', JSON)) as script:
        answer = sent_once(script, READ)
    assert isinstance(answer, Response)
    assert (answer.status, answer.json) == (200, {"price": Decimal("0.10"), "name": "Č"})
    assert answer.headers["Content-Type"] == "application/hal+json"


def test_half_a_surrogate_pair_is_replaced_since_nothing_can_hold_it() -> None:
    body = r'{"name": "a\ud800b", "\udc00": ["\ud83d\ude00", 1, "\u010c"]}'
    with scripted(Told(200, body, JSON)) as script:
        answer = sent_once(script, READ)
    assert isinstance(answer, Response)
    assert answer.json == {"name": "a\ufffdb", "\ufffd": ["😀", 1, "Č"]}


@pytest.mark.parametrize(
    ("told", "request_"),
    [(Told(204), READ), (Told(204), WRITE), (Told(200, ""), WRITE), (Told(200, "null"), WRITE)],
    ids=["204 to a read", "204 to a write", "200 without a body to a write", "null to a write"],
)
def test_an_answer_without_a_body_has_no_json(told: Told, request_: Request) -> None:
    with scripted(told) as script:
        answer = sent_once(script, request_)
    assert isinstance(answer, Response)
    assert (answer.status, answer.json) == (told.status, None)


@pytest.mark.parametrize("body", ["", "null"])
def test_a_read_is_answered_with_204_where_there_is_nothing_and_else_with_something(body: str) -> None:
    """An answer that lost its body must not be taken for an empty catalog, which would add every product again."""
    with scripted(Told(200, body, JSON), Told(200, '{"id": 1}', JSON)) as script:
        assert outcome(Told(200, body), READ) == (UnexpectedAnswer, 0, f"{GET}: the answer is empty")
        transport = Retrying(HttpTransport(Account(script.url, TOKEN)), wait_s=0.01)
        assert transport.send(READ).json == {"id": 1}


def test_a_request_carries_its_query_its_json_and_who_asks() -> None:
    wanted = Request("POST", PATH, (("id[]", "1"), ("id[]", "2"), ("term", "Oak & co")), {"name": "Č"}, False)
    with scripted(Told(200, "{}", JSON)) as script:
        sent_once(script, wanted)
    (seen,) = script.seen
    assert (seen.method, seen.target, seen.body) == (
        "POST",
        f"{PATH}?id%5B%5D=1&id%5B%5D=2&term=Oak+%26+co",
        '{"name": "Č"}'.encode(),
    )
    assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["User-Agent"].startswith("catalogsync/")


GET, POST = f"GET {PATH}", f"POST {PATH}"
SAME_FOR_BOTH = {
    "301 names the address": (
        Told(301, "", {"Location": "https://other.kommo.com/api/v2/account"}),
        (UnexpectedAnswer, 301, "the account answers at another address: https://other.kommo.com; set CATALOGSYNC_URL"),
    ),
    "302 without an address": (
        Told(302),
        (UnexpectedAnswer, 302, "the account answers at another address: not said which; set CATALOGSYNC_URL"),
    ),
    "401": (
        Told(401, '{"title": "Unauthorized", "detail": "Token expired", "status": 401}', PROBLEM),
        (
            Unauthorized,
            401,
            "the token is not accepted (Unauthorized: Token expired); make a new one in the account",
        ),
    ),
    "401 legacy": (
        Told(401, '{"response": {"error": "No account", "error_code": "101"}}', JSON),
        (Unauthorized, 401, "the token is not accepted (No account: 101); make a new one in the account"),
    ),
    "402": (
        Told(402, '{"title": "Payment Required"}', PROBLEM),
        (Temporary, 402, "the account's subscription is reported as ended (Payment Required)"),
    ),
    "403 HTML": (
        Told(403, page("403 Forbidden"), HTML),
        (
            Unauthorized,
            403,
            "the account or this address is blocked (403 Forbidden); the vendor's support lifts it."
            " Do not run again before",
        ),
    ),
    "403 JSON": (
        Told(403, '{"title": "Forbidden", "detail": "Invalid scope"}', PROBLEM),
        (
            Unauthorized,
            403,
            "the token may not do this (Forbidden: Invalid scope); lists need list rights, fields an administrator",
        ),
    ),
    "429 HTML": (
        Told(429, page("429 Too Many Requests"), HTML),
        (Temporary, 429, "too many requests (429 Too Many Requests)"),
    ),
    "429 JSON": (
        Told(429, '{"title": "Too Many Requests"}', {**PROBLEM, "Retry-After": "3"}),
        (Temporary, 429, "too many requests (Too Many Requests)"),
    ),
}


@pytest.mark.parametrize(("told", "expected"), SAME_FOR_BOTH.values(), ids=SAME_FOR_BOTH)
@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
def test_an_answer_that_means_the_same_for_reads_and_writes(
    told: Told, expected: tuple[type[Exception], int, str], request_: Request
) -> None:
    assert outcome(told, request_) == expected


REFUSALS = {
    "400 problem": (
        Told(400, '{"title": "Bad Request", "detail": "Request validation failed", "status": 400}', PROBLEM),
        400,
        "Bad Request: Request validation failed",
    ),
    "400 legacy": (
        Told(400, '{"response": {"error": "Empty request", "error_code": "222", "server_time": 1}}', JSON),
        400,
        "Empty request: 222",
    ),
    "400 text": (Told(400, "no\n way", {"Content-Type": "text/plain"}), 400, "no way"),
    "400 empty": (Told(400), 400, "no text"),
    "400 list": (Told(400, '["odd"]', JSON), 400, "['odd']"),
    "404 JSON": (Told(404, '{"title": "Not Found"}', PROBLEM), 404, "Not Found"),
    "405": (Told(405), 405, "no text"),
    "413 HTML": (Told(413, page("413 Too Large"), HTML), 413, "413 Too Large"),
    "422": (Told(422, '{"title": "Unprocessable", "detail": "No"}', PROBLEM), 422, "Unprocessable: No"),
}


@pytest.mark.parametrize(("told", "status", "words"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize(("request_", "where"), [(READ, GET), (WRITE, POST)], ids=["read", "write"])
def test_a_refused_request_tells_the_servers_words(
    told: Told, status: int, words: str, request_: Request, where: str
) -> None:
    assert outcome(told, request_) == (Refused, status, f"{where}: refused with {status} ({words})")


LOST: dict[str, tuple[Told, tuple[type[ApiError], int, str], tuple[type[ApiError], int, str]]] = {
    "404 HTML is a router's hiccup": (
        Told(404, page("404 Not Found"), HTML),
        (Temporary, 404, f"{GET}: server error 404 (404 Not Found)"),
        (Refused, 404, f"{POST}: refused with 404 (404 Not Found)"),
    ),
    "500 HTML": (
        Told(500, page("500 Oops"), HTML),
        (Temporary, 500, f"{GET}: server error 500 (500 Oops)"),
        (InDoubt, 500, f"{POST}: server error 500 (500 Oops)"),
    ),
    "502 HTML without a title": (
        Told(502, "<p>bad gateway", {}),
        (Temporary, 502, f"{GET}: server error 502 (an HTML page)"),
        (InDoubt, 502, f"{POST}: server error 502 (an HTML page)"),
    ),
    "503 JSON": (
        Told(503, '{"title": "Away"}', PROBLEM),
        (Temporary, 503, f"{GET}: server error 503 (Away)"),
        (InDoubt, 503, f"{POST}: server error 503 (Away)"),
    ),
    "504 HTML": (
        Told(504, page("504 Gateway Time-out"), HTML),
        (Temporary, 504, f"{GET}: server error 504 (504 Gateway Time-out)"),
        (InDoubt, 504, f"{POST}: server error 504 (504 Gateway Time-out)"),
    ),
    "200 with half of the JSON": (
        Told(200, '{"_embedded": {"items', JSON),
        (UnexpectedAnswer, 0, f"{GET}: the answer is not JSON"),
        (InDoubt, 200, f"{POST}: the answer is garbled"),
    ),
    "200 with HTML": (
        Told(200, page("Welcome"), HTML),
        (UnexpectedAnswer, 0, f"{GET}: the answer is not JSON"),
        (InDoubt, 200, f"{POST}: the answer is garbled"),
    ),
    "200 cut off": (
        Told(200, '{"_embedded": {"items": []}}', JSON, cut_off=True),
        (Temporary, 0, "the answer was cut off (ChunkedEncodingError)"),
        (InDoubt, 0, "the answer was cut off (ChunkedEncodingError)"),
    ),
}


@pytest.mark.parametrize(("told", "read", "written"), LOST.values(), ids=LOST)
def test_a_lost_answer_is_temporary_for_a_read_and_in_doubt_for_a_write(
    told: Told, read: tuple[type[Exception], int, str], written: tuple[type[Exception], int, str]
) -> None:
    assert (outcome(told, READ), outcome(told, WRITE)) == (read, written)


def test_no_answer_in_time_is_temporary_for_a_read_and_in_doubt_for_a_write(emulator: Emulator) -> None:
    emulator.fault("delay=30 count=0")
    transport = HttpTransport(Account(emulator.url, TOKEN), read_timeout_s=0.05)
    with pytest.raises(Temporary, match=f"^no answer in time: {GET}$"):
        transport.send(READ)
    with pytest.raises(InDoubt, match=f"^no answer in time: {POST}$"):
        transport.send(WRITE)
    transport.close()


@pytest.mark.parametrize(
    ("header", "wait_s"), [({}, None), ({"Retry-After": "3"}, 3.0), ({"Retry-After": "900"}, 120.0)]
)
def test_the_wait_that_a_429_asks_for_is_kept(header: dict[str, str], wait_s: float | None) -> None:
    with scripted(Told(429, page("429"), {**HTML, **header})) as script:
        error = sent_once(script, WRITE)
    assert getattr(error, "wait_s", "none") == wait_s


# --- what is sent again ---


@pytest.fixture
def retrying(emulator: Emulator) -> Iterator[Retrying]:
    transport = Retrying(HttpTransport(Account(emulator.url, emulator.token)))
    yield transport
    transport.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_read_is_repeated_until_it_is_answered(emulator: Emulator, retrying: Retrying) -> None:
    for fault in ("drop before GET", "500 GET", "truncate GET", "429 GET", "402 GET"):
        emulator.fault(f"{fault} nth={len(emulator.faults.all()) + 1}")
    assert retrying.send(Request("GET", "/api/v2/catalogs")).status == 200
    assert [request.status for request in emulator.requests] == [0, 500, 200, 429, 402, 200]


def test_a_read_that_is_never_answered_ends_after_seven_attempts(emulator: Emulator, retrying: Retrying) -> None:
    emulator.fault("502 GET count=0")
    with pytest.raises(Temporary, match=f"^{GET}: server error 502 .502 Bad Gateway.$"):
        retrying.send(READ)
    assert len(emulator.requests) == 7


@pytest.mark.parametrize("status", [400, 401, 403])
def test_what_is_refused_is_not_repeated(emulator: Emulator, retrying: Retrying, status: int) -> None:
    emulator.fault(f"{status} GET count=0")
    with pytest.raises((Refused, Unauthorized)):
        retrying.send(READ)
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("fault", "stored"),
    [
        ("drop after POST count=0", 1),
        ("drop before POST count=0", 0),
        ("504 after POST count=0", 1),
        ("500 before POST count=0", 0),
        ("truncate POST count=0", 1),
    ],
)
def test_a_write_whose_answer_is_lost_is_in_doubt_and_was_sent_exactly_once(
    emulator: Emulator, retrying: Retrying, fault: str, stored: int
) -> None:
    emulator.fault(fault)
    with pytest.raises(InDoubt):
        retrying.send(WRITE)
    assert posts(emulator) == [WRITE.json]
    assert emulator.store.count(CATALOG_ID) == stored


def test_a_429_on_a_write_is_repeated_and_stored_once(emulator: Emulator, retrying: Retrying) -> None:
    emulator.fault("429 POST count=2")
    assert retrying.send(WRITE).status == 200
    assert [request.status for request in emulator.requests] == [429, 429, 200]
    assert emulator.store.count(CATALOG_ID) == 1


def test_a_refused_connection_on_a_write_is_repeated_and_stored_once() -> None:
    port = _free_port()
    emulator = Emulator(seed=seed(), rps=0, port=port)
    url = f"http://127.0.0.1:{port}"
    heard: list[str] = []

    def arrive(reason: str) -> None:
        heard.append(reason)
        emulator.start()

    transport = Retrying(HttpTransport(Account(url, TOKEN)), on_wait=arrive)
    try:
        assert transport.send(WRITE).status == 200
        assert heard == [f"no connection to {url}"]
        assert posts(emulator) == [WRITE.json]
    finally:
        transport.close()
        emulator.stop()


def test_a_write_without_a_connection_was_certainly_not_sent() -> None:
    url = f"http://127.0.0.1:{_free_port()}"
    transport = HttpTransport(Account(url, TOKEN))
    with pytest.raises(Temporary, match=f"^no connection to {url}$"):
        transport.send(WRITE)
    transport.close()


def test_the_wait_between_attempts_is_what_retry_after_says() -> None:
    waits: list[float] = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
    try:
        with (
            stamina.set_testing(False),
            scripted(Told(429, "", {"Retry-After": "0"}), Told(200, "{}", JSON)) as script,
        ):
            transport = Retrying(HttpTransport(Account(script.url, TOKEN)))
            transport.send(WRITE)
            transport.close()
    finally:
        stamina.instrumentation.set_on_retry_hooks(())
    assert waits == [0.0]


def test_a_repetition_prints_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(Told(503), Told(200, "{}", JSON)) as script:
        transport = Retrying(HttpTransport(Account(script.url, TOKEN)), wait_s=0.0, max_wait_s=0.0)
        transport.send(READ)
        transport.close()
    assert capfd.readouterr() == ("", "")


# --- the token (law 12) ---


def _errors_of_every_kind() -> Iterator[tuple[Told, Request]]:
    for told, *_ in (*SAME_FOR_BOTH.values(), *REFUSALS.values(), *LOST.values()):
        assert isinstance(told, Told)
        yield told, READ
        yield told, WRITE


ECHOES = (
    Told(400, f'{{"title": "Bad Request", "detail": "header Authorization: Bearer {TOKEN}"}}', PROBLEM),
    Told(401, f"<html><title>{TOKEN} is not valid</title></html>", HTML),
    Told(403, f"{TOKEN}", {"Content-Type": "text/plain"}),
    Told(500, "x" * 195 + TOKEN, {"Content-Type": "text/plain"}),
)
PART = TOKEN[:5]


def test_the_token_is_in_no_error_traceback_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for told, request in [*_errors_of_every_kind(), *((told, READ) for told in ECHOES)]:
        with scripted(told) as script:
            transport = Retrying(HttpTransport(Account(script.url, TOKEN)))
            with stamina.set_testing(True, attempts=2, cap=True), pytest.raises(ApiError) as caught:
                transport.send(request)
            transport.close()
        for text in (str(caught.value), repr(caught.value), repr(vars(caught.value)), repr(caught.value.args)):
            assert PART not in text
        assert PART not in "".join(traceback.format_exception(caught.value))
        assert script.seen[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert caplog.records
    assert PART not in caplog.text
    assert PART not in repr([vars(record) for record in caplog.records])


def test_the_token_is_in_no_repr(emulator: Emulator) -> None:
    account = Account(emulator.url, TOKEN)
    transport = HttpTransport(account)
    retrying = Retrying(transport)
    client = Client(V2(), retrying)
    for thing in (account, transport, transport._session, transport._session.auth, retrying, client, emulator):
        assert PART not in repr(thing)
        assert PART not in str(thing)
    client.close()


def test_the_token_does_not_follow_a_redirect() -> None:
    with (
        scripted(Told(200, "{}", JSON)) as other,
        scripted(Told(301, "", {"Location": f"{other.url}/api/v2/account"})) as script,
    ):
        assert isinstance(sent_once(script, READ), UnexpectedAnswer)
    assert other.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "acme.example"])
def test_a_netrc_entry_does_not_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {host} login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    sent: list[requests.PreparedRequest] = []

    def send(self: HTTPAdapter, request: requests.PreparedRequest, **_: object) -> requests.Response:
        sent.append(request)
        raise requests.ConnectionError

    monkeypatch.setattr(HTTPAdapter, "send", send)
    transport = HttpTransport(Account(f"https://{host}", TOKEN))
    with pytest.raises(Temporary):
        transport.send(READ)
    transport.close()
    assert [request.headers["Authorization"] for request in sent] == [f"Bearer {TOKEN}"]


def test_no_proxy_stands_between_us_and_this_machine(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower() == "no_proxy"]:
        monkeypatch.delenv(name)
    with scripted(Told(200, "{}", JSON)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        transport = HttpTransport(Account(emulator.url, emulator.token))
        assert transport.send(Request("GET", "/api/v2/catalogs")).status == 200
        transport.close()
    assert (len(emulator.requests), proxy.seen) == (1, [])
