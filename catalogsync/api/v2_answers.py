"""Answers of API v2: items and errors out of an envelope, and what became of each change. Pure.

Errors come in four shapes, items in two; all are read (api notes 1.2, 1.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalogsync.api.dialect import Response
from catalogsync.api.wire import as_text, entries_of, is_number, mapping_of, object_of
from catalogsync.model import Add, Change, Delete, Result, Update

STALE_MESSAGE = "last modified date is older"
"""The server's words where `updated_at` is not newer than what is stored (notes 1.5, 1.6)."""


@dataclass(frozen=True, slots=True)
class _Error:
    """One error of an answer: which verb, which entity or request it is about (None: not said), its words."""

    verb: str
    id: int | None
    request_id: int | None
    message: str


def errors_of(response: Response) -> Iterator[_Error]:
    """Every error of an answer, in all the shapes that are seen in the wild (notes 1.5)."""
    body = mapping_of(response.json)
    errors = mapping_of(body.get("_embedded")).get("errors")
    if isinstance(errors, list):
        yield from (_error("", entry) for entry in errors)
    for verb, entries in mapping_of(errors).items():
        if isinstance(entries, dict):
            for id_, message in entries.items():
                yield _Error(verb, int(id_) if is_number(id_) else None, None, _words(message))
        elif isinstance(entries, list):
            yield from (_error(verb, entry) for entry in entries)
        else:
            yield _Error(verb, None, None, _words(entries))
    whole = mapping_of(body.get("response")) or ({} if "_embedded" in body else body)
    if whole.get("error") or whole.get("detail") or whole.get("title"):
        yield _Error("", None, None, _words(whole))


def _error(verb: str, entry: Any) -> _Error:
    """A listed error. 0 names nothing: neither ids nor our request ids begin there (notes 1.5)."""
    facts = mapping_of(entry)
    id_, request_id = facts.get("id"), facts.get("request_id")
    return _Error(
        verb,
        int(id_) if is_number(id_) and int(id_) else None,
        int(request_id) if is_number(request_id) and int(request_id) else None,
        _words(entry),
    )


def _words(error: Any) -> str:
    """An error as one line: its message, else its code."""
    facts = mapping_of(error)
    for name in ("message", "detail", "error", "title"):
        if facts.get(name):
            return str(facts[name])
    return f"error {facts['code']}" if facts.get("code") else as_text(error)


def result_of(change: Change, added: Mapping[int, int], touched: set[int], errors: Sequence[_Error]) -> Result:
    """One change's fate. An error that names no entity counts for the changes that the answer does not confirm."""
    verb = {Add: "add", Update: "update", Delete: "delete"}[type(change)]
    nameless = [e for e in errors if e.id is None and e.request_id is None and e.verb in {"", verb}]
    match change:
        case Add():
            if change.op in added:
                return Result(change.op, "done", added[change.op])
            mine = [
                e
                for e in errors
                if e.verb in {"", "add"} and (e.request_id == change.op or (e.verb and e.id == change.op))
            ]
            return _failed(change.op, None, mine or nameless)
        case Update():
            mine = [e for e in errors if e.verb in {"", "update"} and e.id == change.id]
            if not mine and change.id in touched:
                return Result(change.op, "done", change.id)
            return _failed(change.op, change.id, mine or nameless)
        case Delete():
            mine = [e for e in errors if e.verb in {"", "delete"} and e.id == change.id]
            if not mine and change.id in touched:
                return Result(change.op, "done", change.id)
            if any(re.search(r"\b282\b", e.message) for e in mine):  # not found: gone already (notes 3.4)
                return Result(change.op, "done", change.id, "was gone already")
            return _failed(change.op, change.id, mine or nameless)


def _failed(op: int, id_: int | None, errors: Sequence[_Error]) -> Result:
    if not errors:
        return Result(op, "unknown", id_, "the answer does not mention it")
    message = errors[0].message
    is_stale = STALE_MESSAGE in message.casefold()
    return Result(op, "conflict" if is_stale else "failed", id_, message)


def items_of(response: Response) -> Iterator[Mapping[str, Any]]:
    """The items of an answer; none for 204. They are nested one array deeper in some answers (notes 1.2)."""
    if response.json is None:
        return
    for item in entries_of(mapping_of(object_of(response).get("_embedded")).get("items")):
        yield from (entry for entry in (item if isinstance(item, list) else [item]) if isinstance(entry, dict))
