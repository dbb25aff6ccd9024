"""v2 wire shapes of custom-field values, both ways (api notes 1.3; seed page 002).

Several are asymmetric on purpose, because the real ones are: a multiselect is written as bare ids and
read as captions with ids, an address part is written by name and read by number, dates may be written
with slashes and are read with a time of midnight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from catalogsync.emulator.model import ADDRESS_PARTS, Field, Kind, Value
from catalogsync.emulator.values import (
    BadValue,
    date_text,
    moment,
    moment_text,
    number_text,
    option_id,
    whole_number,
)

_PART_BY_NUMBER = {number: part for part, number in ADDRESS_PARTS.items()}
_DATE_FORMS = re.compile(r"(\d{4})/(\d{2})/(\d{2})|(\d{4})-(\d{2})-(\d{2}) \d{2}:\d{2}:\d{2}")
_ITEM_KEYS = {
    "description",
    "unit_price",
    "unit_type",
    "quantity",
    "discount",
    "vat_rate_id",
    "external_uid",
}


def escaped(caption: str) -> str:
    """A caption as v2 answers it: HTML-escaped the way PHP does by default, single quotes untouched."""
    return caption.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def read_values(field: Field, sent: object, zone: ZoneInfo) -> Value | None:
    """The neutral value of a sent ``values``; None where it clears the field.

    One object instead of a list of one is let through: a working shop integration ships it.
    Raises `BadValue` with the reason.
    """
    values = [sent] if isinstance(sent, dict) else sent
    if not isinstance(values, list):
        raise BadValue("values is not an array")
    if not values:
        return None
    return _READ[field.kind](field, values, zone)


def write_values(field: Field, value: Value, zone: ZoneInfo, caption: Callable[[str], str]) -> list[Any]:
    """``values`` as v2 answers them: every ``value``, ``enum`` and ``subtype`` is text."""
    return _WRITE[field.kind](field, value, zone, caption)


# What a client wrote


def _single(values: list[Any]) -> object:
    """The ``value`` of the one object there may be."""
    if len(values) != 1:
        raise BadValue(f"the field takes one value, not {len(values)}")
    return _value_of(values[0])


def _value_of(entry: object) -> object:
    if not isinstance(entry, dict) or "value" not in entry:
        raise BadValue("an entry of values is not an object with a value")
    return entry["value"]


def _text_of(sent: object) -> str:
    if isinstance(sent, bool) or not isinstance(sent, str | int | float):
        raise BadValue(f"{sent!r} is not text")
    return sent if isinstance(sent, str) else number_text(sent)


def _read_text(_field: Field, values: list[Any], _zone: ZoneInfo) -> str | None:
    return _text_of(_single(values)) or None


def _read_number(_field: Field, values: list[Any], _zone: ZoneInfo) -> str | None:
    sent = _single(values)
    return None if sent == "" else number_text(sent)


def _read_flag(_field: Field, values: list[Any], _zone: ZoneInfo) -> bool:
    sent = _single(values)
    if sent not in (0, 1, "0", "1"):
        raise BadValue(f"{sent!r} is neither 1 nor 0")
    return sent in (1, "1")


def _read_choice(field: Field, values: list[Any], _zone: ZoneInfo) -> int | None:
    sent = _single(values)
    return None if sent == "" else option_id(field, sent)


def _read_choices(field: Field, values: list[Any], _zone: ZoneInfo) -> list[int]:
    return list(dict.fromkeys(option_id(field, bare) for bare in values))


def _read_date(_field: Field, values: list[Any], _zone: ZoneInfo) -> str | None:
    sent = _single(values)
    if sent == "":
        return None
    parts = _DATE_FORMS.fullmatch(str(sent))
    if not parts:
        raise BadValue(f"{sent!r} is not a date: YYYY/MM/DD or YYYY-MM-DD HH:MM:SS")
    return date_text(*(part for part in parts.groups() if part))


def _read_moment(_field: Field, values: list[Any], zone: ZoneInfo) -> int | None:
    sent = _single(values)
    if sent == "":
        return None
    return moment(sent, zone)


def _read_address(_field: Field, values: list[Any], _zone: ZoneInfo) -> dict[str, str] | None:
    sent: dict[str, str] = {}
    for entry in values:
        text = _text_of(_value_of(entry))
        subtype = entry.get("subtype")
        part = _PART_BY_NUMBER.get(whole_number(subtype) or 0, subtype)
        if not isinstance(part, str) or part not in ADDRESS_PARTS:
            raise BadValue(f"{subtype!r} is not a subtype of an address")
        sent[part] = text
    return {part: sent[part] for part in ADDRESS_PARTS if sent.get(part)} or None


def _read_entity(_field: Field, values: list[Any], _zone: ZoneInfo) -> dict[str, Any]:
    sent = _single(values)
    if not isinstance(sent, dict) or not sent.get("name"):
        raise BadValue("a legal entity is an object with at least a name")
    if any(isinstance(part, dict | list) for part in sent.values()):
        raise BadValue("the parts of a legal entity are plain values")
    if "entity_type" in sent and whole_number(sent["entity_type"]) not in (1, 2):
        raise BadValue(f"entity_type is 1 or 2, not {sent['entity_type']!r}")
    return sent


def _read_items(_field: Field, values: list[Any], _zone: ZoneInfo) -> list[dict[str, Any]]:
    for item in values:
        if not isinstance(item, dict) or not item:
            raise BadValue("an item is an object, directly in values")
        if unknown := sorted(set(item) - _ITEM_KEYS):
            raise BadValue(f"an item has no {', '.join(unknown)}")
        for key in ("unit_price", "quantity"):
            if key in item:
                number_text(item[key])
        _check_discount(item.get("discount"))
    return values


def _check_discount(discount: object) -> None:
    if discount in (None, [], {}):
        return
    if not isinstance(discount, dict) or discount.get("type") not in ("amount", "percentage"):
        raise BadValue("a discount is an object with a type of amount or percentage, and a value")
    number_text(discount.get("value"))


def _read_raw(_field: Field, values: list[Any], _zone: ZoneInfo) -> list[Any]:
    return values


_READ: dict[Kind, Callable[[Field, list[Any], ZoneInfo], Value | None]] = {
    "text": _read_text,
    "number": _read_number,
    "flag": _read_flag,
    "choice": _read_choice,
    "choices": _read_choices,
    "date": _read_date,
    "moment": _read_moment,
    "address": _read_address,
    "entity": _read_entity,
    "items": _read_items,
    "raw": _read_raw,
}


# What a client reads


def _chosen(field: Field, chosen: Iterable[int], caption: Callable[[str], str]) -> list[Any]:
    return [
        {"value": caption(field.options[number]), "enum": str(number)} for number in chosen if number in field.options
    ]


def _write_address(value: Mapping[str, str]) -> list[Any]:
    return [{"value": value[part], "subtype": str(number)} for part, number in ADDRESS_PARTS.items() if part in value]


_WRITE: dict[Kind, Callable[[Field, Value, ZoneInfo, Callable[[str], str]], list[Any]]] = {
    "text": lambda _field, value, _zone, _caption: [{"value": value}],
    "number": lambda _field, value, _zone, _caption: [{"value": value}],
    "flag": lambda _field, value, _zone, _caption: [{"value": "1" if value else "0"}],
    "choice": lambda field, value, _zone, caption: _chosen(field, [value], caption),
    "choices": lambda field, value, _zone, caption: _chosen(field, value, caption),
    "date": lambda _field, value, _zone, _caption: [{"value": f"{value} 00:00:00"}],
    "moment": lambda _field, value, zone, _caption: [{"value": moment_text(value, zone)}],
    "address": lambda _field, value, _zone, _caption: _write_address(value),
    "entity": lambda _field, value, _zone, _caption: [{"value": value}],
    "items": lambda _field, value, _zone, _caption: list(value),
    "raw": lambda _field, value, _zone, _caption: value if isinstance(value, list) else [{"value": value}],
}
