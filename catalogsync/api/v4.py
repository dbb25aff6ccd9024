"""API v4: requests and answers for lists and their elements. Pure.

Facts by section of the project's API notes (docs/api.md). v4 differs from v2 in what may travel together (adds
by POST, updates by PATCH), in its pages (by number, 250 at most), and in all value shapes. It has no deletes:
those go through the v2 path (notes 4).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from catalogsync.api import v2
from catalogsync.api.dialect import Batch, Capabilities, Flow, Page, Reading, Request, Response, Since
from catalogsync.api.pages import catalog_of, elements_of, page_of
from catalogsync.api.reading import by_number
from catalogsync.api.v4_elements import decode_listing, element_of
from catalogsync.api.v4_values import reader_of, write_values
from catalogsync.api.wire import embedded, entries_of, is_number, mapping_of, object_of
from catalogsync.model import NAME, Add, Catalog, Change, Column, Delete, Field, Result, Schema, Update

ACCOUNT = "/api/v4/account"
CATALOGS = "/api/v4/catalogs"

PAGE_ROWS = 250


class V4:
    """The v4 dialect. A place in a list is a page number."""

    def __init__(self, page_rows: int = PAGE_ROWS) -> None:
        self._v2 = v2.V2()
        self.capabilities = Capabilities(
            max_batch=250,
            page_rows=page_rows,
            ids_per_read=PAGE_ROWS,
            can_delete=True,
            compares_updates=False,
            keeps_repeated_hours=True,
            shows_links=False,
        )

    # --- account and lists ---

    def catalogs_request(self, catalog_id: int | None = None) -> Request:
        """All lists, whichever is asked for: an account has ten at most (notes 3.1)."""
        return Request("GET", CATALOGS, (("limit", str(PAGE_ROWS)),))

    def read_catalogs(self, response: Response) -> list[Catalog]:
        """The lists of an answer, in its order."""
        return [catalog_of(item) for item in embedded(response, "catalogs")]

    def schema(self, catalog: Catalog) -> Flow[Schema]:
        """The account with its time zone, then the list's custom fields, page by page."""
        account = object_of((yield Request("GET", ACCOUNT, (("with", "datetime_settings"),))))
        settings = mapping_of(mapping_of(account.get("_embedded")).get("datetime_settings"))
        found: dict[int, Field] = {}
        page = 1
        while True:
            place = (("page", str(page)), ("limit", str(PAGE_ROWS)))
            response = yield Request("GET", f"{CATALOGS}/{catalog.id}/custom_fields", place)
            entries = embedded(response, "custom_fields")
            new = [field for field in map(_field, entries) if field.id not in found]
            found |= {field.id: field for field in new}
            if len(entries) < PAGE_ROWS or not new:
                break
            page += 1
        return Schema(
            account_id=int(account.get("id") or 0),
            timezone=str(settings.get("timezone") or ""),
            catalog_id=catalog.id,
            catalog_name=catalog.name,
            fields=tuple(found.values()),
        )

    def schema_requests(self, schema: Schema) -> int:
        """The account, and the fields by pages."""
        return 2 + len(schema.fields) // PAGE_ROWS

    def write_catalogs(
        self, add: Sequence[Mapping[str, Any]], update: Sequence[Mapping[str, Any]], delete: Sequence[int]
    ) -> Flow[tuple[list[int], list[str]]]:
        """Each verb by itself; deletes through the v2 path."""
        ids: list[int] = []
        errors: list[str] = []
        for method, entries in (("POST", add), ("PATCH", update)):
            if entries:
                body = [{name: str(v) if name == "request_id" else v for name, v in entry.items()} for entry in entries]
                response = yield Request(method, CATALOGS, json=body, is_repeatable=False)
                ids += [int(item["id"]) for item in embedded(response, "catalogs")]
        if delete:
            confirmed, told = yield from self._v2.write_catalogs((), (), delete)
            ids += confirmed
            errors += told
        return ids, errors

    # --- elements ---

    def elements_request(self, catalog_id: int, place: int | None = None) -> Request:
        """One page."""
        where = (("page", str(place or 1)), ("limit", str(self.capabilities.page_rows)))
        return Request("GET", _elements(catalog_id), where, decode=decode_listing)

    def rows_at(self, place: int) -> tuple[int, int]:
        """By page number."""
        return (place - 1) * self.capabilities.page_rows, self.capabilities.page_rows

    def reading(self, expected_rows: int | None = None, since: Since | None = None) -> Reading:
        """By page number, until one is empty or repeats another; `next` links lie both ways (notes 4.1)."""
        return by_number(lambda number: number, self.capabilities.page_rows, expected_rows=expected_rows, since=since)

    def elements_by_ids_request(self, catalog_id: int, ids: Sequence[int]) -> Request:
        """Certain elements."""
        wanted = tuple(("filter[id][]", str(id_)) for id_ in ids)
        return Request("GET", _elements(catalog_id), (*wanted, ("limit", str(PAGE_ROWS))), decode=decode_listing)

    def elements_by_term_request(self, catalog_id: int, term: str, place: int | None = None) -> Request:
        """One page of a search in all filled fields."""
        where = (("query", term), ("page", str(place or 1)), ("limit", str(self.capabilities.page_rows)))
        return Request("GET", _elements(catalog_id), where, decode=decode_listing)

    def read_elements(self, response: Response, columns: Sequence[Column], timezone: str) -> Page:
        """The elements of a page. A field without a value is absent on the wire and "" here."""
        return page_of(
            elements_of(response, lambda: embedded(response, "elements"), element_of),
            columns,
            reader_of=lambda field: reader_of(field, timezone),
            are_linked=lambda items: [False] * len(items),  # v4 does not show it
        )

    # --- writing ---

    def write_requests(self, counts: Mapping[str, int], batch_size: int) -> int:
        """Each kind fills requests of its own."""
        return sum(math.ceil(count / batch_size) for count in counts.values())

    def parts(self, changes: Sequence[Change], batch_size: int) -> Iterator[Sequence[Change]]:
        """Updates, then adds, then deletes, each in full requests but for the last one."""
        for kind in (Update, Add, Delete):
            some = [change for change in changes if isinstance(change, kind)]
            for start in range(0, len(some), batch_size):
                yield some[start : start + batch_size]

    def batches(self, catalog_id: int, changes: Sequence[Change], schema: Schema, batch_size: int) -> Iterator[Batch]:
        """A request for each of `parts`."""
        for number, part in enumerate(self.parts(changes, batch_size), start=1):
            yield self._batch(number, catalog_id, tuple(part), schema)

    def _batch(self, number: int, catalog_id: int, changes: tuple[Change, ...], schema: Schema) -> Batch:
        if isinstance(changes[0], Delete):
            return self._v2.batch(number, catalog_id, changes, schema)
        known = {field.id: field for field in schema.fields}
        body = [_entry(change, known, schema.timezone) for change in changes if not isinstance(change, Delete)]
        method = "POST" if isinstance(changes[0], Add) else "PATCH"
        return Batch(number, Request(method, _elements(catalog_id), json=body, is_repeatable=False), changes)

    def read_results(self, batch: Batch, response: Response) -> list[Result]:
        """Adds by ``request_id``, updates by id: a PATCH answers ids in place of request ids (notes 4)."""
        if isinstance(batch.changes[0], Delete):
            return self._v2.read_results(batch, response)
        object_of(response)
        items = embedded(response, "elements")
        touched = {int(item["id"]) for item in items}
        added = {int(item["request_id"]): int(item["id"]) for item in items if is_number(item.get("request_id"))}
        told = _told(mapping_of(mapping_of(response.json).get("_embedded")).get("errors"))
        return [_result(change, added, touched, told) for change in batch.changes]

    def read_refusal(self, batch: Batch, body: Any) -> list[Result]:
        """The changes that ``validation-errors`` name, each with the field that caused it (notes 3.3).

        The rest of the batch was not stored either: validation comes before writing.
        """
        by_op = {str(change.op): change for change in batch.changes}
        results: dict[int, Result] = {}
        for entry in entries_of(mapping_of(body).get("validation-errors")):
            mark = str(entry.get("request_id"))
            change = by_op.get(mark)
            if change is None and mark.isdecimal() and int(mark) < len(batch.changes):
                change = batch.changes[int(mark)]
            if change is not None:
                words = "; ".join(_words(batch, change, error) for error in entries_of(entry.get("errors")))
                id_ = None if isinstance(change, Add) else change.id
                results[change.op] = Result(change.op, "failed", id_, words or "refused")
        return list(results.values())

    def with_names(self, batch: Batch, body: Any, names: Mapping[int, str]) -> Batch | None:
        """Whether a server insists on names in updates is open (notes 8, Q23): it then gets those it has."""
        errors = [
            (error.get("code"), error.get("path"))
            for entry in entries_of(mapping_of(body).get("validation-errors"))
            for error in map(mapping_of, entries_of(entry.get("errors")))
        ]
        updates = [change for change in batch.changes if isinstance(change, Update)]
        if not errors or set(errors) != {("FieldMissing", "name")} or any(c.id not in names for c in updates):
            return None
        entries = [{**entry, "name": entry.get("name", names.get(entry.get("id", 0)))} for entry in batch.request.json]
        return replace(batch, request=replace(batch.request, json=entries))


def _elements(catalog_id: int) -> str:
    return f"{CATALOGS}/{catalog_id}/elements"


def _entry(change: Add | Update, known: Mapping[int, Field], timezone: str) -> dict[str, Any]:
    values = change.values if isinstance(change, Add) else {**change.kept, **change.after}
    entry: dict[str, Any] = {"request_id": str(change.op)}
    if isinstance(change, Update):
        entry["id"] = change.id
    if NAME in values:
        entry["name"] = values[NAME]
    by_field: dict[int, dict[str, str]] = {}
    for key, text in values.items():
        if key != NAME:
            id_, _, subtype = key.partition(".")
            by_field.setdefault(int(id_), {})[subtype] = text
    custom = [
        {"field_id": field_id, "values": write_values(known[field_id], parts, timezone)}
        for field_id, parts in by_field.items()
    ]
    return {**entry, "custom_fields_values": custom} if custom else entry


def _result(change: Change, added: Mapping[int, int], touched: set[int], told: Mapping[str, str]) -> Result:
    match change:
        case Add():
            if change.op in added:
                return Result(change.op, "done", added[change.op])
            words, id_ = told.get(str(change.op)), None
        case Update() | Delete():
            words, id_ = told.get(str(change.id)), change.id
            if words is None and change.id in touched:
                return Result(change.op, "done", change.id)
    if words is None:
        return Result(change.op, "unknown", id_, "the answer does not mention it")
    return Result(change.op, "failed", id_, words)


def _told(errors: Any) -> dict[str, str]:
    """Errors inside a 200, by request id or element id (notes 4)."""
    told: dict[str, str] = {}
    for entry in entries_of(errors):
        facts = mapping_of(entry)
        words = str(facts.get("detail") or facts.get("message") or facts.get("title") or facts)
        told |= {str(facts[name]): words for name in ("request_id", "id") if facts.get(name)}
    return told


def _words(batch: Batch, change: Change, error: Any) -> str:
    """One validation error as a line; its path points into the request's own arrays."""
    facts = mapping_of(error)
    words = str(facts.get("detail") or facts.get("code") or "refused")
    parts = str(facts.get("path") or "").split(".")
    entry: Any = next((e for e in batch.request.json if e.get("request_id") == str(change.op)), {})
    if parts[0] == "custom_fields_values" and len(parts) > 1 and parts[1].isdecimal():
        custom = entries_of(entry.get("custom_fields_values"))
        if int(parts[1]) < len(custom):
            return f"field {custom[int(parts[1])]['field_id']}: {words} ({facts.get('code')})"
    return f"{parts[0]}: {words}" if parts[0] else words


def _field(entry: Mapping[str, Any]) -> Field:
    return Field(
        id=int(entry["id"]),
        name=str(entry.get("name", "")),
        type=str(entry.get("type", "")),
        code=str(entry.get("code") or ""),
        enums=dict(_options(entry)),
    )


def _options(entry: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The options of a select or multiselect; a category's tree as options too (notes 4)."""
    for option in (*entries_of(entry.get("enums")), *entries_of(entry.get("nested"))):
        yield int(option["id"]), str(option["value"])
