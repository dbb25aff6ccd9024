"""What goes wrong on demand.

A fault names the requests it is about (method, path, which match, how many) and one effect. As text:

    504 after POST /api/v2/catalog_elements nth=2        the second such POST is applied, the answer is a 504
    429 GET count=3                                       three times an HTML page, nothing happens
    drop before POST      drop after POST                 the connection dies; the request is not, or is, applied
    truncate GET          delay=0.3 GET count=0           half of the answer; every GET waits (0 = for good)
    errors=flat POST                                      the same errors in another of the shapes seen in the wild

Every fault that matches a request takes part in it, in the order they were set.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast, get_args

from catalogsync.emulator.store import Store
from catalogsync.emulator.wire import HTML, Answer, as_json, html

Effect: TypeAlias = Literal["status", "drop", "truncate", "delay", "errors", "call"]
When: TypeAlias = Literal["before", "after"]
Shape: TypeAlias = Literal["dict", "list", "flat", "response"]


class FaultError(ValueError):
    """A fault that cannot be understood."""


@dataclass(slots=True)
class Fault:
    """One effect on the requests that match `method` and `path` (shell patterns; the path has no query).

    It begins with the `nth` match and lasts for `count` matches, 0 = for good. `when` is before or after
    the request is applied. `matched` and `fired` count what has happened so far.
    """

    effect: Effect
    method: str = "*"
    path: str = "*"
    nth: int = 1
    count: int = 1
    when: When = "before"
    status: int = 500
    body: str | None = None
    content_type: str = HTML
    delay_s: float = 0.0
    shape: Shape = "dict"
    call: Callable[[Store], object] | None = None
    matched: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        _check("effect", self.effect, get_args(Effect))
        _check("when", self.when, get_args(When))
        _check("shape", self.shape, get_args(Shape))
        if (self.effect == "call") != (self.call is not None):
            raise FaultError("the effect 'call' needs a call, and only that one takes it")
        if self.effect == "status" and not 200 <= self.status <= 599:
            raise FaultError(f"{self.status} is not a status that can be answered")
        if self.effect in ("truncate", "errors"):
            # Only an answer that exists can be spoilt.
            self.when = "after"

    @classmethod
    def from_text(cls, text: str) -> Fault:
        """The fault a text describes, in the grammar of this module's docstring."""
        words = text.split()
        if not words:
            raise FaultError("an empty fault")
        told: dict[str, Any] = _effect(words[0])
        for word in words[1:]:
            told |= _condition(word, text)
        return cls(**told)

    @classmethod
    def from_json(cls, given: object) -> Fault:
        """The fault of a text, or of an object with the names of this class."""
        if isinstance(given, str):
            return cls.from_text(given)
        names = {each.name for each in dataclasses.fields(cls)} - {"call", "matched", "fired"}
        if not isinstance(given, Mapping) or not set(given) <= names or "effect" not in given:
            raise FaultError(f"a fault is a text, or an object with an effect and some of {', '.join(sorted(names))}")
        return cls(**{str(name): value for name, value in given.items()})

    def as_json(self) -> dict[str, Any]:
        """The fault as an object, without what only this process can hold."""
        told = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        del told["call"]
        return told

    def takes(self, method: str, path: str) -> bool:
        """Counts a request if it matches; true if the fault is about this one."""
        if not (fnmatch.fnmatchcase(method, self.method) and fnmatch.fnmatchcase(path, self.path)):
            return False
        self.matched += 1
        due = self.matched >= self.nth and (self.count == 0 or self.matched < self.nth + self.count)
        self.fired += due
        return due

    def spoil(self, answer: Answer, now_s: int) -> Answer:
        """The answer in place of `answer`, for effects that replace or damage one."""
        if self.effect == "status":
            return self._replacement()
        if self.effect == "truncate":
            return dataclasses.replace(answer, body=answer.body[: len(answer.body) // 2])
        if self.effect == "errors":
            return reshape(answer, self.shape, now_s)
        return answer

    def _replacement(self) -> Answer:
        if self.status == 204:
            return Answer(204)
        if self.body is None:
            return html(self.status)
        return Answer(self.status, self.body.encode(), self.content_type)


class Faults:
    """The faults in force. Set from a test's thread, used from the server's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def all(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)

    def due(self, method: str, path: str) -> list[Fault]:
        """The faults that take part in this request; counts it for all."""
        with self._lock:
            return [fault for fault in self._faults if fault.takes(method, path)]


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


def _check(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise FaultError(f"{name}: {value!r} is none of {', '.join(allowed)}")


def _effect(word: str) -> dict[str, Any]:
    if re.fullmatch(r"[2-5]\d\d", word):
        return {"effect": "status", "status": int(word)}
    name, _, value = word.partition("=")
    if name == "delay":
        return {"effect": "delay", "delay_s": _seconds(value)}
    if name == "errors":
        return {"effect": "errors", "shape": cast("Shape", value)}
    if word in ("drop", "truncate"):
        return {"effect": word}
    raise FaultError(f"{word!r} is not an effect: a status, drop, truncate, delay=SECONDS or errors=SHAPE")


def _condition(word: str, text: str) -> dict[str, Any]:
    name, equals, value = word.partition("=")
    if word in get_args(When):
        return {"when": word}
    if word.startswith("/"):
        return {"path": word}
    if word.isascii() and word.isalpha() and word.isupper():
        return {"method": word}
    if equals and name in ("nth", "count") and value.isascii() and value.isdigit():
        return {name: int(value)}
    raise FaultError(f"{text!r}: {word!r} is not before, after, a METHOD, a /path, nth=N or count=N")


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise FaultError(f"{text!r} is not a number of seconds")
    return float(text)
