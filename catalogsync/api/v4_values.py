"""Values of API v4: canonical text to and from what each field type looks like on the wire. Pure.

Numbers are strings, checkboxes booleans, dates Unix seconds, options ids; a field is cleared by ``values: null``
(notes 5).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from catalogsync import fields
from catalogsync.api.pages import One, Read, fast_numbers, fast_texts, plain
from catalogsync.api.v4_elements import V4Value
from catalogsync.api.wire import as_text, is_number, mapping_of
from catalogsync.celltext import clean_text
from catalogsync.model import Field
from catalogsync.moments import local_moment
from catalogsync.numbertext import canonical_number

ITEM_KEYS = frozenset(
    {"sku", "description", "unit_price", "quantity", "unit_type", "discount", "vat_rate_id", "external_uid"}
)
"""What a client writes of an item; the answer adds totals and product ids (notes 5)."""

# --- writing ---


def write_values(field: Field, parts: Mapping[str, str], timezone: str) -> list[Any] | None:
    """A field's canonical text as v4 writes it; None clears the field, an empty list would be refused."""
    filled = {subtype: text for subtype, text in parts.items() if text}
    if not filled:
        return None
    others = json.loads(filled.pop(fields.OTHER_PARTS, "{}"))
    if field.type == "smart_address":
        return [{"value": text, "enum_code": code} for code, text in {**filled, **others}.items()]
    if field.type == "legal_entity":
        entity = {
            name: int(text) if name == "entity_type" and text.isdigit() else text for name, text in filled.items()
        }
        return [{"value": {**entity, **others}}]
    text = filled[""]
    match field.type:
        case "checkbox":
            return [{"value": text == "1"}]
        case "select" | "radiobutton" | "category":
            return [{"enum_id": int(text)}] if text.isdigit() else [{"value": text}]
        case "multiselect":
            return [{"enum_id": int(id_)} for id_ in text.split(",")]
        case "date" | "birthday":
            day = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone or "UTC"))
            return [{"value": day.isoformat()}]
        case "date_time":
            return [{"value": int(text)}]
        case "items":
            return [{"value": item} for item in json.loads(text)]
    return [{"value": text}]


# --- reading ---


def reader_of(field: Field, timezone: str) -> One | Read:
    """What reads a field's ``values``."""
    key = str(field.id)
    match field.type:
        case "smart_address":
            return lambda values: _read_address(key, values)
        case "legal_entity":
            return lambda values: _parts(key, mapping_of(_value(values[0])) if values else {}, "legal_entity")
        case "items":
            return One(lambda values: fields.canonical_items([_item(entry) for entry in values]))
        case "multiselect":
            return One(lambda values: fields.join_ids(int(id_) for id_ in map(_enum_id, values) if id_))
    one = _READ_ONE.get(field.type)
    if one is not None:
        return One(lambda values: one(values[0], timezone), fast_numbers if one is _read_number else None)
    return One(lambda values: "\n".join(clean_text(as_text(_value(entry))) for entry in values), fast_texts)


def _value(entry: Any) -> Any:
    return entry.value if isinstance(entry, V4Value) else mapping_of(entry).get("value")


def _enum_id(entry: Any) -> Any:
    return entry.enum_id if isinstance(entry, V4Value) else mapping_of(entry).get("enum_id")


def _item(entry: Any) -> dict[str, Any]:
    return {name: value for name, value in mapping_of(_value(entry)).items() if name in ITEM_KEYS}


def _read_option(entry: Any, timezone: str) -> str:
    return str(_enum_id(entry) or "")


def _read_number(entry: Any, timezone: str) -> str:
    return canonical_number(as_text(_value(entry)))


def _read_checkbox(entry: Any, timezone: str) -> str:
    return "1" if as_text(_value(entry)).casefold() in {"1", "true"} else "0"


def _unix_s(entry: Any) -> int | None:
    value = _value(entry)
    if isinstance(value, int) or is_number(value):
        return int(value)
    try:
        return int(datetime.fromisoformat(str(value)).timestamp())
    except (ValueError, OverflowError):
        return None


def _read_date(entry: Any, timezone: str) -> str:
    """The day; what is none, as it stands: one element of a page must not make it unreadable."""
    unix_s = _unix_s(entry)
    local = None if unix_s is None else local_moment(unix_s, ZoneInfo(timezone or "UTC"))
    return as_text(_value(entry)) if local is None else local.date().isoformat()


def _read_date_time(entry: Any, timezone: str) -> str:
    unix_s = _unix_s(entry)
    return as_text(_value(entry)) if unix_s is None else str(unix_s)


_READ_ONE: Mapping[str, Callable[[Any, str], str]] = {
    **dict.fromkeys(fields.NUMBER_TYPES, _read_number),
    **dict.fromkeys(fields.OPTION_TYPES - {"multiselect"}, _read_option),
    "checkbox": _read_checkbox,
    "date": _read_date,
    "birthday": _read_date,
    "date_time": _read_date_time,
}


def _read_address(key: str, values: Sequence[Any]) -> Iterator[tuple[str, str]]:
    by_number = dict(enumerate(fields.SUBTYPES["smart_address"], start=1))
    parts = {}
    for entry in values:
        number = _enum_id(entry)
        told = mapping_of(plain(entry)).get("enum_code")
        code = told or by_number.get(int(number) if is_number(number) else 0, number)
        parts[str(code)] = _value(entry)
    return _parts(key, parts, "smart_address")


def _parts(key: str, parts: Mapping[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    """A composite field as (column key, text) pairs; what has no column of its own together, as JSON."""
    known = fields.SUBTYPES[kind]
    for name in known:
        yield f"{key}.{name}", clean_text(as_text(parts.get(name)))
    others = {name: value for name, value in parts.items() if name not in known and value not in (None, "", [])}
    if others:
        yield f"{key}.{fields.OTHER_PARTS}", json.dumps(others, ensure_ascii=False, sort_keys=True, default=str)
