"""What can be done to an answer on its way out, and to a request on its way in."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Literal, TypeAlias

from catalogsync.emulator.forms import read_form
from catalogsync.emulator.wire import HTML, Answer, Call, as_json, html

Shape: TypeAlias = Literal["dict", "list", "flat", "response"]
Garbage: TypeAlias = Literal["bytes", "list", "string", "null", "empty", "html"]


def truncated(answer: Answer) -> Answer:
    """Half of the answer."""
    return dataclasses.replace(answer, body=answer.body[: len(answer.body) // 2])


def garbled(answer: Answer, garbage: Garbage) -> Answer:
    """The answer with its status, but bytes of another shape: no text at all, or JSON that is no object."""
    bodies = {
        "bytes": b"\xff\xfe" + bytes(byte ^ 0x80 for byte in answer.body),
        "list": b"[" + (answer.body or b"{}") + b"]",
        "string": json.dumps(answer.body.decode("utf-8", "replace")).encode(),
        "null": b"null",
        "empty": b"",
        "html": html(200).body,
    }
    content_type = HTML if garbage == "html" else answer.content_type
    status = 200 if answer.status == 204 else answer.status
    return dataclasses.replace(answer, status=status, body=bodies[garbage], content_type=content_type)


def half_of(call: Call) -> Call | None:
    """The request with the first half of its entries, in the order in which they would be applied.

    None where nothing is left: of a single entry half is nothing.
    """
    form = read_form(call)
    try:
        body = json.loads(call.body) if form is None else form
    except (ValueError, RecursionError):
        return None
    halved: Any
    if isinstance(body, list):
        halved = body[: len(body) // 2]
    elif isinstance(body, dict) and all(isinstance(entries, list) for entries in body.values()):
        room = sum(map(len, body.values())) // 2
        halved = {}
        for verb in ("add", "update", "delete"):
            if entries := body.get(verb, [])[:room]:
                halved[verb] = entries
                room -= len(entries)
    else:
        return None
    raw = json.dumps(halved).encode()
    return dataclasses.replace(call, body=raw, content_type="application/json") if halved else None


def reshape(answer: Answer, shape: Shape, now_s: int) -> Answer:
    """`_embedded.errors` in another of the four shapes seen in the wild (api notes 1.5).

    An answer without errors stays as it is. "response" drops the items too: that body knows only one error.
    """
    try:
        body = json.loads(answer.body)
        errors = body["_embedded"]["errors"]
    except (ValueError, LookupError, TypeError):
        return answer
    if not isinstance(errors, dict):
        return answer
    entries = [(verb, key, text) for verb, by_key in errors.items() for key, text in by_key.items()]
    if shape == "list":
        body["_embedded"]["errors"] = {
            verb: [_listed(verb, key, text) for key, text in by_key.items()] for verb, by_key in errors.items()
        }
    elif shape == "flat":
        body["_embedded"]["errors"] = [_flat(verb, key, text) for verb, key, text in entries]
    elif shape == "response":
        _verb, _key, text = entries[0]
        code = _code(text, 222)
        body = {"response": {"error": text, "error_code": str(code), "server_time": now_s}}
    return as_json(answer.status, body)


def _listed(verb: str, key: str, text: str) -> dict[str, Any]:
    return {"code": _code(text, 203), "message": text, "request_id" if verb == "add" else "id": _number(key)}


def _flat(verb: str, key: str, text: str) -> dict[str, Any]:
    number = _number(key)
    if verb == "add":
        return {"id": 0, "code": 400, "message": text, "request_id": number}
    return {"id": number, "code": 400, "message": text, "request_id": 0}


def _code(text: str, default: int) -> int:
    found = re.match(r"Error (\d+)\.", text)
    return int(found[1]) if found else default


def _number(key: str) -> int | str:
    return int(key) if key.isascii() and key.isdigit() else key
