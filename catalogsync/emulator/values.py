"""Neutral values: one form per kind of field, whatever dialect wrote it.

    text      str                      address   {part: text}
    number    decimal text as sent     entity    dict
    flag      bool                     items     list of dicts
    choice    enum id                  raw       whatever JSON was sent
    choices   list of enum ids, as sent
    date      "YYYY-MM-DD"
    moment    Unix seconds

`from_person` accepts what somebody writes into a seed file or into the vendor's own screens: labels
for options, true or yes for a checkbox, local time for a moment. Wire shapes live with their dialect.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from catalogsync.emulator.model import ADDRESS_PARTS, Field, Kind, Value

DECIMAL = re.compile(r"-?\d+(\.\d+)?")
# Far beyond any id, yet an offset of that many pages still fits into SQLite's integers.
GREATEST = 10**15
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


class BadValue(ValueError):
    """The field does not take this value. Says why, without naming the field."""


def whole_number(sent: object) -> int | None:
    """An id or a count written as a number or as digits, else None. Truth values are not numbers."""
    if isinstance(sent, int) and not isinstance(sent, bool):
        return sent if abs(sent) <= GREATEST else None
    if isinstance(sent, str) and re.fullmatch(r"[0-9]{1,15}", sent):
        return int(sent)
    return None


def number_text(sent: object) -> str:
    """Decimal text: text stays as it was sent, a JSON number becomes the text PHP would make of it."""
    if isinstance(sent, float) and sent == sent and abs(sent) != float("inf"):
        return f"{Decimal(repr(sent)).normalize():f}"
    if isinstance(sent, str | int) and not isinstance(sent, bool) and DECIMAL.fullmatch(str(sent)):
        return str(sent)
    raise BadValue(f"{sent!r} is not a number")


def date_text(year: str, month: str, day: str) -> str:
    """``YYYY-MM-DD`` of a day that exists."""
    try:
        return datetime.date(int(year), int(month), int(day)).isoformat()
    except ValueError as error:
        raise BadValue(f"{year}-{month}-{day} is not a date") from error


def moment(sent: object, zone: ZoneInfo) -> int:
    """Unix seconds of a local ``YYYY-MM-DD HH:MM:SS`` or of Unix digits.

    Of an hour that occurs twice, the first is meant.
    """
    unix_s = whole_number(sent)
    try:
        if unix_s is None:
            local = datetime.datetime.strptime(str(sent), "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
            unix_s = int(local.timestamp())
        moment_text(unix_s, zone)
    except (ValueError, OverflowError, OSError) as error:
        raise BadValue(f"{sent!r} is not a date and time") from error
    return unix_s


def moment_text(unix_s: int, zone: ZoneInfo) -> str:
    """Local ``YYYY-MM-DD HH:MM:SS`` of Unix seconds."""
    return datetime.datetime.fromtimestamp(unix_s, zone).strftime("%Y-%m-%d %H:%M:%S")


def option_id(field: Field, sent: object) -> int:
    """The enum id, if the field has such an option."""
    number = whole_number(sent)
    if number is None or number not in field.options:
        raise BadValue(f"{sent!r} is not an option")
    return number


def from_person(field: Field, given: object, zone: ZoneInfo) -> Value | None:
    """The neutral value of what a person wrote; None where the field is left without a value."""
    if given is None or given in ("", [], {}):
        return None
    return _FROM_PERSON[field.kind](field, given, zone)


def _text(_field: Field, given: object, _zone: ZoneInfo) -> str:
    if isinstance(given, bool | list | dict):
        raise BadValue(f"{given!r} is not text")
    return str(given)


def _number(_field: Field, given: object, _zone: ZoneInfo) -> str:
    return number_text(given)


def _flag(_field: Field, given: object, _zone: ZoneInfo) -> bool:
    word = str(given).lower()
    if word not in _TRUE | _FALSE:
        raise BadValue(f"{given!r} is neither true nor false")
    return word in _TRUE


def _choice(field: Field, given: object, _zone: ZoneInfo) -> int:
    by_label = [number for number, label in field.options.items() if label == given]
    return by_label[0] if by_label else option_id(field, given)


def _choices(field: Field, given: object, zone: ZoneInfo) -> list[int]:
    labels = given if isinstance(given, list | tuple) else [given]
    return list(dict.fromkeys(_choice(field, label, zone) for label in labels))


def _date(_field: Field, given: object, _zone: ZoneInfo) -> str:
    parts = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", str(given))
    if not parts:
        raise BadValue(f"{given!r} is not a date (YYYY-MM-DD)")
    return date_text(*parts.groups())


def _moment(_field: Field, given: object, zone: ZoneInfo) -> int:
    return moment(given, zone)


def _address(_field: Field, given: object, _zone: ZoneInfo) -> dict[str, str]:
    if not isinstance(given, Mapping) or not set(given) <= set(ADDRESS_PARTS):
        raise BadValue(f"an address is a map of {', '.join(ADDRESS_PARTS)}")
    return {part: str(given[part]) for part in ADDRESS_PARTS if given.get(part)}


def _entity(_field: Field, given: object, _zone: ZoneInfo) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not given.get("name"):
        raise BadValue("a legal entity is a map with at least a name")
    return dict(given)


def _items(_field: Field, given: object, _zone: ZoneInfo) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(item, Mapping) for item in given):
        raise BadValue("items are a list of maps")
    return [dict(item) for item in given]


def _raw(_field: Field, given: object, _zone: ZoneInfo) -> object:
    return given


_FROM_PERSON: dict[Kind, Callable[[Field, object, ZoneInfo], Value]] = {
    "text": _text,
    "number": _number,
    "flag": _flag,
    "choice": _choice,
    "choices": _choices,
    "date": _date,
    "moment": _moment,
    "address": _address,
    "entity": _entity,
    "items": _items,
    "raw": _raw,
}
