"""A sheet at a web address, asked for over a socket: what is sent again, what is followed, and what is no sheet."""

from __future__ import annotations

import gzip
import io
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from catalogsync.errors import Stopped, Temporary, UnexpectedAnswer, UserError
from catalogsync.reader import limits
from catalogsync.reconcile import fetching
from tests.reconcile.sourcing import CSV, FakeClock, Job, seen, workbook_bytes


class Handler(BaseHTTPRequestHandler):
    """One request: hands itself to what the test put at its path."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.asked.append((self.path, dict(self.headers.items())))
        self.server.routes[self.path.partition("?")[0]](self)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def answer(self, status: int = 200, body: bytes = b"", /, **headers: str) -> None:
        """A whole answer; a header with underscores is one with dashes."""
        self.start(status, **{"Content_Length": str(len(body)), **headers})
        self.wfile.write(body)

    def start(self, status: int = 200, /, **headers: str) -> None:
        """The head of an answer."""
        self.send_response_only(status)
        headers.setdefault("Date", self.date_time_string())
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


class Server(ThreadingHTTPServer):
    """A web server whose paths a test fills."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes: dict[str, Callable[[Handler], object]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is what some tests want."""


@pytest.fixture
def web() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def job(tmp_path: Path, web: Server) -> Job:
    return Job(tmp_path, f"{web.url}/out/prices.csv")


def with_tag(body: bytes, **tags: str) -> Callable[[Handler], None]:
    """A file that is not sent again to who has it."""

    def answer(handler: Handler) -> None:
        has = (handler.headers.get("If-None-Match"), handler.headers.get("If-Modified-Since"))
        if has in {(tags.get("ETag"), tags.get("Last_Modified"))} and any(has):
            handler.start(304, **tags)
        else:
            handler.answer(200, body, **tags)

    return answer


PATH = "/out/prices.csv"
TAGS = [{"ETag": '"1"'}, {"ETag": 'W/"1"', "Last_Modified": "Wed, 25 Nov 2020 08:00:00 GMT"}]
TAGS.append({"Last_Modified": "Wed, 25 Nov 2020 08:00:00 GMT"})


def test_a_sheet_is_fetched_under_its_name(job: Job, web: Server) -> None:
    web.routes[PATH] = lambda it: it.answer(200, CSV)
    with job.source.pending() as pending:
        assert seen(pending) == [(f"{web.url}/out/prices.csv", CSV)]
        assert [found.path.name for found in pending] == ["prices.csv"]
    assert job.stored() == []  # without a tag there is nothing to keep it for


@pytest.mark.parametrize("tags", TAGS)
def test_an_unchanged_sheet_is_not_sent_again_and_still_read(job: Job, web: Server, tags: dict[str, str]) -> None:
    web.routes[PATH] = with_tag(CSV, **tags)
    first, second = job.contents(), job.contents()
    assert first == second == [(f"{web.url}/out/prices.csv", CSV)]
    conditions = [
        {name: value for name, value in headers.items() if name.startswith("If-")} for _, headers in web.asked
    ]
    named = {"ETag": "If-None-Match", "Last_Modified": "If-Modified-Since"}
    assert conditions == [{}, {named[name]: value for name, value in tags.items()}]
    assert job.stored() == ["kept"]


def test_a_sheet_that_changed_replaces_the_one_that_was_kept(job: Job, web: Server) -> None:
    for version in (b"1", b"2", b"2"):
        web.routes[PATH] = with_tag(CSV + version, ETag=f'"{version.decode()}"')
        assert job.contents() == [(f"{web.url}/out/prices.csv", CSV + version)]
    assert job.stored() == ["kept"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"other")])
def test_a_kept_sheet_that_is_lost_or_damaged_is_fetched_as_a_whole(
    job: Job, web: Server, damage: Callable[[Path], object]
) -> None:
    web.routes[PATH] = with_tag(CSV, ETag='"1"')
    job.contents()
    damage(next((job.state / "sheets").rglob("kept")))
    assert job.contents() == [(f"{web.url}/out/prices.csv", CSV)]
    assert "If-None-Match" not in web.asked[-1][1]


def test_the_tag_of_one_address_is_not_used_for_another(job: Job, web: Server) -> None:
    """As where `latest` redirects to the file of the day: tags made of size and time may be the same."""
    web.routes |= {"/1.csv": with_tag(b"one", ETag='"1"'), "/2.csv": with_tag(b"two", ETag='"1"')}
    contents = []
    for target in ("/1.csv", "/2.csv", "/2.csv"):
        web.routes[PATH] = lambda it, target=target: it.answer(302, Location=target)  # type: ignore[misc]
        contents += [content for _, content in job.contents()]
    assert contents == [b"one", b"two", b"two"]
    assert [headers.get("If-None-Match") for _, headers in web.asked] == [None, None, None, None, None, '"1"']


def test_a_date_of_this_very_second_is_not_relied_on(job: Job, web: Server) -> None:
    """Who writes the file may be at it still, and be done in the same second: it would never be sent again."""
    for age_s, is_asked in [(1, False), (2, True)]:
        date = formatdate(time.time() - age_s, usegmt=True)
        head = {"Last_Modified": date, "Date": formatdate(parsedate_to_datetime(date).timestamp() + age_s, usegmt=True)}
        web.routes[PATH] = lambda it, head=head: it.answer(200, CSV, **head)  # type: ignore[misc]
        job.contents()
        job.contents()
        assert ("If-Modified-Since" in web.asked[-1][1]) is is_asked


def test_a_304_that_nobody_asked_for_makes_no_sense(job: Job, web: Server) -> None:
    web.routes[PATH] = lambda it: it.start(304)
    assert isinstance(job.refusal(), UnexpectedAnswer)


def test_the_name_that_the_server_says_is_the_sheets(tmp_path: Path, web: Server) -> None:
    job = Job(tmp_path, f"{web.url}/export?format=csv")
    told = "attachment; filename*=UTF-8''../%D0%A6%D0%B5%D0%BD%D1%8B.csv"
    web.routes["/export"] = with_tag(CSV, ETag='"1"', Content_Disposition=told)
    for _ in range(2):
        with job.source.pending() as pending:
            assert [found.path.name for found in pending] == ["Цены.csv"]


# --- redirects -----------------------------------------------------------------------------------------------


def test_redirects_are_followed(job: Job, web: Server) -> None:
    web.routes |= {
        PATH: lambda it: it.answer(301, Location="/a"),
        "/a": lambda it: it.answer(307, Location=f"{web.url}/b.csv"),
        "/b.csv": lambda it: it.answer(200, CSV),
    }
    assert job.contents() == [(f"{web.url}/out/prices.csv", CSV)]


def test_redirects_that_go_round_end(job: Job, web: Server) -> None:
    web.routes[PATH] = lambda it: it.answer(302, Location=PATH)
    assert str(job.refusal()) == f"{web.url}/out/prices.csv: more than 5 redirects"
    assert len(web.asked) == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/prices.csv", "data:text/csv,a"])
def test_a_redirect_to_another_scheme_is_not_followed(job: Job, web: Server, target: str) -> None:
    web.routes[PATH] = lambda it: it.answer(302, Location=target)
    error = job.refusal()
    scheme = target.partition(":")[0]
    assert (type(error), str(error)) == (
        UserError,
        f"{web.url}/out/prices.csv: redirects to {scheme}://…, which is not followed; only http and https",
    )


def test_a_redirect_from_https_to_http_is_not_followed(
    tmp_path: Path, web: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No certificate for https is at hand, so the answer to the first request is made by hand."""
    redirect = requests.Response()
    redirect.status_code = 302
    redirect.raw = io.BytesIO()
    redirect.headers["Location"] = f"{web.url}/prices.csv?secret=1"
    monkeypatch.setattr(requests.Session, "get", lambda *_, **__: redirect)
    error = Job(tmp_path, "https://127.0.0.1/prices.csv").refusal()
    assert (type(error), str(error)) == (
        UserError,
        f"https://127.0.0.1/prices.csv: redirects from https to {web.url}/prices.csv, which is not encrypted",
    )
    assert web.asked == []


# --- answers that are no sheet -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, UserError, "the server refuses (400)"),
        (401, UserError, "the server does not let us in (401). "),
        (403, UserError, "the server does not let us in (403). "),
        (404, UserError, "there is nothing at this address (404); was the sheet moved?"),
        (410, UserError, "there is nothing at this address (410); was the sheet moved?"),
        (408, Temporary, "the server cannot answer now (408)"),
        (429, Temporary, "the server cannot answer now (429)"),
        (500, Temporary, "the server cannot answer now (500)"),
        (503, Temporary, "the server cannot answer now (503)"),
        (204, UnexpectedAnswer, "an answer that carries no sheet (204)"),
        (206, UnexpectedAnswer, "an answer that carries no sheet (206)"),
        (302, UnexpectedAnswer, "an answer that carries no sheet (302)"),
    ],
)
def test_a_refusal_says_who_can_act(job: Job, web: Server, status: int, kind: type, words: str) -> None:
    web.routes[PATH] = lambda it: it.answer(status)
    error = job.refusal()
    assert type(error) is kind
    assert str(error).startswith(f"{web.url}/out/prices.csv: {words}")
    assert error.exit_code == (6 if kind is Temporary else 1)


def test_no_connection_is_temporary(tmp_path: Path) -> None:
    with Server() as server:
        url = server.url
    error = Job(tmp_path, f"{url}/prices.csv?secret=1").refusal()
    assert (type(error), str(error)) == (Temporary, f"{url}/prices.csv: no connection to 127.0.0.1")


def test_a_server_that_hangs_up_is_temporary(job: Job, web: Server) -> None:
    web.routes[PATH] = lambda _: None
    assert isinstance(job.refusal(), Temporary)


def cut_off_by_length(it: Handler) -> None:
    it.start(200, Content_Length="100", ETag='"1"')
    it.wfile.write(CSV)


def cut_off_in_a_chunk(it: Handler) -> None:
    it.start(200, Transfer_Encoding="chunked", ETag='"1"')
    it.wfile.write(b"40\r\n" + CSV)


def cut_off_between_chunks(it: Handler) -> None:
    it.start(200, Transfer_Encoding="chunked", ETag='"1"')
    it.wfile.write(f"{len(CSV):x}\r\n".encode() + CSV + b"\r\n")


def cut_off_workbook(it: Handler) -> None:
    it.start(200, ETag='"1"')  # ends with the connection, so that only the workbook itself tells
    it.wfile.write(workbook_bytes()[:-30])


CUTS = [cut_off_by_length, cut_off_in_a_chunk, cut_off_between_chunks, cut_off_workbook]


@pytest.mark.parametrize("cut", CUTS)
def test_an_answer_that_is_cut_off_is_not_used(job: Job, web: Server, cut: Callable[[Handler], None]) -> None:
    web.routes[PATH] = cut
    error = job.refusal()
    assert (type(error), str(error)) == (
        Temporary,
        f"{web.url}/out/prices.csv: the answer was cut off; the next turn asks again",
    )
    assert job.stored() == []


def test_what_was_kept_outlives_an_answer_that_is_cut_off(job: Job, web: Server) -> None:
    web.routes[PATH] = with_tag(CSV, ETag='"0"')
    job.contents()
    web.routes[PATH] = cut_off_by_length
    job.refusal()
    web.routes[PATH] = with_tag(CSV, ETag='"0"')
    assert job.contents() == [(f"{web.url}/out/prices.csv", CSV)]
    assert web.asked[-1][1]["If-None-Match"] == '"0"'


def test_chunks_and_compression_are_read(job: Job, web: Server) -> None:
    def chunked(it: Handler) -> None:
        it.start(200, Transfer_Encoding="chunked")
        for byte in CSV:
            it.wfile.write(b"1\r\n" + bytes([byte]) + b"\r\n")
        it.wfile.write(b"0\r\n\r\n")

    web.routes[PATH] = chunked
    assert job.contents() == [(f"{web.url}/out/prices.csv", CSV)]
    web.routes[PATH] = lambda it: it.answer(200, gzip.compress(CSV), Content_Encoding="gzip")
    assert job.contents() == [(f"{web.url}/out/prices.csv", CSV)]
    assert web.asked[-1][1]["Accept-Encoding"] == "identity"


def test_an_answer_without_a_byte_is_not_an_empty_sheet(job: Job, web: Server) -> None:
    web.routes[PATH] = lambda it: it.answer(200, b"", ETag='"1"')
    assert str(job.refusal()) == f"{web.url}/out/prices.csv: the answer is empty; the next turn asks again"
    assert job.stored() == []


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>Log in", b"\xef\xbb\xbf\r\n <html>\n"])
def test_a_web_page_is_no_sheet_and_is_not_kept(job: Job, web: Server, page: bytes) -> None:
    web.routes[PATH] = lambda it: it.answer(200, page, ETag='"1"')
    error = job.refusal()
    assert (type(error), str(error)) == (
        UserError,
        f"{web.url}/out/prices.csv: answers with a web page, not a sheet. A login page, or a preview? "
        "Give the address that downloads the file",
    )
    assert job.stored() == []


def test_a_sheet_that_is_called_a_web_page_is_a_sheet(job: Job, web: Server) -> None:
    web.routes[PATH] = lambda it: it.answer(200, CSV, Content_Type="text/html")
    assert job.contents() == [(f"{web.url}/out/prices.csv", CSV)]


# --- answers without an end ----------------------------------------------------------------------------------


def endless(it: Handler) -> None:
    it.start(200)
    while True:
        it.wfile.write(b"A-1,10\n" * 1000)


def test_an_endless_answer_ends_at_the_limit(job: Job, web: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_FILE_BYTES", 1 << 20)
    web.routes[PATH] = endless
    error = job.refusal()
    assert isinstance(error, UserError)
    assert str(error).startswith(f"{web.url}/out/prices.csv: the sheet is larger than 1 MB. Split it")
    assert job.stored() == []


def test_who_asks_to_stop_does_not_wait_for_an_answer(job: Job, web: Server) -> None:
    def stopping(it: Handler) -> None:
        it.start(200)
        it.wfile.write(CSV)
        job.stop.ask(15)
        endless(it)

    web.routes[PATH] = stopping
    assert (type(job.refusal()), job.stored()) == (Stopped, [])


def test_an_answer_that_says_it_is_too_large_is_not_read(
    job: Job, web: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_FILE_BYTES", 10)
    monkeypatch.setattr(fetching, "poured", None)  # whoever reads a byte of it fails
    web.routes[PATH] = lambda it: it.answer(200, CSV)
    assert "the sheet is larger than 10 bytes" in str(job.refusal())


def test_what_unpacks_to_more_than_the_limit_is_not_stored(
    job: Job, web: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_FILE_BYTES", 1 << 20)
    web.routes[PATH] = lambda it: it.answer(200, gzip.compress(bytes(50 << 20)), Content_Encoding="gzip")
    assert "the sheet is larger than 1 MB" in str(job.refusal())


@pytest.mark.parametrize("framing", [{}, {"Content_Length": "100000"}, {"Transfer_Encoding": "chunked"}])
def test_an_answer_that_drips_ends_in_time(
    job: Job, web: Server, monkeypatch: pytest.MonkeyPatch, framing: dict[str, str]
) -> None:
    """A byte now and then keeps a connection alive for ever. Here the clock passes with each look at it."""
    clock = job.clock

    def now() -> float:
        clock.at += fetching.MOST_FETCH_S / 5
        return clock.at

    monkeypatch.setattr(FakeClock, "now", lambda _: now())
    is_over = threading.Event()

    def drip(it: Handler) -> None:
        it.start(200, **framing)
        while not is_over.wait(0.01):
            it.wfile.write(b"1\r\nx\r\n" if "Transfer_Encoding" in framing else b"x")
            it.wfile.flush()

    web.routes[PATH] = drip
    try:
        error = job.refusal()
    finally:
        is_over.set()
    assert (type(error), str(error)) == (
        Temporary,
        f"{web.url}/out/prices.csv: the answer takes longer than 15 minutes",
    )


# --- secrets -------------------------------------------------------------------------------------------------


def test_a_password_in_an_address_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        _ = Job(tmp_path, "https://anna:s3cret@example.com/prices.csv?key=s3cret").source
    assert str(told.value).startswith(
        "https://example.com/prices.csv: a password does not belong into a file that is shared. Put it into the file "
        ".netrc"
    )
    assert "s3cret" not in str(told.value)
    assert "anna" not in str(told.value)


def test_the_login_of_netrc_is_sent(job: Job, web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logins = tmp_path / "netrc"
    logins.write_text("machine 127.0.0.1 login anna password word\n", encoding="utf-8")
    logins.chmod(0o600)
    monkeypatch.setenv("NETRC", str(logins))
    web.routes[PATH] = lambda it: it.answer(200 if it.headers.get("Authorization") else 401, CSV)
    assert job.contents() == [(f"{web.url}/out/prices.csv", CSV)]


@pytest.mark.parametrize("status", [200, 302, 403, 500])
def test_what_stands_in_the_query_is_shown_and_stored_nowhere(tmp_path: Path, web: Server, status: int) -> None:
    job = Job(tmp_path, f"{web.url}/prices.csv?key=s3cret#s3cret")
    web.routes["/prices.csv"] = lambda it: it.answer(
        status, CSV, ETag='"1"', Location="http://127.0.0.1:1/x?key=s3cret"
    )
    try:
        with job.source.pending() as pending:
            told = f"{pending}"
    except (UserError, Temporary) as error:
        told = f"{error!r} {error}"
    assert "s3cret" not in told
    stored = b"".join(path.read_bytes() for path in job.state.rglob("*") if path.is_file())
    assert b"s3cret" not in stored


@pytest.mark.parametrize("address", ["http://", "http://[::1/prices.csv", "http://127.0.0.1:port/prices.csv"])
def test_what_is_no_address_is_told(tmp_path: Path, address: str) -> None:
    with pytest.raises(UserError, match=r"is it an address\?|this is no address"):
        Job(tmp_path, address).contents()
