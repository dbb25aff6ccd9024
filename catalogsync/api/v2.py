"""API v2: wire codecs for lists and their elements. Pure.

Sources: seed page 000 (lists) and seed page 002 (elements); what they leave open is taken from the project's
API notes, named by section. v2 reads and writes differ for options: a multi-value field is written as bare
option ids and read as ``{"value": caption, "enum": id}`` (notes 1.3).
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

from catalogsync import fields
from catalogsync.api.dialect import Batch, Capabilities, Page, Request, Response
from catalogsync.errors import Temporary, UnexpectedAnswer
from catalogsync.model import NAME, Add, Catalog, Change, Column, Delete, Field, Result, Schema, Update

CATALOGS = "/api/v2/catalogs"
ELEMENTS = "/api/v2/catalog_elements"
ACCOUNT = "/api/v2/account"

FIELD_TYPES: Mapping[int, str] = {
    **{1: "text", 2: "numeric", 3: "checkbox", 4: "select", 5: "multiselect", 6: "date", 7: "url"},
    **{8: "multitext", 9: "textarea", 10: "radiobutton", 11: "streetaddress", 13: "smart_address"},
    **{14: "birthday", 15: "legal_entity", 16: "items", 17: "org_legal_name", 18: "category"},
    **{19: "date_time", 20: "price", 21: "tracking_data", 23: "monetary", 24: "chained_list", 25: "file"},
}
"""v2 type numbers by the names that v4 uses (notes 1.7)."""

ADDRESS_NUMBERS: Mapping[str, str] = {
    str(number): code for number, code in enumerate(fields.SUBTYPES["smart_address"], start=1)
}
"""A smart address is written by subtype code and read by number (notes 1.3)."""

MOST_MOVES = 100
"""How often a list may be seen to move while it is read, before the reading is given up."""

STALE_MESSAGE = "last modified date is older"
"""The server's words where `updated_at` is not newer than what is stored (notes 1.5, 1.6)."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list: by offset while the server honours ``limit_rows``, by page number otherwise.

    `overlaps` says that the page should begin with the last row of the one before, whose ids are `before`.
    `moves` counts how often it did not.
    """

    offset: int = 0
    page: int = 0
    overlaps: bool = False
    before: tuple[int, ...] = ()
    moves: int = 0


class V2:
    """The v2 dialect."""

    capabilities = Capabilities(max_batch=250, page_rows=500, ids_per_read=250, can_delete=True)

    # --- account and lists ---

    def account_request(self) -> Request:
        """The account with its custom fields (notes 1.7)."""
        return Request("GET", ACCOUNT, (("with", "custom_fields"),))

    def catalogs_request(self, catalog_id: int | None = None) -> Request:
        """All lists, or one by its id (seed page 000)."""
        return Request("GET", CATALOGS, () if catalog_id is None else (("id", str(catalog_id)),))

    def read_catalogs(self, response: Response) -> list[Catalog]:
        """The lists of an answer, in its order."""
        return [
            Catalog(
                id=int(item["id"]),
                name=str(item.get("name", "")),
                type=str(item.get("type", "regular")),
                sort=int(item.get("sort") or 0),
                created_at=int(item.get("created_at") or 0),
            )
            for item in _items(response)
        ]

    def read_schema(self, account: Response, catalog: Catalog) -> Schema:
        """One list's custom fields out of the account's answer."""
        body = _object(account)
        custom = _mapping(_mapping(body.get("_embedded")).get("custom_fields"))
        entries = _entries(_mapping(custom.get("catalogs")).get(str(catalog.id)))
        return Schema(
            account_id=int(body.get("id") or 0),
            timezone=str(body.get("timezone") or ""),
            catalog_id=catalog.id,
            catalog_name=catalog.name,
            fields=tuple(_field(entry) for entry in entries),
        )

    def catalogs_write_request(
        self, add: Sequence[Mapping[str, Any]], update: Sequence[Mapping[str, Any]], delete: Sequence[int]
    ) -> Request:
        """Lists added, changed and deleted in one request (seed page 000)."""
        body = {"add": list(add), "update": list(update), "delete": list(delete)}
        return Request("POST", CATALOGS, json={k: v for k, v in body.items() if v}, is_repeatable=False)

    def read_catalogs_written(self, response: Response) -> tuple[list[int], list[str]]:
        """The ids that the answer confirms, and the errors it tells."""
        ids = [int(item["id"]) for item in _items(response) if item.get("id")]
        return ids, [error.message for error in _errors(response)]

    # --- elements ---

    def elements_request(self, catalog_id: int, cursor: Cursor | None = None) -> Request:
        """One page: up to 500 rows by offset where honoured, else the server's own page (notes 1.4)."""
        cursor = cursor or Cursor()
        place = (
            (("page", str(cursor.page)),)
            if cursor.page
            else (("limit_rows", str(self.capabilities.page_rows)), ("limit_offset", str(cursor.offset)))
        )
        return Request("GET", ELEMENTS, (("catalog_id", str(catalog_id)), *place))

    def next_cursor(self, cursor: Cursor | None, page_ids: Sequence[int], seen: Container[int]) -> Cursor | None:
        """The next place, so that nothing is missed when rows move between two pages.

        Each page begins with the last row of the one before. If it does not begin with a row that was seen,
        something was deleted meanwhile and rows moved up unread: the same stretch is read again from further
        up. Rows that moved down (something was added) come twice, which costs nothing. A page that repeats
        the one before as a whole means that offsets are ignored (notes 1.4); page numbers take over then,
        and have no such check. None at the end.
        """
        ids, cursor = tuple(page_ids), cursor or Cursor()
        if cursor.page:
            is_new = any(id_ not in seen for id_ in ids)
            return Cursor(page=cursor.page + 1) if is_new else None
        if cursor.offset and ids and ids == cursor.before:
            return Cursor(page=2)
        if cursor.overlaps and cursor.offset and (not ids or ids[0] not in seen):
            if cursor.moves >= MOST_MOVES:
                raise Temporary("the catalog keeps changing while it is read")
            further_up = max(0, cursor.offset - self.capabilities.page_rows // 2)
            return dataclasses.replace(cursor, offset=further_up, before=ids, moves=cursor.moves + 1)
        if not ids or (cursor.overlaps and cursor.offset and len(ids) == 1):
            return None
        overlaps = len(ids) > 1
        return Cursor(cursor.offset + len(ids) - overlaps, overlaps=overlaps, before=ids, moves=cursor.moves)

    def elements_by_ids_request(self, catalog_id: int, ids: Sequence[int]) -> Request:
        """Certain elements: ``id[]=1&id[]=2`` (notes 1.4). The row limit is named, the default page is smaller."""
        several = tuple(("id[]", str(id_)) for id_ in ids)
        limit = ("limit_rows", str(self.capabilities.page_rows))
        return Request("GET", ELEMENTS, (("catalog_id", str(catalog_id)), *several, limit))

    def elements_by_term_request(self, catalog_id: int, term: str, cursor: Cursor | None = None) -> Request:
        """One page of a search in the elements' names (seed page 002)."""
        (catalog, *place) = self.elements_request(catalog_id, cursor).params
        return Request("GET", ELEMENTS, (catalog, ("term", term), *place))

    def read_elements(self, response: Response, columns: Sequence[Column], timezone: str) -> Page:
        """The elements of a page. A field without a value is absent on the wire and "" here."""
        listed = list(_items(response))
        items = [item for item in listed if not item.get("is_deleted")]
        values = {column.key: [""] * len(items) for column in columns}
        readers = {column.field.id: _reader(column.field, timezone) for column in columns if column.field}
        for place, item in enumerate(items):
            if NAME in values:
                values[NAME][place] = fields.clean_text(str(item.get("name") or ""))
            for entry in _entries(item.get("custom_fields")):
                read = readers.get(int(entry["id"]))
                for key, text in read(_values(entry)) if read else ():
                    if key in values:
                        values[key][place] = text
        for column in columns:
            if column.type == "checkbox":
                values[column.key] = [text or "0" for text in values[column.key]]
        return Page(
            ids=[int(item["id"]) for item in items],
            updated_at=[int(item.get("updated_at") or 0) for item in items],
            values=values,
            listed_ids=[int(item["id"]) for item in listed],
        )

    def batch(self, number: int, catalog_id: int, changes: Iterable[Change], schema: Schema) -> Batch:
        """Adds, updates and deletes share one POST (seed page 002; sibling arrays)."""
        changes = tuple(changes)
        known = {field.id: field for field in schema.fields}
        body: dict[str, list[Any]] = {"add": [], "update": [], "delete": []}
        for change in changes:
            match change:
                case Add():
                    body["add"].append(_add(change, catalog_id, known, schema.timezone))
                case Update():
                    body["update"].append(_update(change, catalog_id, known, schema.timezone))
                case Delete():
                    body["delete"].append(change.id)
        request = Request("POST", ELEMENTS, json={k: v for k, v in body.items() if v}, is_repeatable=False)
        return Batch(number, request, changes)

    def read_results(self, batch: Batch, response: Response) -> list[Result]:
        """Adds by ``request_id``, updates and deletes by id, never by position (notes 9, rule 2)."""
        items = list(_items(response))
        errors = list(_errors(response))
        named = {change.id for change in batch.changes if not isinstance(change, Add)}
        touched = {int(item["id"]) for item in items if _is_number(item.get("id"))}
        added = {  # a server that makes up request ids (seed page 002) may do so for updates too
            int(item["request_id"]): int(item["id"])
            for item in items
            if _is_number(item.get("request_id")) and _is_number(item.get("id")) and int(item["id"]) not in named
        }
        return [_result(change, added, touched, errors) for change in batch.changes]


# --- writing -------------------------------------------------------------------------------------------------


def _add(change: Add, catalog_id: int, known: Mapping[int, Field], timezone: str) -> dict[str, Any]:
    element: dict[str, Any] = {"catalog_id": catalog_id, "request_id": change.op, "name": change.values.get(NAME, "")}
    custom = list(_custom_fields(change.values, known, timezone))
    return {**element, "custom_fields": custom} if custom else element


def _update(change: Update, catalog_id: int, known: Mapping[int, Field], timezone: str) -> dict[str, Any]:
    """Only what differs. ``updated_at`` is the value read plus one, so that the server refuses the update where
    anybody edited the element since (notes 1.6 and 9, rule 8)."""
    element: dict[str, Any] = {"id": change.id, "catalog_id": catalog_id, "updated_at": change.updated_at + 1}
    if NAME in change.after:
        element["name"] = change.after[NAME]
    custom = list(_custom_fields({**change.kept, **change.after}, known, timezone))
    return {**element, "custom_fields": custom} if custom else element


def _custom_fields(values: Mapping[str, str], known: Mapping[int, Field], timezone: str) -> Iterator[dict[str, Any]]:
    by_field: dict[int, dict[str, str]] = {}
    for key, text in values.items():
        if key != NAME:
            id_, _, subtype = key.partition(".")
            by_field.setdefault(int(id_), {})[subtype] = text
    for field_id, parts in by_field.items():
        yield {"id": field_id, "values": _write(known[field_id], parts, timezone)}


def _write(field: Field, parts: Mapping[str, str], timezone: str) -> list[Any]:
    """A field's canonical text as v2 writes it (notes 1.3); an empty list clears the field."""
    filled = {subtype: text for subtype, text in parts.items() if text}
    others = json.loads(filled.pop(fields.OTHER_PARTS, "{}"))
    if field.type == "smart_address":
        return [{"value": text, "subtype": subtype} for subtype, text in {**filled, **others}.items()]
    if field.type == "legal_entity":
        entity = {
            name: int(text) if name == "entity_type" and text.isdigit() else text for name, text in filled.items()
        }
        return [{"value": {**entity, **others}}] if entity or others else []
    text = filled.get("", "")
    if not text:
        return []
    match field.type:
        case "checkbox" | "select" | "radiobutton" | "category":
            return [{"value": int(text) if text.isdigit() else text}]
        case "multiselect":
            return text.split(",")
        case "date" | "birthday":
            return [{"value": f"{text} 00:00:00"}]
        case "date_time":
            moment = datetime.fromtimestamp(int(text), ZoneInfo(timezone or "UTC"))
            return [{"value": moment.strftime("%Y-%m-%d %H:%M:%S")}]
        case "items":
            return list(json.loads(text))
    return [{"value": text}]


# --- reading -------------------------------------------------------------------------------------------------

Read = Callable[[Sequence[Any]], Iterable[tuple[str, str]]]


def _reader(field: Field, timezone: str) -> Read:
    """A function from a field's ``values`` to (column key, canonical text) pairs."""
    key = str(field.id)
    match field.type:
        case "smart_address":
            return lambda values: _read_address(key, values)
        case "legal_entity":
            return lambda values: _read_entity(key, values)
        case "items":
            return lambda values: [(key, fields.canonical_items([_value(entry) for entry in values]))]
        case "multiselect":
            return lambda values: [(key, fields.join_ids(_option(entry, field) for entry in values))]
    one = _READ_ONE.get(field.type)
    if one is not None:
        return lambda values: [(key, one(values[0], field, timezone))] if values else []
    return lambda values: [(key, "\n".join(fields.clean_text(_as_text(_value(entry))) for entry in values))]


def _values(entry: Mapping[str, Any]) -> list[Any]:
    """A field's values; one object in place of a list of one is seen in the wild (notes 1.3)."""
    values = entry.get("values")
    return [values] if isinstance(values, dict) and "value" in values else _entries(values)


def _value(entry: Any) -> Any:
    return (
        entry["value"]
        if isinstance(entry, dict) and set(entry) <= {"value", "enum", "subtype"} and "value" in entry
        else entry
    )


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return str(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _option(entry: Any, field: Field) -> int:
    """An option's id: ``enum`` where given, a bare id, else the one option with that caption."""
    raw = entry.get("enum") or entry.get("value") if isinstance(entry, dict) else entry
    if _is_number(raw):
        return int(raw)
    return next((id_ for id_, caption in field.enums.items() if caption == raw), 0)


def _read_option(entry: Any, field: Field, timezone: str) -> str:
    return str(_option(entry, field) or "")


def _read_number(entry: Any, field: Field, timezone: str) -> str:
    return fields.canonical_number(_as_text(_value(entry)))


def _read_checkbox(entry: Any, field: Field, timezone: str) -> str:
    return "1" if _as_text(_value(entry)).casefold() in {"1", "true"} else "0"


def _read_date(entry: Any, field: Field, timezone: str) -> str:
    return _as_text(_value(entry))[:10].replace("/", "-")


def _read_date_time(entry: Any, field: Field, timezone: str) -> str:
    text = _as_text(_value(entry)).replace("/", "-").replace("T", " ")
    if text.lstrip("-").isdigit():
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return str(int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone or "UTC"))).timestamp()))


_READ_ONE: Mapping[str, Callable[[Any, Field, str], str]] = {
    **dict.fromkeys(fields.NUMBER_TYPES, _read_number),
    **dict.fromkeys(fields.OPTION_TYPES - {"multiselect"}, _read_option),
    "checkbox": _read_checkbox,
    "date": _read_date,
    "birthday": _read_date,
    "date_time": _read_date_time,
}


def _read_address(key: str, values: Sequence[Any]) -> Iterator[tuple[str, str]]:
    parts = {}
    for entry in values:
        if isinstance(entry, dict):
            subtype = str(entry.get("subtype") or "")
            parts[ADDRESS_NUMBERS.get(subtype, subtype)] = entry.get("value")
    return _parts(key, parts, fields.SUBTYPES["smart_address"])


def _read_entity(key: str, values: Sequence[Any]) -> Iterator[tuple[str, str]]:
    return _parts(key, _mapping(_value(values[0])) if values else {}, fields.SUBTYPES["legal_entity"])


def _parts(key: str, parts: Mapping[str, Any], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A composite field as (column key, text) pairs; what has no column of its own together, as JSON."""
    for name in known:
        yield f"{key}.{name}", fields.clean_text(_as_text(parts.get(name)))
    others = {name: value for name, value in parts.items() if name not in known and value not in (None, "")}
    if others:
        yield f"{key}.{fields.OTHER_PARTS}", json.dumps(others, ensure_ascii=False, sort_keys=True, default=str)


# --- envelopes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Error:
    """One error of an answer: which verb, which entity or request it is about (None: not said), its words."""

    verb: str
    id: int | None
    request_id: int | None
    message: str


def _errors(response: Response) -> Iterator[_Error]:
    """Every error of an answer, in all the shapes that are seen in the wild (notes 1.5)."""
    body = _mapping(response.json)
    errors = _mapping(body.get("_embedded")).get("errors")
    if isinstance(errors, list):
        yield from (_error("", entry) for entry in errors)
    for verb, entries in _mapping(errors).items():
        if isinstance(entries, dict):
            for id_, message in entries.items():
                yield _Error(verb, int(id_) if _is_number(id_) else None, None, _words(message))
        elif isinstance(entries, list):
            yield from (_error(verb, entry) for entry in entries)
        else:
            yield _Error(verb, None, None, _words(entries))
    whole = _mapping(body.get("response")) or ({} if "_embedded" in body else body)
    if whole.get("error") or whole.get("detail") or whole.get("title"):
        yield _Error("", None, None, _words(whole))


def _error(verb: str, entry: Any) -> _Error:
    """A listed error. 0 names nothing: neither ids nor our request ids begin there (notes 1.5)."""
    facts = _mapping(entry)
    id_, request_id = facts.get("id"), facts.get("request_id")
    return _Error(
        verb,
        int(id_) if _is_number(id_) and int(id_) else None,
        int(request_id) if _is_number(request_id) and int(request_id) else None,
        _words(entry),
    )


def _words(error: Any) -> str:
    """An error as one line: its message, else its code."""
    facts = _mapping(error)
    for name in ("message", "detail", "error", "title"):
        if facts.get(name):
            return str(facts[name])
    return f"error {facts['code']}" if facts.get("code") else _as_text(error)


def _result(change: Change, added: Mapping[int, int], touched: set[int], errors: Sequence[_Error]) -> Result:
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


def _items(response: Response) -> Iterator[Mapping[str, Any]]:
    """The items of an answer; none for 204. They are nested one array deeper in some answers (notes 1.2)."""
    if response.json is None:
        return
    for item in _entries(_mapping(_object(response).get("_embedded")).get("items")):
        yield from (entry for entry in (item if isinstance(item, list) else [item]) if isinstance(entry, dict))


def _object(response: Response) -> Mapping[str, Any]:
    if not isinstance(response.json, dict):
        raise UnexpectedAnswer("the server's answer is not a JSON object", status=response.status)
    return response.json


def _mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object, empty where something else stands: PHP writes an empty map as ``[]`` (notes 1.7)."""
    return value if isinstance(value, dict) else {}


def _entries(value: Any) -> list[Any]:
    """A JSON list, or the values of a map that stands for one."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _is_number(value: Any) -> TypeGuard[int | str]:
    return isinstance(value, int | str) and not isinstance(value, bool) and str(value).strip().isdigit()


def _field(entry: Mapping[str, Any]) -> Field:
    kind = entry.get("field_type")
    number = int(str(kind)) if _is_number(kind) else 0
    return Field(
        id=int(entry["id"]),
        name=str(entry.get("name", "")),
        type=FIELD_TYPES.get(number, f"type {kind}"),
        code=str(entry.get("code") or ""),
        enums=dict(_enums(entry.get("enums"))),
    )


def _enums(enums: Any) -> Iterator[tuple[int, str]]:
    """Options as a map id → caption, or as a list of ``{id, value}`` (notes 1.7)."""
    for id_, caption in _mapping(enums).items():
        yield int(id_), str(caption)
    for entry in enums if isinstance(enums, list) else []:
        yield int(entry["id"]), str(entry["value"])
