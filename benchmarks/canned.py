"""An account whose answers lie on disk: what the pipeline does after an answer has come, without a socket."""

from __future__ import annotations

import json
from pathlib import Path

import requests

from benchmarks import data
from benchmarks.data import PAGE_ROWS, Data
from catalogsync import sync
from catalogsync.api import v2
from catalogsync.api.auth import Account
from catalogsync.api.client import Client
from catalogsync.api.dialect import Request, Response
from catalogsync.api.transport import HttpTransport
from catalogsync.journal import Journal


class Canned(HttpTransport):
    """Answers from disk; they are decoded as those from a socket are."""

    def __init__(self, made: Data) -> None:
        super().__init__(Account("http://127.0.0.1:9", "token"))
        self._data = made

    def send(self, request: Request) -> Response:
        """The answer to one of the GETs of a plan."""
        answer = requests.Response()
        answer.status_code, answer._content = 200, self._content(request)
        if not answer._content:
            answer.status_code = 204
        return self._checked(request, answer)

    def _content(self, request: Request) -> bytes:
        if request.method != "GET":
            raise AssertionError("a plan writes nothing")
        if request.path == v2.ACCOUNT:
            return json.dumps(data.account()).encode()
        if request.path == v2.CATALOGS:
            return json.dumps(data.catalogs()).encode()
        offset, starts = int(dict(request.params)["limit_offset"]), self._data.starts
        place, is_between = divmod(offset, PAGE_ROWS - 1)
        if is_between or place >= len(starts) - 1:  # the last element alone, which shows that none comes after it
            place = len(starts) - 2 if offset == self._data.rows - 1 else len(starts) - 1
        if place >= len(starts) - 1:
            return b""
        with self._data.pages.open("rb") as file:
            file.seek(starts[place])
            return file.read(starts[place + 1] - starts[place])


def planned(made: Data, state: Path) -> sync.Planned:
    """A plan by the whole pipeline: sheet and pages in, plan out."""
    with Client(v2.V2(PAGE_ROWS), Canned(made)) as client:
        return sync.plan(made.sheet, made.mapping, client, Journal(state / "journal.sqlite"))
