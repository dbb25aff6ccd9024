"""A call, an answer, and the refusals every version of the API shares. No sockets here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.store import Store

HAL = "application/hal+json"
PROBLEM = "application/problem+json"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what a handler may see of it."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    query_text: str
    body: bytes
    base: str = ""
    """Scheme and host the client called, without a slash at the end: version 4 links are absolute."""
    content_type: str = ""

    @property
    def target(self) -> str:
        """Path and query as they were sent."""
        return f"{self.path}?{self.query_text}" if self.query_text else self.path

    def argument(self, name: str) -> str | None:
        """The last value of a query argument, as PHP reads it; None where it was not sent."""
        found = [value for key, value in self.query if key == name]
        return found[-1] if found else None

    def arguments(self, name: str) -> list[str]:
        """All values of a query argument that may be a list: ``id=1``, ``id[]=1``, ``id[0]=1``."""
        return [value for key, value in self.query if key == name or key.startswith(f"{name}[")]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, body and its type."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Api:
    """What a handler works with. `now` is the server's time in whole Unix seconds."""

    store: Store
    knobs: Knobs
    now: Callable[[], int]

    @property
    def zone(self) -> ZoneInfo:
        """The account's time zone: v2 writes dates in it without naming it."""
        return ZoneInfo(self.store.account.timezone)


Handler: TypeAlias = Callable[[Api, Call], Answer]


class Refused(Exception):
    """The whole request is refused; nothing of it is stored."""

    def __init__(self, code: int, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status


def as_json(status: int, body: Any, content_type: str = HAL) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, json.dumps(body, ensure_ascii=False).encode(), content_type)


def answer_order(knobs: Knobs, items: list[Any]) -> list[Any]:
    """The items of a write in the order of its entries, or in another one."""
    return items if knobs.answer_order == "kept" else items[::-1]


def nothing() -> Answer:
    """Nothing found: 204 without a body, in v2 as in v4."""
    return Answer(204)


def html(status: int) -> Answer:
    """What the web server in front of the API answers by itself: a page for people."""
    title = f"{status} {HTTPStatus(status).phrase}"
    page = f"<html>\n<head><title>{title}</title></head>\n<body><center><h1>{title}</h1></center></body>\n</html>\n"
    return Answer(status, page.encode(), HTML)


def problem(status: int, detail: str) -> Answer:
    """``{title, type, status, detail}``, as for a missing token."""
    title = HTTPStatus(status).phrase
    body = {"title": title, "type": f"https://httpstatus.es/{status}", "status": status, "detail": detail}
    return as_json(status, body, PROBLEM)


def allowing(methods: Iterable[str], answer: Answer) -> Answer:
    """A 405 that says, as HTTP wants it, what would have been right."""
    return replace(answer, headers=(*answer.headers, ("Allow", ", ".join(methods))))


def legacy(refused: Refused, now_s: int) -> Answer:
    """The old body of a refused request, its code as text: ``{"response": {"error", "error_code", …}}``."""
    response = {"error": str(refused), "error_code": str(refused.code), "server_time": now_s}
    return as_json(refused.status, {"response": response})
