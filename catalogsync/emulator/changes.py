"""What a change of an element leaves behind for the account's events: one per name or field that differs.

None for elements added or deleted: the vendor's table of events has none (api notes 6).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from catalogsync.emulator.database import Database
from catalogsync.emulator.model import FIELD_TYPES, Element, Field, Value

NAME = "name_field_changed"


def record(store: Database, fields: Mapping[int, Field], before: Element, after: Element) -> None:
    """Stores the events of one change."""
    for type_, old, new in _changes(fields, before, after):
        store.change(
            "INSERT INTO events (type, catalog_id, entity_id, created_by, created_at, value_before, value_after)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (type_, after.catalog_id, after.id, after.updated_by, after.updated_at, json.dumps(old), json.dumps(new)),
        )


def _changes(
    fields: Mapping[int, Field], before: Element, after: Element
) -> Iterator[tuple[str, list[Any], list[Any]]]:
    if before.name != after.name:
        yield NAME, [{"name_field_value": {"name": before.name}}], [{"name_field_value": {"name": after.name}}]
    for number, field in fields.items():
        if before.values.get(number) != after.values.get(number):
            old, new = (_values(field, element.values.get(number)) for element in (before, after))
            yield f"custom_field_{number}_value_changed", old, new


def _values(field: Field, value: Value | None) -> list[Any]:
    """A value as events tell it: one entry per option, else one text; nothing where there is none."""
    if value is None:
        return []
    if field.kind in ("choice", "choices"):
        chosen = [value] if field.kind == "choice" else value
        texts = [(number, field.options.get(number, "")) for number in chosen]
    elif field.kind == "flag":
        texts = [(None, "1" if value else "0")]
    else:
        texts = [(None, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]
    number = FIELD_TYPES[field.type].number
    return [
        {"custom_field_value": {"field_id": field.id, "field_type": number, "enum_id": enum_id, "text": text}}
        for enum_id, text in texts
    ]
