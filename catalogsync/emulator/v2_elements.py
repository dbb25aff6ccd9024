"""``/api/v2/catalog_elements``: list elements (seed page 002; api notes 1.2 to 1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from catalogsync.emulator.model import Element, Field, Value
from catalogsync.emulator.v2_batch import (
    EntryError,
    Outcome,
    id_of,
    key_of,
    link,
    read_batch,
    request_id,
    required_id,
    required_text,
)
from catalogsync.emulator.v2_values import escaped, read_values, write_values
from catalogsync.emulator.values import BadValue, whole_number
from catalogsync.emulator.wire import Answer, Api, Call, Refused, as_json, nothing

PATH = "/api/v2/catalog_elements"
MOST_ROWS = 500
FUTURE_S = 60
OLDER = "Last modified date is older than in database"


def get_elements(api: Api, call: Call) -> Answer:
    """One page of elements, 204 without a body where there is none."""
    catalog_id = _catalog_filter(api, call)
    ids = [number for text in call.arguments("id") if (number := whole_number(text)) is not None]
    limit, offset = _window(api, call)
    found = api.store.elements(
        catalog_id,
        ids=ids if call.arguments("id") else None,
        term=call.argument("term") or "",
        term_in_values=api.knobs.term_scope == "values",
        newest_first=api.knobs.element_order == "newest_first",
        limit=limit,
        offset=offset,
    )
    if not found:
        return nothing()
    items = [element_json(api, element) for element in found]
    return as_json(200, {"_links": link(call.target), "_embedded": {"items": items}})


def _catalog_filter(api: Api, call: Call) -> int | None:
    """Which list is asked for. Marked required by the page, yet reading by id alone is seen to work."""
    sent = call.argument("catalog_id")
    if not sent:
        if call.arguments("id") and api.knobs.get_without_catalog_id == "by_id":
            return None
        raise Refused(283, "Data not passed: catalog_id")
    catalog_id = whole_number(sent)
    if catalog_id is None:
        raise Refused(282, "List not found in account")
    return catalog_id


def _window(api: Api, call: Call) -> tuple[int, int]:
    """Rows and offset: ``page``, and unless a knob says otherwise ``limit_rows`` up to 500."""
    page = max(1, whole_number(call.argument("page")) or 1)
    if api.knobs.ignore_limit_rows:
        return api.knobs.page_rows, (page - 1) * api.knobs.page_rows
    rows = min(whole_number(call.argument("limit_rows")) or api.knobs.page_rows, MOST_ROWS)
    return rows, (whole_number(call.argument("limit_offset")) or 0) + (page - 1) * rows


def element_json(api: Api, element: Element) -> dict[str, Any]:
    """An element as v2 answers it; a field without a value is missing from ``custom_fields``."""
    fields = api.store.fields(element.catalog_id)
    return {
        "id": element.id,
        "name": element.name,
        "created_by": element.created_by,
        "created_at": element.created_at,
        "updated_at": element.updated_at,
        "updated_by": element.updated_by,
        "is_deleted": False,
        "custom_fields": [
            _field_json(api, field, element.values[field.id])
            for field in fields.values()
            if _is_shown(api, field, element)
        ],
        "catalog_id": element.catalog_id,
        "leads": {"id": list(element.leads)} if element.leads else {},
        "customers": {},
        "_links": link(f"{PATH}?id={element.id}&catalog_id={element.catalog_id}"),
    }


def _is_shown(api: Api, field: Field, element: Element) -> bool:
    if field.id not in element.values:
        return False
    unticked = element.values[field.id] is False
    return not (unticked and api.knobs.unticked_checkbox == "absent")


def _field_json(api: Api, field: Field, value: Value) -> dict[str, Any]:
    caption = escaped if api.knobs.captions == "escaped" else str
    return {
        "id": field.id,
        "name": field.name,
        **({"code": field.code} if field.code else {}),
        "values": write_values(field, value, api.zone, caption),
        "is_system": field.is_system,
    }


def post_elements(api: Api, call: Call) -> Answer:
    """Adds, then updates, then deletes; one item per entry that was done, in that order."""
    batch = read_batch(api, call)
    outcome = Outcome()
    writer = _Writer(api)
    with api.store.transaction():
        for index, entry in enumerate(batch["add"]):
            number = request_id(entry, index)
            outcome.take("add", number, writer.add, entry, number)
        for index, entry in enumerate(batch["update"]):
            outcome.take("update", key_of(entry, index), writer.update, entry)
        for entry in batch["delete"]:
            outcome.take("delete", entry, writer.delete, entry)
    if writer.deleted and api.knobs.delete_answer == "nested":
        outcome.items.append(writer.deleted)
    return outcome.answer(api, PATH)


@dataclass(slots=True)
class _Writer:
    """Does the entries of one batch; remembers what the batch itself has touched."""

    api: Api
    updated: set[int] = dataclass_field(default_factory=set)
    deleted: list[Any] = dataclass_field(default_factory=list)

    def add(self, entry: dict[str, Any], number: object) -> dict[str, Any]:
        store = self.api.store
        catalog_id = required_id(entry, "catalog_id")
        if store.catalog(catalog_id) is None:
            raise EntryError(282, f"List not found in account: {catalog_id}")
        name = required_text(entry, "name")
        values = self._values(catalog_id, entry, {})
        element = store.insert_element(catalog_id, name, values, by=store.account.user_id, at=self.api.now())
        return {
            "id": element.id,
            "request_id": number,
            self.api.knobs.link_key: link(f"{PATH}?id={element.id}"),
        }

    def update(self, entry: dict[str, Any]) -> dict[str, Any]:
        store = self.api.store
        element = store.element(required_id(entry))
        if element is None:
            raise EntryError(282, f"Element not found in account: {entry['id']}")
        if "catalog_id" in entry and whole_number(entry["catalog_id"]) != element.catalog_id:
            raise EntryError(282, f"Element {element.id} is not in list {entry['catalog_id']}")
        updated_at = self._stamp(entry.get("updated_at"), element)
        changed = Element(
            id=element.id,
            catalog_id=element.catalog_id,
            name=required_text(entry, "name") if "name" in entry else element.name,
            created_by=element.created_by,
            created_at=element.created_at,
            updated_by=store.account.user_id,
            updated_at=updated_at,
            values=self._values(element.catalog_id, entry, self._kept(element)),
            leads=element.leads,
        )
        store.save_element(changed)
        self.updated.add(element.id)
        echo = {"request_id": entry["request_id"]} if "request_id" in entry else {}
        links = {self.api.knobs.link_key: link(f"{PATH}?id={element.id}")}
        return {"id": element.id, "updated_at": updated_at, **echo, **links}

    def delete(self, sent: object) -> dict[str, Any] | None:
        element_id = id_of(sent)
        if not self.api.store.delete_element(element_id):
            raise EntryError(282, f"Element not found in account: {element_id}")
        item = {"id": element_id, self.api.knobs.link_key: link(f"{PATH}?id={element_id}")}
        self.deleted.append(item)
        return item if self.api.knobs.delete_answer == "items" else None

    def _kept(self, element: Element) -> dict[int, Value]:
        return {} if self.api.knobs.omitted_fields == "wipe" else dict(element.values)

    def _stamp(self, sent: object, element: Element) -> int:
        """The new ``updated_at``: what was sent must be newer than what is stored, if it was sent.

        Without one the server's time is taken, and never one older than the stored.
        """
        knobs, now = self.api.knobs, self.api.now()
        if sent is None:
            if knobs.update_without_updated_at == "refuse":
                raise EntryError(285, "Required field missing: updated_at")
            return max(now, element.updated_at)
        updated_at = whole_number(sent)
        if updated_at is None:
            raise EntryError(285, f"updated_at is not a timestamp: {sent!r}")
        wins = element.id in self.updated and knobs.same_id_twice == "last_wins"
        newer = updated_at > element.updated_at
        equal = updated_at == element.updated_at and knobs.equal_updated_at == "accept"
        if not (newer or equal or wins):
            raise EntryError(None, OLDER)
        return now if knobs.stored_updated_at == "now" else min(updated_at, now + FUTURE_S)

    def _values(self, catalog_id: int, entry: dict[str, Any], values: dict[int, Value]) -> dict[int, Value]:
        """`values` with what the entry says; a field that is sent is replaced as a whole."""
        sent = entry.get("custom_fields") or []
        if not isinstance(sent, list):
            raise EntryError(203, "custom_fields is not an array")
        for each in sent:
            field = self._field(catalog_id, each)
            if "values" not in each:
                raise EntryError(203, f"Field {field.id}: values missing")
            if each["values"] == [] and self.api.knobs.values_empty_list == "ignore":
                continue
            try:
                value = read_values(field, each["values"], self.api.zone)
            except BadValue as error:
                raise EntryError(203, f"Field {field.id}: {error}") from error
            values.pop(field.id, None)
            if value is not None:
                values[field.id] = value
        for field in self.api.store.fields(catalog_id).values():
            if field.is_required and field.id not in values:
                raise EntryError(285, f"Required field missing: {field.name}")
        return values

    def _field(self, catalog_id: int, sent: object) -> Field:
        """The field an entry names by ``id``, or by ``code`` where it sends no id."""
        if not isinstance(sent, dict):
            raise EntryError(203, "An entry of custom_fields is not an object")
        fields = self.api.store.fields(catalog_id)
        number = whole_number(sent.get("id"))
        if number is not None and number in fields:
            return fields[number]
        if "id" not in sent and sent.get("code"):
            for field in fields.values():
                if field.code == sent["code"]:
                    return field
        raise EntryError(204, f"Custom field not found: {sent.get('id', sent.get('code'))}")
