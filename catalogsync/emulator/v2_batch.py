"""What every v2 POST has in common: three verbs in one body, items beside errors in one answer.

An entry that cannot be done costs only itself: the answer is 200 with the others under
``_embedded.items`` and a sentence under ``_embedded.errors.<verb>.<id>`` (seen live for leads; the
envelope is shared). A body of the wrong shape costs the whole request, and nothing is stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from catalogsync.emulator.forms import read_form
from catalogsync.emulator.values import whole_number
from catalogsync.emulator.wire import Answer, Api, Call, Refused, answer_order, as_json

VERBS = ("add", "update", "delete")


class EntryError(Exception):
    """One entry of a batch cannot be done. The text starts with the code of the vendor's table."""

    def __init__(self, code: int | None, sentence: str) -> None:
        super().__init__(sentence if code is None else f"Error {code}. {sentence}")


def read_batch(api: Api, call: Call) -> dict[str, list[Any]]:
    """Verb -> entries, empty for a verb that was not sent. Raises `Refused`."""
    form = read_form(call)
    body = _read_body(call.body) if form is None else form
    batch = {verb: _entries(verb, body.get(verb, [])) for verb in VERBS}
    entries = sum(map(len, batch.values()))
    if not any(verb in body for verb in VERBS):
        raise Refused(283, "Data not passed: none of add, update, delete")
    if not entries:
        raise Refused(222, "Empty request")
    if entries > api.knobs.max_batch:
        raise Refused(400, f"Too many entries: {entries} of at most {api.knobs.max_batch}", int(api.knobs.over_batch))
    return batch


def _read_body(raw: bytes) -> dict[str, Any]:
    if not raw.strip():
        raise Refused(222, "Empty request")
    try:
        body = json.loads(raw, parse_constant=_refuse_constant, parse_float=_finite)
        if b"\\ud" in raw.lower():
            # Half a surrogate pair is no text: it can be neither stored nor answered.
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refused(102, "The body is not JSON") from error
    if not isinstance(body, dict):
        raise Refused(284, "Data is not an array")
    if not body:
        raise Refused(222, "Empty request")
    return body


def _refuse_constant(name: str) -> None:
    """JSON has no NaN and no Infinity, though Python's reader lets them through."""
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number


def _entries(verb: str, sent: object) -> list[Any]:
    if not isinstance(sent, list):
        raise Refused(284, f"Data is not an array: {verb}")
    if verb != "delete" and not all(isinstance(entry, dict) for entry in sent):
        raise Refused(284, f"Data is not an array: an entry of {verb}")
    return sent


class Outcome:
    """Collects what became of the entries of one batch."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.errors: dict[str, dict[str, str]] = {}

    def take(self, verb: str, key: object, act: Callable[..., Any], *given: Any) -> None:
        """Does one entry with `act(*given)`; keeps its item, or its error under `key`."""
        try:
            item = act(*given)
        except EntryError as error:
            self.errors.setdefault(verb, {})[str(key)] = str(error)
        else:
            if item is not None:
                self.items.append(item)

    def answer(self, api: Api, path: str) -> Answer:
        """200, also when entries failed: only the body says so."""
        embedded: dict[str, Any] = {"items": answer_order(api.knobs, self.items)}
        if self.errors:
            embedded["errors"] = self.errors
        return as_json(200, {api.knobs.link_key: link(path, "post"), "_embedded": embedded})


def link(href: str, method: str = "get") -> dict[str, Any]:
    """``_links``, as they stand in every answer and every item."""
    return {"self": {"href": href, "method": method}}


def request_id(entry: dict[str, Any], index: int) -> object:
    """The client's own number of an added entry, else its place in the batch."""
    sent = entry.get("request_id")
    return sent if isinstance(sent, int | str) else index


def key_of(entry: dict[str, Any], index: int) -> object:
    """Under which key an error of an update stands: the id, or the place where there is none."""
    number = whole_number(entry.get("id"))
    return index if number is None else number


def required_text(entry: dict[str, Any], name: str) -> str:
    """Text that must be there and not be empty; numbers are tolerated as text."""
    sent = entry.get(name)
    if isinstance(sent, int | float) and not isinstance(sent, bool):
        sent = str(sent)
    if not isinstance(sent, str) or not sent.strip():
        raise EntryError(285, f"Required field missing: {name}")
    return sent


def required_id(entry: dict[str, Any], name: str = "id") -> int:
    """An id that must be there, as a number or as digits."""
    number = whole_number(entry.get(name))
    if number is None:
        raise EntryError(285, f"Required field missing: {name}")
    return number


def id_of(sent: object) -> int:
    """A bare id, as ``delete`` lists them."""
    number = whole_number(sent)
    if number is None:
        raise EntryError(282, f"Not an id: {sent!r}")
    return number


def flag(entry: dict[str, Any], name: str, default: bool) -> bool:
    """A bool as PHP clients send it: true/false, 1/0, "1"/"0", or absent."""
    sent = entry.get(name, default)
    if sent in (True, "1"):
        return True
    if sent in (False, "0", ""):
        return False
    raise EntryError(285, f"{name} is neither true nor false")
