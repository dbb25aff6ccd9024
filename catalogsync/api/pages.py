"""What both dialects do alike with lists and pages of elements. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalogsync.api.dialect import Page
from catalogsync.celltext import clean_text
from catalogsync.model import NAME, Catalog, Column, Field

Read = Callable[[Sequence[Any]], Iterable[tuple[str, str]]]
"""From a field's ``values`` to (column key, canonical text) pairs."""


@dataclass(frozen=True, slots=True)
class One:
    """Reads a field that is one column: `text` is canonical text out of its ``values``, None where they say nothing."""

    text: Callable[[Sequence[Any]], str | None]


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
    reader_of: Callable[[Field], One | Read],
    is_linked: Callable[[Mapping[str, Any]], bool],
) -> Page:
    """The listed elements as columns. A field without a value is absent on the wire and "" here; a checkbox "0"."""
    items = [item for item in listed if not item.get("is_deleted")]
    values = {column.key: [""] * len(items) for column in columns}
    readers = {column.field.id: reader_of(column.field) for column in columns if column.field}
    ones = {
        id_: (reader.text, values.get(str(id_), [""] * len(items)))
        for id_, reader in readers.items()
        if isinstance(reader, One)
    }
    several = {id_: reader for id_, reader in readers.items() if not isinstance(reader, One)}
    if NAME in values:
        values[NAME] = [clean_text(str(item.get("name") or "")) for item in items]
    for place, item in enumerate(items):
        for field_id, wire in entries(item):
            if field_id in ones:  # nearly every value: no pairs are made for it
                read, texts = ones[field_id]
                told = read(wire)
                if told is not None:
                    texts[place] = told
            elif field_id in several:
                for key, text in several[field_id](wire):
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
