"""What every call of version 4 has in common: pages, links, bodies, validation errors (api notes 3.3, 4.1).

A bulk write is a bare array, a single one a bare object. One bad entry refuses the whole request with
400 and one entry of ``validation-errors`` per bad one, unless a knob says that the good ones are stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from catalogsync.emulator.values import whole_number
from catalogsync.emulator.wire import PROBLEM, Answer, Api, Call, answer_order, as_json, nothing

MOST_ROWS = 250
GREATEST_PAGE = 10**9
NOT_FOUND = "Error 282."

_DETAILS = {
    "NotSupportedChoice": "The value you selected is not a valid choice.",
    "FieldNotExpected": "This field was not expected.",
    "FieldMissing": "This field is missing.",
    "TooFew": "This collection should contain 1 element or more.",
    "TooMany": "This collection should contain exactly 1 element.",
    "InvalidType": "This value has the wrong type.",
}

Row = TypeVar("Row")
Act: TypeAlias = Callable[[dict[str, Any], int], dict[str, Any] | None]


class Problem(Exception):
    """The whole request is refused with problem+json; nothing of it is stored."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Missing(Exception):
    """What the path or the entry names is not there."""


class Invalid(Exception):
    """One entry cannot be taken: a list of (code, path in the entry)."""

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__(errors)
        self.errors = [{"code": code, "path": path, "detail": _DETAILS[code]} for code, path in errors]


class Rejected(Exception):
    """The whole request is refused because of single entries."""

    def __init__(self, failed: list[dict[str, Any]]) -> None:
        super().__init__(failed)
        self.failed = failed

    def answer(self) -> Answer:
        """400 with ``validation-errors``."""
        body = {
            "validation-errors": self.failed,
            "title": "Bad Request",
            "type": "https://httpstatus.es/400",
            "status": 400,
            "detail": "Request validation failed",
        }
        return as_json(400, body, PROBLEM)


# Reading


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows are asked for."""

    number: int
    rows: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.rows


def page_of(api: Api, call: Call) -> Page:
    """``page`` and ``limit``; more than 250 is cut without a word."""
    sent = call.argument("limit")
    rows = api.knobs.v4_page_rows if sent is None else whole_number(sent)
    if not rows or rows < 0:
        if api.knobs.bad_limit == "400":
            raise Problem(400, "limit is not a positive number")
        rows = api.knobs.v4_page_rows
    number = whole_number(call.argument("page")) or 1
    return Page(min(max(number, 1), GREATEST_PAGE), min(rows, MOST_ROWS))


def collection(
    api: Api, call: Call, key: str, rows: Sequence[Row], show: Callable[[Row], Any], *, totals: bool = False
) -> Answer:
    """One page of all these rows."""
    page = page_of(api, call)
    on_page = rows[page.offset : page.offset + page.rows]
    more = len(rows) > page.offset + page.rows
    total = len(rows) if totals else None
    return page_answer(api, call, key, page, [show(row) for row in on_page], more=more, total=total)


def page_answer(
    api: Api, call: Call, key: str, page: Page, items: list[Any], *, more: bool, total: int | None = None
) -> Answer:
    """A page in its envelope; 204 where it has no rows. Only fields tell totals."""
    if not items:
        return nothing()
    links = {"self": {"href": call.base + call.target}}
    if _has_next(api, page, more):
        links["next"] = {"href": _href(call, page.number + 1, page.rows)}
    body: dict[str, Any] = {}
    if total is not None:
        pages = -(-total // page.rows)
        links["last"] = {"href": _href(call, pages, page.rows)}
        body |= {"_total_items": total, "_page_count": pages}
    return as_json(200, {"_page": page.number, **body, "_links": links, "_embedded": {key: items}})


def _has_next(api: Api, page: Page, more: bool) -> bool:
    if api.knobs.next_link == "always":
        return True
    return more and not (api.knobs.next_link == "missing_after_100" and page.offset + page.rows >= 100)


def _href(call: Call, page: int, rows: int) -> str:
    others = [(name, value) for name, value in call.query if name not in ("page", "limit")]
    return f"{call.base}{call.path}?{urlencode([*others, ('page', page), ('limit', rows)])}"


def self_link(call: Call, path: str) -> dict[str, Any]:
    """``_links`` of one thing: an absolute address, the one this server was called by."""
    return {"self": {"href": call.base + path}}


# Writing


def read_body(raw: bytes) -> Any:
    """The parsed JSON. NaN, Infinity and half a surrogate pair are no JSON, as in v2."""
    try:
        body = json.loads(raw, parse_constant=_refuse_constant, parse_float=_finite)
        if b"\\ud" in raw.lower():
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Problem(400, "The body is not JSON") from error
    return body


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number


def read_entries(api: Api, call: Call) -> list[dict[str, Any]]:
    """The entries of a bulk write, which is a bare array of objects."""
    body = read_body(call.body)
    if not isinstance(body, list) or not body or not all(isinstance(entry, dict) for entry in body):
        raise Problem(400, "The body is not an array of objects")
    if len(body) > api.knobs.v4_max_batch:
        raise Problem(int(api.knobs.over_batch), f"Too many entries: {len(body)} of at most {api.knobs.v4_max_batch}")
    return body


def read_entry(call: Call) -> dict[str, Any]:
    """The body of a single write, which is a bare object."""
    body = read_body(call.body)
    if not isinstance(body, dict):
        raise Problem(400, "The body is not an object")
    return body


def write_all(api: Api, call: Call, key: str, act: Act, *, status: int = 200) -> Answer:
    """Does all entries with `act(entry, place)`, or none. An `act` of None leaves no item."""
    entries = read_entries(api, call)
    items: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    with api.store.transaction():
        for place, entry in enumerate(entries):
            try:
                item = act(entry, place)
            except Invalid as error:
                failed.append({"request_id": _sent_request_id(entry, str(place)), "errors": error.errors})
            else:
                items += [item] if item is not None else []
        if failed and api.knobs.v4_bad_item == "all_or_nothing":
            raise Rejected(failed)
    if not items and not failed:
        return nothing()
    embedded: dict[str, Any] = {key: answer_order(api.knobs, items)}
    if failed:
        embedded["errors"] = failed
    return as_json(write_status(api, status), {"_links": self_link(call, call.path), "_embedded": embedded})


def write_one(api: Api, call: Call, act: Act, *, status: int = 200) -> Answer:
    """Does the one entry of a single write; the answer is the thing itself."""
    entry = read_entry(call)
    try:
        with api.store.transaction():
            item = act(entry, 0)
    except Invalid as error:
        raise Rejected([{"request_id": _sent_request_id(entry, "0"), "errors": error.errors}]) from error
    return nothing() if item is None else as_json(write_status(api, status), item)


def write_status(api: Api, status: int) -> int:
    """The status of a write that was done: the page's for this call, or always the same."""
    return status if api.knobs.v4_write_status == "page" else int(api.knobs.v4_write_status)


def _sent_request_id(entry: dict[str, Any], otherwise: str) -> str:
    sent = entry.get("request_id")
    return str(sent) if isinstance(sent, str | int) and not isinstance(sent, bool) else otherwise


def added_request_id(entry: dict[str, Any], place: int) -> object:
    """What a POST answers: what was sent, else the place as text."""
    sent = entry.get("request_id")
    return sent if isinstance(sent, str | int) and not isinstance(sent, bool) else str(place)


def changed_request_id(api: Api, entry: dict[str, Any], id: object) -> object:
    """What a PATCH answers: the id of the thing, whatever was sent."""
    sent = entry.get("request_id")
    return sent if api.knobs.patch_request_id == "sent" and isinstance(sent, str | int) else id


# Properties of an entry


def text_of(entry: dict[str, Any], name: str) -> str:
    """Text that must be there and not be empty; numbers are tolerated as text."""
    if entry.get(name) is None:
        raise Invalid(("FieldMissing", name))
    sent = entry[name]
    if isinstance(sent, int | float) and not isinstance(sent, bool):
        sent = str(sent)
    if not isinstance(sent, str):
        raise Invalid(("InvalidType", name))
    if not sent.strip():
        raise Invalid(("FieldMissing", name))
    return sent


def changed_text(api: Api, entry: dict[str, Any], name: str, otherwise: str) -> str:
    """A name in a PATCH: optional, unless a knob says otherwise."""
    if name not in entry and not api.knobs.v4_name_required:
        return otherwise
    return text_of(entry, name)


def number_of(entry: dict[str, Any], name: str, otherwise: int) -> int:
    """A whole number, if it was sent."""
    sent = entry.get(name)
    if sent is None:
        return otherwise
    number = whole_number(sent)
    if number is None:
        raise Invalid(("InvalidType", name))
    return number


def flag_of(entry: dict[str, Any], name: str, otherwise: bool) -> bool:
    """A truth value, if it was sent."""
    sent = entry.get(name)
    if sent is None:
        return otherwise
    if not isinstance(sent, bool):
        raise Invalid(("InvalidType", name))
    return sent


def only(entry: dict[str, Any], known: frozenset[str], path: str = "") -> Iterator[tuple[str, str]]:
    """An error for every key that is not expected here."""
    for name in entry:
        if name not in known:
            yield ("FieldNotExpected", f"{path}{name}")
