"""Elements of API v2 as its pages list them (seed page 002, notes 1.4). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from catalogsync.api.pages import Element, Entry, decoder_of, element_facts
from catalogsync.api.wire import entries_of, mapping_of


class V2Value(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A value of a field. One with other parts is a value by itself, as those of `items` are (notes 1.3)."""

    value: Any = msgspec.UNSET
    enum: Any = msgspec.UNSET
    subtype: Any = msgspec.UNSET


class _Lone(V2Value, gc=False, forbid_unknown_fields=True, kw_only=True):
    """One object in place of a list of one, as is seen in the wild (notes 1.3)."""

    value: Any


class _Entry(Entry, gc=False):
    field_id: int = msgspec.field(name="id")
    values: list[V2Value] | _Lone | None = None


class _Element(Element, gc=False, kw_only=True):
    entries: list[_Entry] | dict[str, _Entry] | None = msgspec.field(name="custom_fields", default=None)
    leads: Any = None
    customers: Any = None


decode_listing = decoder_of(_Element, "items")


def element_of(item: Mapping[str, Any]) -> Element:
    """An element out of plain JSON."""
    entries = [
        _Entry(int(entry["id"]), _values(entry.get("values"))) for entry in entries_of(item.get("custom_fields"))
    ]
    return _Element(**element_facts(item), entries=entries, leads=item.get("leads"), customers=item.get("customers"))


def _values(values: Any) -> Any:
    return [values] if isinstance(values, dict) and "value" in values else entries_of(values)


def are_linked(elements: Sequence[_Element]) -> list[bool]:
    """Which elements hang on leads or customers; not on the page, but read by clients (notes 1.4)."""
    return [bool(element.leads or element.customers) and _is_linked(element) for element in elements]


def _is_linked(element: _Element) -> bool:
    return any(entries_of(mapping_of(kind).get("id")) for kind in (element.leads, element.customers))
