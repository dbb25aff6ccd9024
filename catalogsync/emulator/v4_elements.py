"""``/api/v4/catalogs/{id}/elements`` (api notes 4.1, 4.3; Q7, Q17 to Q19, Q23, Q24, Q35).

No way leads to a deleted element: DELETE is not answered, and ``is_deleted`` in a PATCH changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from catalogsync.emulator.model import Catalog, Element, Field, Value
from catalogsync.emulator.v4_envelope import (
    Invalid,
    Missing,
    Problem,
    added_request_id,
    changed_request_id,
    changed_text,
    collection,
    only,
    page_answer,
    page_of,
    self_link,
    text_of,
    write_all,
    write_one,
)
from catalogsync.emulator.v4_shapes import Wrong
from catalogsync.emulator.v4_values import Shapes
from catalogsync.emulator.values import whole_number
from catalogsync.emulator.wire import Answer, Api, Call, as_json

#: What may stand in an entry. Most of it is told by the server and ignored when it is sent back.
_KNOWN = frozenset(
    "id name custom_fields_values request_id created_at created_by updated_at updated_by is_deleted catalog_id"
    " account_id currency_id price_id quantity invoice_link _links _embedded".split()
)
_FIELD_KEYS = frozenset("field_id field_code field_name field_type values is_computed".split())


def get_all(api: Api, call: Call, catalog_id: int) -> Answer:
    """A page of elements: all of a list, some by id, or those with a text in a filled field."""
    view = _View.of(api, call, catalog_id)
    asked = call.arguments("filter[id]") + call.arguments("id")
    ids = [number for text in asked if (number := whole_number(text)) is not None] if asked else None
    query = (call.argument("query") or "").casefold()
    by_change = api.knobs.v4_element_order == "updated_at"
    if query or by_change:
        found = api.store.elements(catalog_id, ids=ids, newest_first=False)
        found = [element for element in found if view.matches(element, query)]
        if by_change:
            found.sort(key=lambda element: (element.updated_at, element.id))
        return collection(api, call, "elements", found, view.shown)
    page = page_of(api, call)
    rows = api.store.elements(catalog_id, ids=ids, newest_first=False, limit=page.rows + 1, offset=page.offset)
    items = [view.shown(element) for element in rows[: page.rows]]
    return page_answer(api, call, "elements", page, items, more=len(rows) > page.rows)


def get_one(api: Api, call: Call, catalog_id: int, element_id: int) -> Answer:
    """One element."""
    view = _View.of(api, call, catalog_id)
    return as_json(200, view.shown(view.element(element_id)))


def post_all(api: Api, call: Call, catalog_id: int) -> Answer:
    """Adds elements."""
    return write_all(api, call, "elements", _View.of(api, call, catalog_id).add)


def patch_all(api: Api, call: Call, catalog_id: int) -> Answer:
    """Changes elements, which name themselves by id."""
    view = _View.of(api, call, catalog_id)

    def change(entry: dict[str, Any], _place: int) -> dict[str, Any] | None:
        if entry.get("id") is None:
            raise Invalid(("FieldMissing", "id"))
        try:
            return view.change(view.element(whole_number(entry["id"])), entry)
        except Missing:
            if api.knobs.v4_patch_missing == "204":
                return None
            raise Invalid(("NotSupportedChoice", "id")) from None

    return write_all(api, call, "elements", change)


def patch_one(api: Api, call: Call, catalog_id: int, element_id: int) -> Answer:
    """Changes one element."""
    view = _View.of(api, call, catalog_id)
    element = view.element(element_id)
    return write_one(api, call, lambda entry, _place: view.change(element, entry))


@dataclass(frozen=True, slots=True)
class _View:
    """One list during one call."""

    api: Api
    call: Call
    catalog: Catalog
    shapes: Shapes

    @classmethod
    def of(cls, api: Api, call: Call, catalog_id: int) -> _View:
        catalog = api.store.catalog(catalog_id)
        if catalog is None:
            raise Missing
        return cls(api, call, catalog, Shapes(api.zone, api.knobs, api.store.option_codes(catalog_id)))

    def element(self, element_id: int | None) -> Element:
        element = None if element_id is None else self.api.store.element(element_id)
        if element is None or element.catalog_id != self.catalog.id:
            raise Missing
        return element

    # reading

    def shown(self, element: Element) -> dict[str, Any]:
        """An element as it is read."""
        return self._json(element, is_deleted=None)

    def _json(self, element: Element, *, is_deleted: bool | None, **written: object) -> dict[str, Any]:
        invoice = {"invoice_link": None} if "invoice_link" in ",".join(self.call.arguments("with")) else {}
        path = f"/api/v4/catalogs/{self.catalog.id}/elements/{element.id}"
        return {
            "id": element.id,
            "name": element.name,
            "created_by": element.created_by,
            "updated_by": element.updated_by,
            "created_at": element.created_at,
            "updated_at": element.updated_at,
            "is_deleted": is_deleted,
            "custom_fields_values": list(self._filled(element)) or None,
            "catalog_id": element.catalog_id,
            "account_id": self.api.store.account.id,
            **invoice,
            **written,
            "_links": self_link(self.call, path),
        }

    def _filled(self, element: Element) -> Iterator[dict[str, Any]]:
        for field in self.api.store.fields(self.catalog.id).values():
            value = element.values.get(field.id)
            if value is None or (value is False and self.api.knobs.unticked_checkbox == "absent"):
                continue
            if values := self.shapes.write(field, value):
                yield {
                    "field_id": field.id,
                    "field_name": field.name,
                    "field_code": field.code,
                    "field_type": self.shapes.type_of(field),
                    "values": values,
                }

    def matches(self, element: Element, query: str) -> bool:
        """Whether the text stands in the name or in any filled field, whatever the case."""
        return query in element.name.casefold() or any(
            query in text.casefold() for filled in self._filled(element) for text in _texts(filled["values"])
        )

    # writing

    def add(self, entry: dict[str, Any], place: int) -> dict[str, Any]:
        """Stores a new element."""
        store = self.api.store
        errors = list(only(entry, _KNOWN))
        name, values = self._checked(entry, {}, errors, lambda: text_of(entry, "name"))
        self._check_invoice(values)
        element = store.insert_element(self.catalog.id, name, values, by=store.account.user_id, at=self.api.now())
        return self._json(element, is_deleted=False, request_id=added_request_id(entry, place))

    def change(self, element: Element, entry: dict[str, Any]) -> dict[str, Any]:
        """Stores what an entry changes of an element; a field that is sent is replaced as a whole."""
        store = self.api.store
        errors = list(only(entry, _KNOWN))
        kept = {} if self.api.knobs.omitted_fields == "wipe" else dict(element.values)
        name, values = self._checked(entry, kept, errors, lambda: changed_text(self.api, entry, "name", element.name))
        changed = replace(
            element,
            name=name,
            values=values,
            updated_by=store.account.user_id,
            updated_at=max(self.api.now(), element.updated_at),
        )
        store.save_element(changed)
        request_id = changed_request_id(self.api, entry, element.id)
        return self._json(changed, is_deleted=False, request_id=request_id)

    def _check_invoice(self, values: dict[int, Value]) -> None:
        """An invoice without its status is refused in two words, as strangers have found out."""
        fields = self.api.store.fields(self.catalog.id).values() if self.catalog.type == "invoices" else ()
        if any(field.code == "BILL_STATUS" and field.id not in values for field in fields):
            raise Problem(400, "Error 285.")

    def _checked(
        self, entry: dict[str, Any], values: dict[int, Value], errors: list[tuple[str, str]], name: Any
    ) -> tuple[str, dict[int, Value]]:
        """Name and values, or all that is wrong with the entry at once."""
        found = ""
        try:
            found = name()
        except Invalid as error:
            errors += [(each["code"], each["path"]) for each in error.errors]
        errors += self._take(entry.get("custom_fields_values"), values)
        if errors:
            raise Invalid(*errors)
        return found, values

    def _take(self, sent: object, values: dict[int, Value]) -> Iterator[tuple[str, str]]:
        """Puts what was sent into `values`; yields what is wrong with it."""
        at = "custom_fields_values"
        if sent is not None and not isinstance(sent, list):
            yield ("InvalidType", at)
            return
        wrong = False
        for place, each in enumerate(sent or []):
            try:
                field, value = self._read(each)
            except Wrong as error:
                wrong = True
                yield (error.code, f"{at}.{place}.{error.path}" if error.path else f"{at}.{place}")
                continue
            values.pop(field.id, None)
            if value is not None:
                values[field.id] = value
        fields = self.api.store.fields(self.catalog.id).values()
        if not wrong and any(field.is_required and field.id not in values for field in fields):
            yield ("FieldMissing", at)

    def _read(self, sent: object) -> tuple[Field, Value | None]:
        if not isinstance(sent, dict):
            raise Wrong("InvalidType")
        for code, path in only(sent, _FIELD_KEYS):
            raise Wrong(code, path)
        field = self._field(sent)
        if "values" not in sent:
            raise Wrong("FieldMissing", "values")
        try:
            return field, self.shapes.read(field, sent["values"])
        except Wrong as error:
            raise Wrong(error.code, f"values.{error.path}" if error.path else "values") from error

    def _field(self, sent: dict[str, Any]) -> Field:
        """The field an entry names by id, or by code where it sends no id."""
        fields = self.api.store.fields(self.catalog.id)
        if sent.get("field_id") is not None:
            number = whole_number(sent["field_id"])
            if number is None or number not in fields:
                raise Wrong("NotSupportedChoice", "field_id")
            return fields[number]
        if sent.get("field_code") is None:
            raise Wrong("FieldMissing", "field_id")
        for field in fields.values():
            if field.code == sent["field_code"]:
                return field
        raise Wrong("NotSupportedChoice", "field_code")


def _texts(shown: object) -> Iterator[str]:
    """Every text and number under the ``value`` keys of what is shown."""
    if isinstance(shown, list):
        for each in shown:
            yield from _texts(each)
    elif isinstance(shown, dict):
        for key, each in shown.items():
            if not key.startswith("enum_"):
                yield from _texts(each)
    elif isinstance(shown, str | int | float) and not isinstance(shown, bool):
        yield str(shown)
