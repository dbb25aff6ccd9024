"""What both dialects do alike with lists and pages of elements. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from catalogsync import fields
from catalogsync.api.dialect import Page
from catalogsync.model import NAME, Catalog, Column, Field

Read = Callable[[Sequence[Any]], Iterable[tuple[str, str]]]
"""From a field's ``values`` to (column key, canonical text) pairs."""

Entries = Callable[[Mapping[str, Any]], Iterable[tuple[int, Sequence[Any]]]]
"""From an element to (field id, values) pairs."""


def catalog_of(item: Mapping[str, Any]) -> Catalog:
    """One list of an answer."""
    return Catalog(
        id=int(item["id"]),
        name=str(item.get("name", "")),
        type=str(item.get("type", "regular")),
        sort=int(item.get("sort") or 0),
        created_at=int(item.get("created_at") or 0),
    )


def page_of(
    listed: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    *,
    entries: Entries,
    reader_of: Callable[[Field], Read],
    is_linked: Callable[[Mapping[str, Any]], bool],
) -> Page:
    """The listed elements as columns. A field without a value is absent on the wire and "" here; a checkbox "0"."""
    items = [item for item in listed if not item.get("is_deleted")]
    values = {column.key: [""] * len(items) for column in columns}
    readers = {column.field.id: reader_of(column.field) for column in columns if column.field}
    for place, item in enumerate(items):
        if NAME in values:
            values[NAME][place] = fields.clean_text(str(item.get("name") or ""))
        for field_id, wire in entries(item):
            read = readers.get(field_id)
            for key, text in read(wire) if read else ():
                if key in values:
                    values[key][place] = text
    for column in columns:
        if column.type == "checkbox":
            values[column.key] = [text or "0" for text in values[column.key]]
    return Page(
        ids=[int(item["id"]) for item in items],
        updated_at=[int(item.get("updated_at") or 0) for item in items],
        updated_by=[int(item.get("updated_by") or 0) for item in items],
        values=values,
        linked=[is_linked(item) for item in items],
        listed_ids=[int(item["id"]) for item in listed],
    )
