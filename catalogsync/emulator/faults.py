"""What goes wrong on demand.

A fault names the requests it is about (method, path, which match, how many) and one effect. As text:

    504 after POST /api/v2/catalog_elements nth=2        the second such POST is applied, the answer is a 504
    504 half POST             apply-late=5 POST           the first half of its entries; all of it, 5 seconds later
    429 GET count=3           429 json retry-after=2 GET  three times an HTML page, nothing happens; a JSON body
    402 every=2 count=5                                   every second request, five times
    drop before POST          drop after POST             the connection dies; the request is not, or is, applied
    truncate GET              garble=list GET             half of the answer; an answer of another shape
    delay=0.3 GET count=0                                 every GET waits (0 = for good)
    errors=flat POST                                      the same errors in another of the shapes seen in the wild
    edit 41873 PRICE=99 before GET nth=3                  another user edits, deletes or adds (see `edits`)
    normalise=trim POST                                   what is stored is trimmed; also round and truncate

Every fault that matches a request takes part in it, in the order they were set.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import shlex
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from catalogsync.emulator.damage import Garbage, Shape, garbled, reshape, truncated
from catalogsync.emulator.edits import Action, Edit, FaultError
from catalogsync.emulator.normalising import Normalising
from catalogsync.emulator.store import Store
from catalogsync.emulator.wire import HTML, Answer, html, problem

__all__ = ["Fault", "FaultError", "Faults", "Moment", "read_faults"]

Effect: TypeAlias = Literal["status", "drop", "truncate", "garble", "delay", "errors", "call", "edit", "normalise"]
When: TypeAlias = Literal["before", "after", "half"]
Moment: TypeAlias = Literal["before", "after", "half", "late"]
BY_KNOB: dict[str, When] = {"applied": "after", "not": "before", "half": "half"}


@dataclass(slots=True)
class Fault:
    """One effect on the requests that match `method` and `path` (shell patterns; the path has no query).

    It begins with the `nth` match, takes every `every`-th one from there, and `count` of them, 0 = for good.
    `when` is before the request is applied, after it, or half: after the first half of its entries. Untold
    it is before, and for a 504 what the knob `applied_504` says. With `late_s` the request is applied that
    many seconds after its answer. `matched` and `fired` count what has happened so far; `failed` says why
    another user's edit was not possible.
    """

    effect: Effect
    method: str = "*"
    path: str = "*"
    nth: int = 1
    every: int = 1
    count: int | None = None
    when: When | None = None
    status: int = 500
    body: str | None = None
    content_type: str = ""
    retry_after_s: int | None = None
    delay_s: float = 0.0
    late_s: float | None = None
    shape: Shape = "dict"
    garbage: Garbage = "bytes"
    normalising: Normalising | None = None
    edit: Edit | None = None
    call: Callable[[Store], object] | None = None
    matched: int = 0
    fired: int = 0
    failed: str | None = None

    def __post_init__(self) -> None:
        _check("effect", self.effect, get_args(Effect))
        _check("when", self.when, (None, *get_args(When)))
        _check("shape", self.shape, get_args(Shape))
        _check("garbage", self.garbage, get_args(Garbage))
        _check("normalising", self.normalising, (None, *get_args(Normalising)))
        for effect, told in (("call", self.call), ("edit", self.edit), ("normalise", self.normalising)):
            if (self.effect == effect) != (told is not None):
                raise FaultError(f"the effect {effect!r} needs to be told what, and only that one takes it")
        if self.effect == "status" and self.status not in range(200, 600):
            raise FaultError(f"{self.status} is not a status that can be answered")
        if self.late_s is not None and self.when is not None:
            raise FaultError("what is applied late is applied neither before, after nor half")
        for name, least in (
            ("nth", 1),
            ("every", 1),
            ("count", 0),
            ("retry_after_s", 0),
            ("delay_s", 0),
            ("late_s", 0),
        ):
            told = getattr(self, name)
            kinds = int | float if name in ("delay_s", "late_s") else int
            if told is not None and (isinstance(told, bool) or not isinstance(told, kinds) or told < least):
                raise FaultError(f"{name}: {told!r} is not a number from {least} on")
        if not all(isinstance(text, str) for text in (self.method, self.path, self.content_type, self.body or "")):
            raise FaultError("method, path, body and content_type are text")
        if self.count is None:
            # A store that normalises goes on doing so.
            self.count = 0 if self.effect == "normalise" else 1
        if self.effect in ("truncate", "garble", "errors") and self.when != "half":
            # Only an answer that exists can be spoilt.
            self.when = "after" if self.late_s is None else None

    @classmethod
    def from_text(cls, text: str) -> Fault:
        """The fault a text describes, in the grammar of this module's docstring."""
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise FaultError(f"{text!r}: {error}") from error
        if not words:
            raise FaultError("an empty fault")
        if words[0] in get_args(Action):
            mine = [word for word in words[1:] if not _is_condition(word)]
            action: Action = "edit" if words[0] == "edit" else "delete" if words[0] == "delete" else "add"
            told: dict[str, Any] = {"effect": "edit", "edit": Edit.from_words(action, mine)}
        else:
            mine = []
            told = _effect(words[0])
        for word in words[1:]:
            if not mine or word != mine[0]:
                told |= _condition(word, text)
            else:
                mine.pop(0)
        return cls(**told)

    @classmethod
    def from_json(cls, given: object) -> Fault:
        """The fault of a text, or of an object with the names of this class."""
        if isinstance(given, str):
            return cls.from_text(given)
        names = {each.name for each in dataclasses.fields(cls)} - {"call", "matched", "fired", "failed"}
        if not isinstance(given, Mapping) or not set(given) <= names or "effect" not in given:
            raise FaultError(f"a fault is a text, or an object with an effect and some of {', '.join(sorted(names))}")
        told = {str(name): value for name, value in given.items()}
        if told.get("edit") is not None:
            told["edit"] = Edit.from_json(told["edit"])
        return cls(**told)

    def as_json(self) -> dict[str, Any]:
        """The fault as an object, without what only this process can hold."""
        told = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        del told["call"]
        return told | {"edit": dataclasses.asdict(self.edit) if self.edit else None}

    def takes(self, method: str, path: str) -> bool:
        """Counts a request if it matches; true if the fault is about this one."""
        if not (fnmatch.fnmatchcase(method, self.method) and fnmatch.fnmatchcase(path, self.path)):
            return False
        self.matched += 1
        turn, between = divmod(self.matched - self.nth, self.every)
        due = turn >= 0 and between == 0 and (not self.count or turn < self.count)
        self.fired += due
        return due

    def moment(self, applied_504: str) -> Moment:
        """When it strikes, where the knob has this position."""
        if self.late_s is not None:
            return "late"
        if self.when is None and self.effect == "status" and self.status == 504:
            return BY_KNOB[applied_504]
        return self.when or "before"

    def strike(self, store: Store) -> None:
        """Does what another user, or a test, does at this moment."""
        if self.call is not None:
            self.call(store)
        elif self.edit is not None:
            self.failed = self.edit.apply(store)

    def spoil(self, answer: Answer, now_s: int) -> Answer:
        """The answer in place of `answer`, for effects that replace or damage one."""
        if self.effect == "status":
            return self._replacement()
        if self.effect == "truncate":
            return truncated(answer)
        if self.effect == "garble":
            return garbled(answer, self.garbage)
        if self.effect == "errors":
            return reshape(answer, self.shape, now_s)
        return answer

    def _replacement(self) -> Answer:
        if self.status == 204:
            return Answer(204)
        if self.body is not None:
            answer = Answer(self.status, self.body.encode(), self.content_type or HTML)
        elif self.content_type.endswith("json") or (self.status == 401 and not self.content_type):
            # A 401 is the API's own, not that of the web server before it.
            answer = problem(self.status, DETAILS.get(self.status, "Please repeat the request later"))
        else:
            answer = html(self.status)
        wait = () if self.retry_after_s is None else (("Retry-After", str(self.retry_after_s)),)
        return dataclasses.replace(answer, headers=wait)


DETAILS = {
    401: "Token is missing, expired or revoked",
    402: "Subscription has expired",
    403: "Access denied",
    429: "Too many requests",
}


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


def read_faults(path: Path) -> list[Fault]:
    """The faults of a file: one text per line; blank lines and those that begin with # say nothing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FaultError(f"{path.name} cannot be read: {error}") from error
    faults = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            faults.append(Fault.from_text(text))
        except FaultError as error:
            raise FaultError(f"{path.name}:{number}: {error}") from error
    return faults


def _check(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise FaultError(f"{name}: {value!r} is none of {', '.join(str(each) for each in allowed if each)}")


def _effect(word: str) -> dict[str, Any]:
    if re.fullmatch(r"[2-5]\d\d", word):
        return {"effect": "status", "status": int(word)}
    name, equals, value = word.partition("=")
    if name == "delay":
        return {"effect": "delay", "delay_s": _seconds(value)}
    if name == "apply-late":
        return {"effect": "status", "status": 504, "late_s": _seconds(value)}
    if equals and name in ("errors", "garble", "normalise"):
        return {"effect": name, {"errors": "shape", "garble": "garbage", "normalise": "normalising"}[name]: value}
    if word in ("drop", "truncate", "garble"):
        return {"effect": word}
    raise FaultError(
        f"{word!r} is not an effect: a status, drop, truncate, garble, delay=SECONDS, apply-late=SECONDS,"
        " errors=SHAPE, normalise=HOW, edit, delete or add"
    )


_NUMBERS = {"nth": "nth", "count": "count", "every": "every", "retry-after": "retry_after_s"}
_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
_TYPES = {"json": "application/json", "html": HTML}


def _is_condition(word: str) -> bool:
    try:
        _condition(word, word)
    except FaultError:
        return False
    return True


def _condition(word: str, text: str) -> dict[str, Any]:
    name, equals, value = word.partition("=")
    if word in get_args(When):
        return {"when": word}
    if word.startswith("/"):
        return {"path": word}
    if word in _METHODS:
        return {"method": word}
    if word in _TYPES:
        return {"content_type": _TYPES[word]}
    if equals and name in _NUMBERS and value.isascii() and value.isdigit():
        return {_NUMBERS[name]: int(value)}
    if equals and name == "apply-late":
        return {"late_s": _seconds(value)}
    raise FaultError(
        f"{text!r}: {word!r} is not before, after, half, apply-late=SECONDS, a METHOD, a /path, nth=N, every=N,"
        " count=N, json, html or retry-after=SECONDS"
    )


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise FaultError(f"{text!r} is not a number of seconds")
    return float(text)
