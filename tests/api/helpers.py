"""What the tests of the API side share: a catalog of every field type, plans by hand, a server that plays a script."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from catalogsync.api.auth import Account
from catalogsync.api.client import Client
from catalogsync.api.dialect import Page, Response
from catalogsync.api.transport import HttpTransport, Retrying
from catalogsync.api.v2 import V2
from catalogsync.api.v4 import V4
from catalogsync.emulator.server import Emulator
from catalogsync.model import Change, Column, Field, Schema
from catalogsync.plan import Plan, counts_of

NOW = 1_760_000_000
CATALOG_ID = 4220
TOKEN = "eyJ0eXAi.a-token-that-nobody-may-see.Zm9v"

FIELDS: tuple[Field, ...] = (
    Field(4400049, "Vendor code", "text", "SKU"),
    Field(4400050, "Amount", "numeric"),
    Field(4400051, "Price", "price", "PRICE"),
    Field(4400062, "Multilist", "multiselect", enums={3692539: "1", 3692540: "2", 3692541: "3"}),
    Field(4400063, "Active", "checkbox"),
    Field(4400064, "Colour", "select", enums={3692: "Red", 3693: "B&amp;W &quot;2&quot;"}),
    Field(4400065, "Expires", "date"),
    Field(4400066, "Born", "birthday"),
    Field(4400067, "Loaded", "date_time"),
    Field(4400068, "Depot", "smart_address"),
    Field(4400069, "Maker", "legal_entity"),
    Field(4400070, "Parts", "items"),
    Field(4400071, "Page", "url"),
    Field(4400072, "Notes", "textarea"),
    Field(4400073, "Street", "streetaddress"),
    Field(4400074, "Grade", "radiobutton", enums={3701: "A", 3702: "B"}),
    Field(4400075, "Group", "category", enums={3711: "Boards"}),
    Field(4400076, "Firm", "org_legal_name"),
    Field(4400077, "Cost", "monetary"),
    Field(4400078, "Odd", "type 99"),
)
BY_ID: Mapping[int, Field] = {each.id: each for each in FIELDS}
SCHEMA = Schema(30001, "Europe/Riga", CATALOG_ID, "Products", FIELDS)

EMULATED_TYPES = tuple(each for each in FIELDS if not each.type.startswith("type "))


def column(key: str) -> Column:
    """The column of a column key of `FIELDS`."""
    id_, _, subtype = key.partition(".")
    return Column(header=key, field=None if id_ == "name" else BY_ID[int(id_)], subtype=subtype)


def columns(*keys: str) -> tuple[Column, ...]:
    """The columns of column keys of `FIELDS`."""
    return tuple(column(key) for key in keys)


def seed(*elements: Mapping[str, Any]) -> dict[str, Any]:
    """An account with one catalog of every field type and these elements."""
    fields = [
        {
            "id": each.id,
            "name": each.name,
            "type": each.type,
            **({"code": each.code} if each.code else {}),
            **({"enums": {caption: id_ for id_, caption in each.enums.items()}} if each.enums else {}),
        }
        for each in EMULATED_TYPES
    ]
    return {
        "account": {"id": 30001, "name": "Acme", "subdomain": "acme", "timezone": "Europe/Riga", "currency": "EUR"},
        "token": TOKEN,
        "catalogs": [{"id": CATALOG_ID, "name": "Products", "fields": fields, "elements": list(elements)}],
    }


def product(number: int, **values: Any) -> dict[str, Any]:
    """An element for `seed`: id, name and vendor code by number."""
    return {"id": 50_000 + number, "name": f"Product {number}", "values": {"SKU": f"V{number}", **values}}


class Clock:
    """A clock that stands still until a test or a sleep moves it."""

    def __init__(self, now_s: float = NOW) -> None:
        self.now_s = now_s
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Moves on at once, and remembers by how much."""
        self.slept.append(seconds)
        self.now_s += seconds


def client_of(emulator: Emulator) -> Client:
    """A client of the emulator without a rate limit."""
    return Client(V2(), Retrying(HttpTransport(Account(emulator.url, emulator.token))))


def read_page(dialect: V2 | V4, body: Any, wanted: Sequence[Column], timezone: str = "") -> Page:
    """The elements of an answer: the same of plain JSON and, where that has the shape for it, decoded at once."""
    page = dialect.read_elements(Response(200, body), wanted, timezone)
    decode = dialect.elements_request(CATALOG_ID).decode
    assert decode is not None
    with suppress(ValueError):
        decoded = decode(msgspec.json.Encoder(decimal_format="number").encode(body))
        assert dialect.read_elements(Response(200, decoded), wanted, timezone) == page
    return page


def made_plan(*changes: Change, batch_size: int = 250) -> Plan:
    """A plan of these changes."""
    return Plan(
        account_id=30001,
        catalog_id=CATALOG_ID,
        catalog_name="Products",
        mapping="products",
        source="products.csv:",
        made_at=NOW,
        changes=changes,
        columns={},
        key_columns=(("4400049",),),
        existing_count=0,
        max_id=0,
        max_updated_at=0,
        unchanged_count=0,
        batch_size=batch_size,
        write_requests=V2().write_requests(counts_of(changes), batch_size),
    )


def posts(emulator: Emulator) -> list[Any]:
    """The bodies of all POSTs as the emulator saw them, in the order of arrival."""
    return [request.body for request in emulator.requests if request.method == "POST"]


@dataclass(frozen=True)
class Told:
    """An answer of a `Scripted` server. `cut_off` ends the connection after half of the body."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_off: bool = False


@dataclass
class Seen:
    """A request that a `Scripted` server got."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Scripted:
    """A server that gives the answers of a script in turn, the last one for good."""

    def __init__(self, answers: Sequence[Told]) -> None:
        self.answers = list(answers)
        self.seen: list[Seen] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """One request: the next answer."""
        length = int(handler.headers.get("Content-Length") or 0)
        self.seen.append(Seen(handler.command, handler.path, dict(handler.headers), handler.rfile.read(length)))
        told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        body = told.body.encode()
        handler.send_response_only(told.status)
        for name, value in {"Content-Length": str(len(body)), **told.headers}.items():
            if told.status != 204 or name != "Content-Length":
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if told.cut_off else body)
        handler.close_connection = told.cut_off


@contextmanager
def scripted(*answers: Told) -> Iterator[Scripted]:
    """A `Scripted` server on a port of its own."""
    script = Scripted(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            script.answer(self)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
