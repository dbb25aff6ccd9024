"""The options of a custom field: v4 requests and answers, also beside v2, which cannot change fields. Pure.

A change names every option of the field: one that it leaves out is gone, one that it names without its id gets a new
id, and stored values lose both (notes 4.4). So an answer that is not understood to the last option is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalogsync.api.dialect import Request, Response
from catalogsync.api.wire import entries_of, is_number, mapping_of, object_of
from catalogsync.errors import UnexpectedAnswer


@dataclass(frozen=True, slots=True)
class Option:
    """One option as the account holds it; `sort` and `code` are None where it does not say."""

    id: int
    caption: str
    sort: int | None = None
    code: str | None = None


def read_request(catalog_id: int, field_id: int) -> Request:
    """Asks for one field."""
    return Request("GET", _path(catalog_id, field_id))


def write_request(catalog_id: int, field_id: int, known: Sequence[Option], captions: Sequence[str]) -> Request:
    """Adds options to those that a field has, after the last of them."""
    last = max((option.sort for option in known if option.sort is not None), default=0)
    kept = [_entry(option) for option in known]
    new = [{"value": caption, "sort": last + n} for n, caption in enumerate(captions, start=1)]
    return Request("PATCH", _path(catalog_id, field_id), json={"enums": [*kept, *new]}, is_repeatable=False)


def read(response: Response, field_id: int) -> tuple[Option, ...]:
    """The options of a field, in the account's order. Raises UnexpectedAnswer where they are not all there for sure."""
    body = object_of(response)
    several = entries_of(mapping_of(body.get("_embedded")).get("custom_fields"))
    field: Any = next((each for each in several if mapping_of(each).get("id") == field_id), body)
    if mapping_of(field).get("id") != field_id or "enums" not in field:
        raise UnexpectedAnswer(f"the answer does not tell the options of field {field_id}", status=response.status)
    enums = field["enums"]
    if enums is not None and not isinstance(enums, list | dict):
        raise UnexpectedAnswer(f"the answer garbles the options of field {field_id}", status=response.status)
    options = tuple(_option(entry, response) for entry in entries_of(enums))
    if len({option.id for option in options}) < len(options):
        raise UnexpectedAnswer(f"the answer tells an option of field {field_id} twice", status=response.status)
    return options


def _path(catalog_id: int, field_id: int) -> str:
    return f"/api/v4/catalogs/{catalog_id}/custom_fields/{field_id}"


def _entry(option: Option) -> dict[str, Any]:
    facts: Mapping[str, Any] = {"id": option.id, "value": option.caption, "sort": option.sort, "code": option.code}
    return {name: value for name, value in facts.items() if value is not None}


def _option(entry: Any, response: Response) -> Option:
    facts = mapping_of(entry)
    id_, caption, sort, code = (facts.get(name) for name in ("id", "value", "sort", "code"))
    if not is_number(id_) or not isinstance(caption, str):
        raise UnexpectedAnswer("an option in the answer has no id, or no caption", status=response.status)
    return Option(int(id_), caption, int(sort) if is_number(sort) else None, None if code is None else str(code))
