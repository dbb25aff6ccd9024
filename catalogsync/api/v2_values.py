"""Values of API v2: canonical text to and from what each field type looks like on the wire. Pure.

Reading and writing differ: options are written by id and read as ``{"value": caption, "enum": id}``, subtypes
of an address are written by name and read by number (seed page 002, notes 1.3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from catalogsync import fields
from catalogsync.api.pages import NO_OPTION, One, Read, Values, fast_numbers, fast_texts, plain
from catalogsync.api.v2_elements import V2Value
from catalogsync.api.wire import as_text, is_number, mapping_of
from catalogsync.celltext import clean_text
from catalogsync.model import Field
from catalogsync.numbertext import canonical_number

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
    """What reads a field's ``values``."""
    key = str(field.id)
    match field.type:
        case "smart_address":
            return lambda values: _read_address(key, values)
        case "legal_entity":
            return lambda values: _read_entity(key, values)
        case "items":
            return One(lambda values: fields.canonical_items([_value(entry) for entry in values]))
        case "multiselect":
            options = partial(_read_options, field=field)
            return One(options, _Known(lambda enums: options([V2Value(enum=enum) for enum in enums])).of_sets)
    one = _READ_ONE.get(field.type)
    if one is None:
        return One(lambda values: "\n".join(clean_text(as_text(_value(entry))) for entry in values), fast_texts)

    def first(values: Values) -> str:
        return one(plain(values[0]), field, timezone)

    if one is _read_number:
        return One(first, fast_numbers)
    if one is _read_date:
        return One(first, _fast_dates)
    if one is _read_option:
        return One(first, _Known(lambda enum: first([V2Value(enum=enum)])).of_enums)
    return One(first, _Known(lambda value: first([V2Value(value)])).of_values)


class _Known(dict[Any, str]):
    """What the values of a type that has few of them are read as; each is read once."""

    def __init__(self, read: Callable[[Any], str]) -> None:
        super().__init__({NO_OPTION: "", (NO_OPTION,): ""})
        self._read = read

    def __missing__(self, key: Any) -> str:
        if not all(type(part) is str and part for part in (key if type(key) is tuple else (key,))):
            raise TypeError("this one is read by itself")
        text = self[key] = self._read(key)
        return text

    def of_values(self, held: Sequence[Values]) -> list[str] | None:
        """What lone values are read as."""
        return [self[value.value] for (value,) in held]

    def of_enums(self, held: Sequence[Values]) -> list[str] | None:
        """What lone options are read as, by their ids."""
        return [self[value.enum] for (value,) in held]

    def of_sets(self, held: Sequence[Values]) -> list[str] | None:
        """What several options are read as, by their ids."""
        return [self[tuple([entry.enum for entry in values])] for values in held]


_DATES = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?(?:\n(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?)*")


def _fast_dates(held: Sequence[Values]) -> list[str] | None:
    """Dates as v2 sends them, with a time that says nothing."""
    texts = [value.value[:10] for (value,) in held]
    return texts if _DATES.fullmatch("\n".join(texts)) else None


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


def _read_options(values: Values, field: Field) -> str:
    return fields.join_ids(_option(plain(entry), field) for entry in values)


def _read_option(entry: Any, field: Field, timezone: str) -> str:
    return str(_option(entry, field) or "")


def _read_number(entry: Any, field: Field, timezone: str) -> str:
    return canonical_number(as_text(_value(entry)))


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
