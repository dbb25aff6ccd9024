"""Creating custom fields of a list through API v4; v2 cannot (notes 4.4). Pure: requests and answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from catalogsync.api.dialect import Request, Response
from catalogsync.api.wire import entries_of, mapping_of, object_of
from catalogsync.model import NewField

MOST_FIELDS = 50
"""So many fields are created by one request: what the vendor recommends for writes (notes 3.1)."""


def add_requests(catalog_id: int, fields: Sequence[NewField]) -> Iterator[tuple[Request, tuple[NewField, ...]]]:
    """The requests that create fields, each with those that it carries."""
    for start in range(0, len(fields), MOST_FIELDS):
        some = tuple(fields[start : start + MOST_FIELDS])
        path = f"/api/v4/catalogs/{catalog_id}/custom_fields"
        yield Request("POST", path, json=[*map(_entry, range(len(some)), some)], is_repeatable=False), some


def _entry(place: int, field: NewField) -> dict[str, Any]:
    """A field; those with options need them at once, with an order (notes 4.4)."""
    entry: dict[str, Any] = {"name": field.name, "type": field.type, "request_id": str(place)}
    if field.options:
        entry["enums"] = [{"value": caption, "sort": 10 * n} for n, caption in enumerate(field.options, start=1)]
    return entry


def added_ids(response: Response) -> list[int]:
    """The ids of the fields that an answer confirms."""
    embedded = mapping_of(object_of(response).get("_embedded"))
    return [int(mapping_of(entry)["id"]) for entry in entries_of(embedded.get("custom_fields"))]


def refused_fields(fields: Sequence[NewField], body: Any) -> list[str]:
    """Which fields a refusal names, and why, in words. Nothing of the request was stored."""
    told = []
    for entry in map(mapping_of, entries_of(mapping_of(body).get("validation-errors"))):
        mark = str(entry.get("request_id"))
        name = fields[int(mark)].name if mark.isdecimal() and int(mark) < len(fields) else "a field"
        errors = map(mapping_of, entries_of(entry.get("errors")))
        told += [f"{name}: {error.get('path')}: {error.get('detail') or error.get('code')}" for error in errors]
    return told
