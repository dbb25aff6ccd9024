"""Elements of API v4 as its pages list them (notes 4.1, 4.3). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from catalogsync.api.pages import Element, Entry, decoder_of, element_facts
from catalogsync.api.wire import entries_of


class V4Value(msgspec.Struct, gc=False):
    """A value of a field, as far as it is read."""

    value: Any = None
    enum_id: Any = None
    enum_code: Any = None


class _Entry(Entry, gc=False):
    field_id: int
    values: list[V4Value] | None = None


class _Element(Element, gc=False, kw_only=True):
    entries: list[_Entry] | None = msgspec.field(name="custom_fields_values", default=None)


decode_listing = decoder_of(_Element, "elements")


def element_of(item: Mapping[str, Any]) -> Element:
    """An element out of plain JSON."""
    fields = entries_of(item.get("custom_fields_values"))
    entries = [_Entry(int(entry["field_id"]), entries_of(entry.get("values"))) for entry in fields]
    return _Element(**element_facts(item), entries=entries)
