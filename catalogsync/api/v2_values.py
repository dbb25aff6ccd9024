"""Values of API v2: canonical text to and from what each field type looks like on the wire. Pure.

Reading and writing differ: options are written by id and read as ``{"value": caption, "enum": id}``, subtypes
of an address are written by name and read by number (seed page 002, notes 1.3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import UNSET

from catalogsync import fields
from catalogsync.api.pages import One, Read, plain
from catalogsync.api.v2_elements import V2Value
from catalogsync.api.wire import as_text, is_number, mapping_of
from catalogsync.celltext import clean_text
from catalogsync.model import Field

ADDRESS_NUMBERS: Mapping[str, str] = {
    str(number): code for number, code in enumerate(fields.SUBTYPES["smart_address"], start=1)
}
"""A smart address is written by subtype code and read by number (notes 1.3)."""


# --- writing ---


def write_values(field: Field, parts: Mapping[str, str], timezone: str) -> list[Any]:
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


# --- reading ---


def reader_of(field: Field, timezone: str) -> One | Read:
    """What reads a field's ``values``.

    The shape that nearly every value has is told by its type and read at once; every other one takes the long way.
    """
    key = str(field.id)
    match field.type:
        case "smart_address":
            return lambda values: _read_address(key, values)
        case "legal_entity":
            return lambda values: _read_entity(key, values)
        case "items":
            return One(lambda values: fields.canonical_items([_value(entry) for entry in values]))
        case "multiselect":
            return One(_options_reader(field))
    one = _READ_ONE.get(field.type)
    return One(_read_text if one is None else _one_reader(one, field, timezone))


def _read_text(values: Sequence[Any]) -> str:
    if len(values) == 1:
        entry = values[0]
        if type(entry) is V2Value and type(entry.value) is str and "\r" not in entry.value:
            return entry.value.strip()
    return "\n".join(clean_text(as_text(_value(entry))) for entry in values)


def _one_reader(
    one: Callable[[Any, Field, str], str], field: Field, timezone: str
) -> Callable[[Sequence[Any]], str | None]:
    """Reads the first value; of a type that has few distinct ones, each once."""
    known: dict[tuple[Any, Any], str] = {}

    def number(values: Sequence[Any]) -> str | None:
        entry = values[0]
        if type(entry) is V2Value and type(entry.value) is str and _PLAIN.fullmatch(entry.value):
            return entry.value
        return one(plain(entry), field, timezone)

    def repeating(values: Sequence[Any]) -> str | None:
        entry = values[0]
        if type(entry) is V2Value and type(entry.value) is str and (type(entry.enum) is str or entry.enum is UNSET):
            text = known.get((entry.value, entry.enum))
            if text is None:
                text = known[entry.value, entry.enum] = one(plain(entry), field, timezone)
            return text
        return one(plain(entry), field, timezone)

    return number if one is _read_number else repeating


def _options_reader(field: Field) -> Callable[[Sequence[Any]], str]:
    """Reads several options; each set of ids once."""
    known: dict[tuple[Any, ...], str] = {}

    def options(values: Sequence[Any]) -> str:
        enums = tuple([entry.enum if type(entry) is V2Value else None for entry in values])
        if not all(type(enum) is str and enum for enum in enums):
            return fields.join_ids(_option(plain(entry), field) for entry in values)
        text = known.get(enums)
        if text is None:
            text = known[enums] = fields.join_ids(_option(plain(entry), field) for entry in values)
        return text

    return options


_PLAIN = re.compile(r"(?:[1-9][0-9]{0,14}|0)(?:\.[0-9]{0,8}[1-9])?")
"""A number as it is canonical already; longer ones take the long way."""


def _value(entry: Any) -> Any:
    entry = plain(entry)
    return (
        entry["value"]
        if isinstance(entry, dict) and set(entry) <= {"value", "enum", "subtype"} and "value" in entry
        else entry
    )


def _option(entry: Any, field: Field) -> int:
    """An option's id: ``enum`` where given, a bare id, else the one option with that caption."""
    raw = entry.get("enum") or entry.get("value") if isinstance(entry, dict) else entry
    if is_number(raw):
        return int(raw)
    return next((id_ for id_, caption in field.enums.items() if caption == raw), 0)


def _read_option(entry: Any, field: Field, timezone: str) -> str:
    return str(_option(entry, field) or "")


def _read_number(entry: Any, field: Field, timezone: str) -> str:
    return fields.canonical_number(as_text(_value(entry)))


def _read_checkbox(entry: Any, field: Field, timezone: str) -> str:
    return "1" if as_text(_value(entry)).casefold() in {"1", "true"} else "0"


def _read_date(entry: Any, field: Field, timezone: str) -> str:
    return as_text(_value(entry))[:10].replace("/", "-")


def _read_date_time(entry: Any, field: Field, timezone: str) -> str:
    text = as_text(_value(entry)).replace("/", "-").replace("T", " ")
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
    for entry in map(plain, values):
        if isinstance(entry, dict):
            subtype = str(entry.get("subtype") or "")
            parts[ADDRESS_NUMBERS.get(subtype, subtype)] = entry.get("value")
    return _parts(key, parts, fields.SUBTYPES["smart_address"])


def _read_entity(key: str, values: Sequence[Any]) -> Iterator[tuple[str, str]]:
    return _parts(key, mapping_of(_value(values[0])) if values else {}, fields.SUBTYPES["legal_entity"])


def _parts(key: str, parts: Mapping[str, Any], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A composite field as (column key, text) pairs; what has no column of its own together, as JSON."""
    for name in known:
        yield f"{key}.{name}", clean_text(as_text(parts.get(name)))
    others = {name: value for name, value in parts.items() if name not in known and value not in (None, "")}
    if others:
        yield f"{key}.{fields.OTHER_PARTS}", json.dumps(others, ensure_ascii=False, sort_keys=True, default=str)
