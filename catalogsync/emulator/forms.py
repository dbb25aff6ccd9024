"""Bodies that old PHP clients send: ``application/x-www-form-urlencoded`` with brackets (api notes 1).

    add[0][name]=Chalk&add[0][custom_fields][0][values][]=3692539&delete[]=41873

As PHP reads them: every scalar is text, an array that was empty is not there at all, ``[]`` takes the next
number. An array whose keys are all numbers is a list, in the order in which its keys came.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from catalogsync.emulator.wire import Call, Refused

FORM = "application/x-www-form-urlencoded"
DEEPEST = 64
_KEY = re.compile(r"([^\[]+)((?:\[[^\]]*\])*)")


def read_form(call: Call) -> dict[str, Any] | None:
    """The body of a form; None where it is none.

    JSON that is announced as a form is taken for JSON: curl does that to everybody who forgets the header.
    """
    if not call.content_type.lower().startswith(FORM) or call.body.lstrip()[:1] in (b"", b"{", b"["):
        return None
    try:
        pairs = parse_qsl(call.body.decode("utf-8"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise Refused(102, "The body is no text") from error
    top: dict[str, Any] = {}
    for name, text in pairs:
        _put(top, name, text)
    return {name: _listed(value) for name, value in top.items()}


def _put(top: dict[str, Any], name: str, text: str) -> None:
    parts = _KEY.match(name)
    if parts is None:
        return
    path = [parts[1], *re.findall(r"\[([^\]]*)\]", parts[2])]
    if len(path) > DEEPEST:
        return
    place = top
    for key in path[:-1]:
        inner = place.setdefault(key or _next(place), {})
        if not isinstance(inner, dict):
            return  # a scalar stands there already; one of the two has to give way
        place = inner
    place[path[-1] or _next(place)] = text


def _next(place: dict[str, Any]) -> str:
    return str(max((int(key) for key in place if _is_number(key)), default=-1) + 1)


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 16


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(each) for key, each in value.items()}
    return list(inner.values()) if all(map(_is_number, inner)) else inner
