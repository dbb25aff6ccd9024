"""Version 4 shapes of custom-field values, both ways (api notes 5).

Unlike v2, what is read may be written back, with one exception that a knob steers: the `enum_code` of a
multiselect.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.model import ADDRESS_PARTS, Field, Kind, Value
from catalogsync.emulator.v4_items import read_items, write_items
from catalogsync.emulator.v4_linked import read_linked
from catalogsync.emulator.v4_shapes import Wrong, number_of, value_of
from catalogsync.emulator.values import number_text, whole_number

_PART_BY_NUMBER = {number: part for part, number in ADDRESS_PARTS.items()}
_ENUM_KEYS = ("value", "enum_id", "enum_code", "enum")


@dataclass(frozen=True, slots=True)
class Shapes:
    """What the shapes depend on beside the field. `codes` maps option id -> its code."""

    zone: ZoneInfo
    knobs: Knobs
    codes: Mapping[int, str]

    def read(self, field: Field, sent: object) -> Value | None:
        """The neutral value of a sent ``values``; None where it clears the field. Raises `Wrong`."""
        if sent is None:
            return None
        if not isinstance(sent, list):
            raise Wrong("InvalidType")
        if not sent:
            raise Wrong("TooFew")
        for place, entry in enumerate(sent):
            if not isinstance(entry, dict):
                raise Wrong("InvalidType", str(place))
        return _READ[field.kind](self, field, sent)

    def write(self, field: Field, value: Value) -> list[Any]:
        """``values`` as version 4 answers them."""
        return _WRITE[field.kind](self, field, value)

    def type_of(self, field: Field) -> str:
        """The type as it is told: what the price of a product is called is open."""
        return "numeric" if field.type == "price" and self.knobs.price_type == "numeric" else field.type


# What a client wrote


def _single(values: list[dict[str, Any]]) -> Any:
    if len(values) != 1:
        raise Wrong("TooMany")
    return value_of(values[0], 0)


def _text_of(sent: object, path: str) -> str:
    if isinstance(sent, str):
        return sent
    if isinstance(sent, bool) or not isinstance(sent, int | float):
        raise Wrong("InvalidType", path)
    return number_text(sent)


def _read_text(_shapes: Shapes, _field: Field, values: list[dict[str, Any]]) -> str | None:
    return _text_of(_single(values), "0.value") or None


def _read_number(_shapes: Shapes, _field: Field, values: list[dict[str, Any]]) -> str | None:
    sent = _single(values)
    return None if sent == "" else number_of(sent, "0.value")


def _read_flag(_shapes: Shapes, _field: Field, values: list[dict[str, Any]]) -> bool:
    sent = _single(values)
    if sent not in (True, False, "0", "1"):
        raise Wrong("InvalidType", "0.value")
    return sent in (True, "1")


def _instant(sent: object, zone: ZoneInfo) -> datetime.datetime:
    """The moment of Unix seconds or of RFC 3339 text, in the account's zone."""
    unix_s = whole_number(sent)
    try:
        if unix_s is not None:
            return datetime.datetime.fromtimestamp(unix_s, zone)
        if isinstance(sent, str) and re.match(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}", sent):
            read = datetime.datetime.fromisoformat(sent.upper())
            if read.tzinfo is not None:
                return read.astimezone(zone)
    except (ValueError, OverflowError, OSError) as error:
        raise Wrong("InvalidType", "0.value") from error
    raise Wrong("InvalidType", "0.value")


def _read_date(shapes: Shapes, _field: Field, values: list[dict[str, Any]]) -> str | None:
    sent = _single(values)
    if sent == "":
        return None
    day = _instant(sent, shapes.zone).date()
    if not 1 < day.year < 9999:
        raise Wrong("InvalidType", "0.value")
    return day.isoformat()


def _read_moment(shapes: Shapes, _field: Field, values: list[dict[str, Any]]) -> int | None:
    sent = _single(values)
    return None if sent == "" else int(_instant(sent, shapes.zone).timestamp())


def _option(shapes: Shapes, field: Field, entry: dict[str, Any], place: int) -> int:
    """The option an entry names: by id, else by code, else by its caption, letter by letter."""
    if unknown := [key for key in entry if key not in _ENUM_KEYS]:
        raise Wrong("FieldNotExpected", f"{place}.{unknown[0]}")
    if entry.get("enum_id") is not None:
        number, key = whole_number(entry["enum_id"]), "enum_id"
        found = [number] if number is not None and number in field.options else []
    elif entry.get("enum_code") is not None:
        key = "enum_code"
        found = [number for number in field.options if shapes.codes.get(number) == entry[key]]
    elif "value" in entry:
        key = "value"
        found = [number for number, label in field.options.items() if label == entry[key]]
    else:
        raise Wrong("FieldMissing", f"{place}.value")
    if not found:
        raise Wrong("NotSupportedChoice", f"{place}.{key}")
    return found[0]


def _read_choice(shapes: Shapes, field: Field, values: list[dict[str, Any]]) -> int | None:
    if len(values) != 1:
        raise Wrong("TooMany")
    return None if values[0] == {"value": ""} else _option(shapes, field, values[0], 0)


def _read_choices(shapes: Shapes, field: Field, values: list[dict[str, Any]]) -> list[int]:
    chosen: list[int] = []
    for place, entry in enumerate(values):
        if "enum_code" in entry and shapes.knobs.multiselect_enum_code == "refuse":
            raise Wrong("FieldNotExpected", f"{place}.enum_code")
        chosen.append(_option(shapes, field, entry, place))
    return list(dict.fromkeys(chosen))


def _read_address(_shapes: Shapes, _field: Field, values: list[dict[str, Any]]) -> dict[str, str] | None:
    sent: dict[str, str] = {}
    for place, entry in enumerate(values):
        text = _text_of(value_of(entry, place), f"{place}.value")
        key = "enum_id" if entry.get("enum_id") is not None else "enum_code"
        if entry.get(key) is None:
            raise Wrong("FieldMissing", f"{place}.enum_code")
        part = _PART_BY_NUMBER.get(whole_number(entry[key]) or 0) if key == "enum_id" else entry[key]
        if not isinstance(part, str) or part not in ADDRESS_PARTS:
            raise Wrong("NotSupportedChoice", f"{place}.{key}")
        sent[part] = text
    return {part: sent[part] for part in ADDRESS_PARTS if sent.get(part)} or None


def _read_entity(_shapes: Shapes, _field: Field, values: list[dict[str, Any]]) -> dict[str, Any]:
    sent = _single(values)
    if not isinstance(sent, dict):
        raise Wrong("InvalidType", "0.value")
    if not sent.get("name"):
        raise Wrong("FieldMissing", "0.value.name")
    for name, part in sent.items():
        if isinstance(part, dict | list):
            raise Wrong("InvalidType", f"0.value.{name}")
    if sent.get("entity_type") is not None and whole_number(sent["entity_type"]) not in (1, 2):
        raise Wrong("NotSupportedChoice", "0.value.entity_type")
    return sent


_READ: dict[Kind, Callable[[Shapes, Field, list[dict[str, Any]]], Value | None]] = {
    "text": _read_text,
    "number": _read_number,
    "flag": _read_flag,
    "choice": _read_choice,
    "choices": _read_choices,
    "date": _read_date,
    "moment": _read_moment,
    "address": _read_address,
    "entity": _read_entity,
    "items": lambda _shapes, _field, values: read_items(values),
    "raw": lambda _shapes, field, values: read_linked(field.type, values),
}


# What a client reads


def _write_flag(shapes: Shapes, _field: Field, value: bool) -> list[Any]:
    return [{"value": value if shapes.knobs.v4_checkbox == "bool" else str(int(value))}]


def _chosen(shapes: Shapes, field: Field, chosen: list[int]) -> list[Any]:
    return [
        {
            "value": field.options[number],
            "enum_id": number,
            **({"enum_code": shapes.codes[number]} if number in shapes.codes else {}),
        }
        for number in chosen
        if number in field.options
    ]


def _write_date(shapes: Shapes, _field: Field, value: str) -> list[Any]:
    midnight = datetime.datetime.fromisoformat(value).replace(tzinfo=shapes.zone)
    return [{"value": int(midnight.timestamp())}]


def _write_address(_shapes: Shapes, _field: Field, value: Mapping[str, str]) -> list[Any]:
    return [
        {"value": value[part], "enum_id": number, "enum_code": part}
        for part, number in ADDRESS_PARTS.items()
        if part in value
    ]


def _write_raw(value: Any) -> list[Any]:
    # Version 2 and a seed may have stored a bare value, which no client of version 4 expects.
    if not isinstance(value, list):
        return [{"value": value}]
    return [entry if isinstance(entry, dict) else {"value": entry} for entry in value]


_WRITE: dict[Kind, Callable[[Shapes, Field, Value], list[Any]]] = {
    "text": lambda _shapes, _field, value: [{"value": value}],
    "number": lambda _shapes, _field, value: [{"value": value}],
    "flag": _write_flag,
    "choice": lambda shapes, field, value: _chosen(shapes, field, [value]),
    "choices": _chosen,
    "date": _write_date,
    "moment": lambda _shapes, _field, value: [{"value": value}],
    "address": _write_address,
    "entity": lambda _shapes, _field, value: [{"value": value}],
    "items": lambda _shapes, _field, value: write_items(value),
    "raw": lambda _shapes, _field, value: _write_raw(value),
}
