"""``/_emulator/…``: the emulator is steered, not the account. No token; answered only to this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from starlette.requests import Request

from catalogsync.emulator.faults import Fault, FaultError
from catalogsync.emulator.openapi import description
from catalogsync.emulator.wire import Answer, as_json, html, problem

if TYPE_CHECKING:
    from catalogsync.emulator.server import Emulator

PREFIX = "/_emulator/"
LOOPBACK = ("127.0.0.1", "::1")


async def steer(emulator: Emulator, request: Request) -> Answer:
    """GET reads, POST adds, DELETE clears."""
    if request.client is None or request.client.host not in LOOPBACK:
        return html(404)
    what = (request.method, str(request.scope["path"]).removeprefix(PREFIX))
    if what == ("GET", "requests"):
        return as_json(200, [asdict(arrival) for arrival in emulator.requests])
    if what == ("GET", "faults"):
        return as_json(200, [fault.as_json() for fault in emulator.faults.all()])
    if what == ("GET", "openapi.json"):
        return as_json(200, description(emulator.store, emulator.url), "application/json")
    if what == ("POST", "faults"):
        return _set_faults(emulator, await request.body())
    if what == ("POST", "code"):
        return as_json(200, {"code": emulator.issue_code()})
    clear = {"requests": emulator.clear_requests, "faults": emulator.faults.clear, "block": emulator.limit.lift}
    if request.method == "DELETE" and what[1] in clear:
        clear[what[1]]()
        return Answer(204)
    return html(404)


def _set_faults(emulator: Emulator, body: bytes) -> Answer:
    try:
        given = json.loads(body)
        faults = [Fault.from_json(each) for each in (given if isinstance(given, list) else [given])]
    except (ValueError, TypeError) as error:
        detail = str(error) if isinstance(error, FaultError) else "expected a fault or a list of faults as JSON"
        return problem(400, detail)
    return as_json(200, [emulator.faults.add(fault).as_json() for fault in faults])
