"""Elements of API v4 as its pages list them (notes 4.1, 4.3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from catalogsync.api.dialect import Response
from catalogsync.api.pages import Element, Entry, decoder_of, element_facts
from catalogsync.api.wire import embedded, entries_of


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


class _Listed(msgspec.Struct, gc=False):
    elements: list[_Element]


class _Listing(msgspec.Struct, gc=False):
    embedded: _Listed = msgspec.field(name="_embedded")


decode_listing = decoder_of(_Listing)


def listed_elements(response: Response) -> Sequence[Element]:
    """The elements of an answer, in its order."""
    if isinstance(response.json, _Listing):
        return response.json.embedded.elements
    return [
        _Element(
            **element_facts(item),
            entries=[
                _Entry(int(entry["field_id"]), entries_of(entry.get("values")))
                for entry in entries_of(item.get("custom_fields_values"))
            ],
        )
        for item in embedded(response, "elements")
    ]
