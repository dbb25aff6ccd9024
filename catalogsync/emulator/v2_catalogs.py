"""``/api/v2/catalogs``, ``/api/v2/fields``, ``/api/v2/account`` (seed page 000; api notes 1.1 and 1.7)."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

from catalogsync.emulator.model import FIELD_TYPES, Catalog, Field
from catalogsync.emulator.v2_batch import (
    EntryError,
    Outcome,
    flag,
    id_of,
    key_of,
    link,
    read_batch,
    request_id,
    required_id,
    required_text,
)
from catalogsync.emulator.v2_values import escaped
from catalogsync.emulator.values import whole_number
from catalogsync.emulator.wire import Answer, Api, Call, Refused, as_json, nothing

CATALOGS = "/api/v2/catalogs"
FIELDS = "/api/v2/fields"
ACCOUNT = "/api/v2/account"
MOST_CATALOGS = 10
CREATABLE = ("regular", "invoices")
_FLAGS = ("can_add_elements", "can_show_in_cards", "can_link_multiple")
_TYPE_BY_NUMBER = {each.number: name for name, each in FIELD_TYPES.items()}


def get_catalogs(api: Api, call: Call) -> Answer:
    """The account's lists, or the ones asked for by id."""
    asked = {whole_number(text) for text in call.arguments("id")}
    found = [catalog for catalog in api.store.catalogs() if not asked or catalog.id in asked]
    if not found:
        return nothing()
    items = [_catalog_json(catalog) for catalog in found]
    return as_json(200, {"_links": link(call.target), "_embedded": {"items": items}})


def _catalog_json(catalog: Catalog) -> dict[str, Any]:
    return {
        "id": catalog.id,
        "name": catalog.name,
        "created_by": catalog.created_by,
        "created_at": catalog.created_at,
        "sort": catalog.sort,
        "type": catalog.type,
        "can_add_elements": catalog.can_add_elements,
        "can_show_in_cards": catalog.can_show_in_cards,
        "can_link_multiple": catalog.can_link_multiple,
        "sdk_widget_code": None,
        "_links": link(f"{CATALOGS}?id={catalog.id}"),
    }


def post_catalogs(api: Api, call: Call) -> Answer:
    """Adds, updates and deletes lists; a request that would exceed the account's limits is refused whole."""
    batch = read_batch(api, call)
    _refuse_over_limits(api, batch["add"])
    outcome = Outcome()
    with api.store.transaction():
        for index, entry in enumerate(batch["add"]):
            number = request_id(entry, index)
            outcome.take("add", number, _add, api, entry, number)
        for index, entry in enumerate(batch["update"]):
            outcome.take("update", key_of(entry, index), _update, api, entry)
        for entry in batch["delete"]:
            outcome.take("delete", entry, _delete, api, entry)
    return outcome.answer(api, CATALOGS)


def _refuse_over_limits(api: Api, added: list[dict[str, Any]]) -> None:
    """10 lists per account, one of them for invoices; that the answer is this one is a guess."""
    types = [catalog.type for catalog in api.store.catalogs()]
    types += [entry.get("type", "regular") for entry in added]
    if added and len(types) > MOST_CATALOGS:
        raise Refused(281, f"An account has at most {MOST_CATALOGS} lists")
    if added and types.count("invoices") > 1:
        raise Refused(281, "An account has at most one list of invoices")


def _type(entry: dict[str, Any], default: str) -> str:
    sent = entry.get("type", default)
    if sent != default and sent not in CREATABLE:
        raise EntryError(285, f"type is one of {', '.join(CREATABLE)}, not {sent!r}")
    return default if sent == default else str(sent)


def _add(api: Api, entry: dict[str, Any], number: object) -> dict[str, Any]:
    name = required_text(entry, "name")
    added = api.store.add_catalog(name, _type(entry, "regular"), **{each: flag(entry, each, True) for each in _FLAGS})
    return {
        "id": added.id,
        "request_id": number,
        api.knobs.link_key: link(f"{CATALOGS}?id={added.id}"),
    }


def _update(api: Api, entry: dict[str, Any]) -> dict[str, Any]:
    catalog = api.store.catalog(required_id(entry))
    if catalog is None:
        raise EntryError(282, f"List not found in account: {entry['id']}")
    changed = replace(
        catalog,
        name=required_text(entry, "name") if "name" in entry else catalog.name,
        type=_type(entry, catalog.type),
        **{each: flag(entry, each, getattr(catalog, each)) for each in _FLAGS},
    )
    api.store.save_catalog(changed)
    return {"id": catalog.id, api.knobs.link_key: link(f"{CATALOGS}?id={catalog.id}")}


def _delete(api: Api, sent: object) -> dict[str, Any]:
    catalog_id = id_of(sent)
    if not api.store.delete_catalog(catalog_id):
        raise EntryError(282, f"List not found in account: {catalog_id}")
    return {"id": catalog_id, api.knobs.link_key: link(f"{CATALOGS}?id={catalog_id}")}


def post_fields(api: Api, call: Call) -> Answer:
    """Adds and deletes fields of lists; there is no update (documented)."""
    batch = read_batch(api, call)
    if batch["update"]:
        raise Refused(104, "Unknown method: fields have no update")
    outcome = Outcome()
    with api.store.transaction():
        for index, entry in enumerate(batch["add"]):
            number = request_id(entry, index)
            outcome.take("add", number, _add_field, api, entry, number)
        for index, entry in enumerate(batch["delete"]):
            key = key_of(entry, index) if isinstance(entry, dict) else entry
            outcome.take("delete", key, _delete_field, api, entry)
    return outcome.answer(api, FIELDS)


def _add_field(api: Api, entry: dict[str, Any], number: object) -> dict[str, Any]:
    name, origin = required_text(entry, "name"), required_text(entry, "origin")
    catalog_id = required_id(entry, "element_type")
    if api.store.catalog(catalog_id) is None:
        raise EntryError(282, f"List not found in account: {catalog_id}")
    type_ = _TYPE_BY_NUMBER.get(whole_number(entry.get("type")) or 0)
    if type_ is None:
        raise EntryError(285, f"Not a field type: {entry.get('type')!r}")
    enums = entry.get("enums") or []
    if not isinstance(enums, list) or not all(isinstance(label, str) and label for label in enums):
        raise EntryError(203, "enums is not an array of captions")
    field = api.store.add_field(
        catalog_id,
        name,
        type_,
        origin=origin,
        options=[(None, label) for label in enums],
        is_editable=flag(entry, "is_editable", True),
        is_required=flag(entry, "is_required", False),
        is_deletable=flag(entry, "is_deletable", True),
        is_visible=flag(entry, "is_visible", True),
    )
    return {"id": field.id, "request_id": number, api.knobs.link_key: link(f"{FIELDS}?id={field.id}")}


def _delete_field(api: Api, sent: object) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise EntryError(285, "Required field missing: id, origin")
    field = api.store.field(required_id(sent))
    if field is None or field.origin != required_text(sent, "origin"):
        raise EntryError(204, f"Custom field not found: {sent['id']}")
    if not field.is_deletable or field.is_system:
        raise EntryError(203, f"Field {field.id} cannot be deleted")
    api.store.delete_field(field)
    return {"id": field.id, api.knobs.link_key: link(f"{FIELDS}?id={field.id}")}


def get_account(api: Api, call: Call) -> Answer:
    """The account; with ``with=custom_fields`` the fields of every list, by list id and field id."""
    account = api.store.account
    offset = datetime.datetime.fromtimestamp(api.now(), api.zone).strftime("%z")
    body: dict[str, Any] = {
        "_links": link(call.target),
        "id": account.id,
        "name": account.name,
        "subdomain": account.subdomain,
        "currency": account.currency,
        "timezone": account.timezone,
        "timezone_offset": f"{offset[:3]}:{offset[3:]}",
        "current_user": account.user_id,
    }
    wanted = ",".join(call.arguments("with")).split(",")
    if "custom_fields" in wanted:
        body["_embedded"] = {"custom_fields": _custom_fields(api)}
    return as_json(200, body)


def _custom_fields(api: Api) -> dict[str, Any]:
    """PHP answers an empty map as an empty list."""
    catalogs: dict[str, Any] = {
        str(catalog.id): {str(field.id): _field_json(api, field) for field in api.store.fields(catalog.id).values()}
        or []
        for catalog in api.store.catalogs()
    }
    return {"contacts": [], "leads": [], "companies": [], "customers": [], "catalogs": catalogs or []}


def _field_json(api: Api, field: Field) -> dict[str, Any]:
    return {
        "id": field.id,
        "name": field.name,
        "code": field.code,
        "field_type": FIELD_TYPES[field.type].number,
        "sort": field.sort,
        "is_multiple": False,
        "is_system": field.is_system,
        "is_editable": field.is_editable,
        "is_required": field.is_required,
        "is_deletable": field.is_deletable,
        "is_visible": field.is_visible,
        "enums": _enums(api, field),
    }


def _enums(api: Api, field: Field) -> dict[str, str] | list[Any]:
    shown = escaped if api.knobs.captions == "escaped" else str
    if api.knobs.enums_shape == "list":
        return [{"id": number, "value": shown(label)} for number, label in field.options.items()]
    return {str(number): shown(label) for number, label in field.options.items()} or []
