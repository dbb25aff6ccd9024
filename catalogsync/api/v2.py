"""API v2: requests and answers for lists and their elements. Pure.

Sources: seed page 000 (lists) and seed page 002 (elements); what they leave open is taken from the project's
API notes (docs/api.md), named by section.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalogsync.api.dialect import Batch, Capabilities, Flow, Page, Reading, Request, Response, Since
from catalogsync.api.pages import catalog_of, elements_of, page_of
from catalogsync.api.reading import by_offset
from catalogsync.api.v2_answers import errors_of, items_of, result_of
from catalogsync.api.v2_elements import are_linked, decode_listing, element_of
from catalogsync.api.v2_values import reader_of, write_values
from catalogsync.api.wire import entries_of, is_number, mapping_of, object_of
from catalogsync.model import NAME, Add, Catalog, Change, Column, Delete, Field, Result, Schema, Update

CATALOGS = "/api/v2/catalogs"
ELEMENTS = "/api/v2/catalog_elements"
ACCOUNT = "/api/v2/account"

FIELD_TYPES: Mapping[int, str] = {
    **{1: "text", 2: "numeric", 3: "checkbox", 4: "select", 5: "multiselect", 6: "date", 7: "url"},
    **{8: "multitext", 9: "textarea", 10: "radiobutton", 11: "streetaddress", 13: "smart_address"},
    **{14: "birthday", 15: "legal_entity", 16: "items", 17: "org_legal_name", 18: "category"},
    **{19: "date_time", 20: "price", 21: "tracking_data", 23: "monetary", 24: "chained_list", 25: "file"},
}
"""v2 type numbers by the names that v4 uses (notes 1.7)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list: by offset, or by page number where that is not 0."""

    offset: int = 0
    page: int = 0


class V2:
    """The v2 dialect."""

    def __init__(self, page_rows: int = 500) -> None:
        self.capabilities = Capabilities(
            max_batch=250,
            page_rows=page_rows,
            ids_per_read=250,
            can_delete=True,
            compares_updates=True,
            keeps_repeated_hours=False,
            shows_links=True,
        )

    # --- account and lists ---

    def account_request(self) -> Request:
        """The account with its custom fields (notes 1.7)."""
        return Request("GET", ACCOUNT, (("with", "custom_fields"),))

    def catalogs_request(self, catalog_id: int | None = None) -> Request:
        """All lists, or one by its id (seed page 000)."""
        return Request("GET", CATALOGS, () if catalog_id is None else (("id", str(catalog_id)),))

    def read_catalogs(self, response: Response) -> list[Catalog]:
        """The lists of an answer, in its order."""
        return [catalog_of(item) for item in items_of(response)]

    def read_schema(self, account: Response, catalog: Catalog) -> Schema:
        """One list's custom fields out of the account's answer."""
        body = object_of(account)
        custom = mapping_of(mapping_of(body.get("_embedded")).get("custom_fields"))
        entries = entries_of(mapping_of(custom.get("catalogs")).get(str(catalog.id)))
        return Schema(
            account_id=int(body.get("id") or 0),
            timezone=str(body.get("timezone") or ""),
            catalog_id=catalog.id,
            catalog_name=catalog.name,
            fields=tuple(_field(entry) for entry in entries),
        )

    def schema(self, catalog: Catalog) -> Flow[Schema]:
        """The account's answer holds the custom fields of all its lists."""
        account = yield self.account_request()
        return self.read_schema(account, catalog)

    def schema_requests(self, schema: Schema) -> int:
        """One: the account."""
        return 1

    def write_catalogs(
        self, add: Sequence[Mapping[str, Any]], update: Sequence[Mapping[str, Any]], delete: Sequence[int]
    ) -> Flow[tuple[list[int], list[str]]]:
        """All three verbs travel together."""
        response = yield self.catalogs_write_request(add, update, delete)
        return self.read_catalogs_written(response)

    def catalogs_write_request(
        self, add: Sequence[Mapping[str, Any]], update: Sequence[Mapping[str, Any]], delete: Sequence[int]
    ) -> Request:
        """Lists added, changed and deleted in one request (seed page 000)."""
        body = {"add": list(add), "update": list(update), "delete": list(delete)}
        return Request("POST", CATALOGS, json={k: v for k, v in body.items() if v}, is_repeatable=False)

    def read_catalogs_written(self, response: Response) -> tuple[list[int], list[str]]:
        """The ids that the answer confirms, and the errors it tells."""
        ids = [int(item["id"]) for item in items_of(response) if item.get("id")]
        return ids, [error.message for error in errors_of(response)]

    # --- elements ---

    def elements_request(self, catalog_id: int, place: Place | None = None) -> Request:
        """One page: up to 500 rows by offset where honoured, else the server's own page (notes 1.4)."""
        place = place or Place()
        where = (
            (("page", str(place.page)),)
            if place.page
            else (("limit_rows", str(self.capabilities.page_rows)), ("limit_offset", str(place.offset)))
        )
        return Request("GET", ELEMENTS, (("catalog_id", str(catalog_id)), *where), decode=decode_listing)

    def rows_at(self, place: Place) -> tuple[int, int]:
        """By offset; a page by its number is taken to have as many rows."""
        rows = self.capabilities.page_rows
        return ((place.page - 1) * rows if place.page else place.offset), rows

    def reading(self, expected_rows: int | None = None, since: Since | None = None) -> Reading:
        """By offset, documented for other entities only; where it is ignored, by page number (notes 1.4)."""
        return by_offset(
            lambda offset: Place(offset),
            lambda number: Place(page=number),
            self.capabilities.page_rows,
            expected_rows=expected_rows,
            since=since,
        )

    def elements_by_ids_request(self, catalog_id: int, ids: Sequence[int]) -> Request:
        """Certain elements: ``id[]=1&id[]=2`` (notes 1.4). The row limit is named, the default page is smaller."""
        several = tuple(("id[]", str(id_)) for id_ in ids)
        limit = ("limit_rows", str(self.capabilities.page_rows))
        return Request("GET", ELEMENTS, (("catalog_id", str(catalog_id)), *several, limit), decode=decode_listing)

    def elements_by_term_request(self, catalog_id: int, term: str, place: Place | None = None) -> Request:
        """One page of a search in the elements' names (seed page 002)."""
        (catalog, *where) = self.elements_request(catalog_id, place).params
        return Request("GET", ELEMENTS, (catalog, ("term", term), *where), decode=decode_listing)

    def read_elements(self, response: Response, columns: Sequence[Column], timezone: str) -> Page:
        """The elements of a page. A field without a value is absent on the wire and "" here."""
        return page_of(
            elements_of(response, lambda: items_of(response), element_of),
            columns,
            reader_of=lambda field: reader_of(field, timezone),
            are_linked=are_linked,
        )

    def write_requests(self, counts: Mapping[str, int], batch_size: int) -> int:
        """Changes of all kinds share a request (seed page 002)."""
        return math.ceil(sum(counts.values()) / batch_size)

    def parts(self, changes: Sequence[Change], batch_size: int) -> Iterator[Sequence[Change]]:
        """Full requests but for the last one."""
        for start in range(0, len(changes), batch_size):
            yield changes[start : start + batch_size]

    def batches(self, catalog_id: int, changes: Sequence[Change], schema: Schema, batch_size: int) -> Iterator[Batch]:
        """A request for each of `parts`."""
        for number, part in enumerate(self.parts(changes, batch_size), start=1):
            yield self.batch(number, catalog_id, part, schema)

    def batch(self, number: int, catalog_id: int, changes: Iterable[Change], schema: Schema) -> Batch:
        """Adds, updates and deletes share one POST (seed page 002; sibling arrays)."""
        changes = tuple(changes)
        known = {field.id: field for field in schema.fields}
        body: dict[str, list[Any]] = {"add": [], "update": [], "delete": []}
        for change in changes:
            match change:
                case Add():
                    body["add"].append(_add(change, catalog_id, known, schema.timezone))
                case Update():
                    body["update"].append(_update(change, catalog_id, known, schema.timezone))
                case Delete():
                    body["delete"].append(change.id)
        request = Request("POST", ELEMENTS, json={k: v for k, v in body.items() if v}, is_repeatable=False)
        return Batch(number, request, changes)

    def read_results(self, batch: Batch, response: Response) -> list[Result]:
        """Adds by ``request_id``, updates and deletes by id, never by position (notes 9, rule 2)."""
        items = list(items_of(response))
        errors = list(errors_of(response))
        named = {change.id for change in batch.changes if not isinstance(change, Add)}
        touched = {int(item["id"]) for item in items if is_number(item.get("id"))}
        added = {  # a server that makes up request ids (seed page 002) may do so for updates too
            int(item["request_id"]): int(item["id"])
            for item in items
            if is_number(item.get("request_id")) and is_number(item.get("id")) and int(item["id"]) not in named
        }
        return [result_of(change, added, touched, errors) for change in batch.changes]

    def read_refusal(self, batch: Batch, body: Any) -> list[Result]:
        """None: v2 refuses a request as a whole, without naming an entry (notes 3.4)."""
        return []

    def with_names(self, batch: Batch, body: Any, names: Mapping[int, str]) -> None:
        """Never: v2 takes updates without names."""


# --- writing -------------------------------------------------------------------------------------------------


def _add(change: Add, catalog_id: int, known: Mapping[int, Field], timezone: str) -> dict[str, Any]:
    element: dict[str, Any] = {"catalog_id": catalog_id, "request_id": change.op, "name": change.values.get(NAME, "")}
    custom = list(_custom_fields(change.values, known, timezone))
    return {**element, "custom_fields": custom} if custom else element


def _update(change: Update, catalog_id: int, known: Mapping[int, Field], timezone: str) -> dict[str, Any]:
    """Only what differs. ``updated_at`` is the value read plus one, so that the server refuses the update where
    anybody edited the element since (notes 1.6 and 9, rule 8)."""
    element: dict[str, Any] = {"id": change.id, "catalog_id": catalog_id, "updated_at": change.updated_at + 1}
    if NAME in change.after:
        element["name"] = change.after[NAME]
    custom = list(_custom_fields({**change.kept, **change.after}, known, timezone))
    return {**element, "custom_fields": custom} if custom else element


def _custom_fields(values: Mapping[str, str], known: Mapping[int, Field], timezone: str) -> Iterator[dict[str, Any]]:
    by_field: dict[int, dict[str, str]] = {}
    for key, text in values.items():
        if key != NAME:
            id_, _, subtype = key.partition(".")
            by_field.setdefault(int(id_), {})[subtype] = text
    for field_id, parts in by_field.items():
        yield {"id": field_id, "values": write_values(known[field_id], parts, timezone)}


def _field(entry: Mapping[str, Any]) -> Field:
    kind = entry.get("field_type")
    number = int(str(kind)) if is_number(kind) else 0
    return Field(
        id=int(entry["id"]),
        name=str(entry.get("name", "")),
        type=FIELD_TYPES.get(number, f"type {kind}"),
        code=str(entry.get("code") or ""),
        enums=dict(_enums(entry.get("enums"))),
    )


def _enums(enums: Any) -> Iterator[tuple[int, str]]:
    """Options as a map id → caption, or as a list of ``{id, value}`` (notes 1.7)."""
    for id_, caption in mapping_of(enums).items():
        yield int(id_), str(caption)
    for entry in enums if isinstance(enums, list) else []:
        yield int(entry["id"]), str(entry["value"])
