"""What the version 4 shapes of values share: how a wrong one is told, and the parts of one entry."""

from __future__ import annotations

from typing import Any

from catalogsync.emulator.values import BadValue, number_text


class Wrong(Exception):
    """The field does not take this. `path` leads from ``values`` to the culprit; empty is the whole."""

    def __init__(self, code: str, path: str = "") -> None:
        super().__init__(code, path)
        self.code = code
        self.path = path


def value_of(entry: dict[str, Any], place: int) -> Any:
    """The ``value`` of one entry."""
    if "value" not in entry:
        raise Wrong("FieldMissing", f"{place}.value")
    return entry["value"]


def object_of(entry: dict[str, Any], place: int) -> dict[str, Any]:
    """The ``value`` of one entry where it is an object."""
    sent = value_of(entry, place)
    if not isinstance(sent, dict):
        raise Wrong("InvalidType", f"{place}.value")
    return sent


def number_of(sent: object, path: str) -> str:
    """Decimal text of what was sent."""
    try:
        return number_text(sent)
    except BadValue as error:
        raise Wrong("InvalidType", path) from error
