"""``/api/v4/catalogs/{id}/custom_fields`` (api notes 4.4, 4.5; Q22, Q26, Q29)."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import Any

from catalogsync.emulator.model import Field
from catalogsync.emulator.v4_envelope import (
    Invalid,
    Missing,
    Problem,
    added_request_id,
    changed_request_id,
    changed_text,
    collection,
    flag_of,
    number_of,
    self_link,
    text_of,
    write_all,
    write_one,
)
from catalogsync.emulator.v4_groups import find_group
from catalogsync.emulator.v4_options import key_for, options_json, read_options, save_options
from catalogsync.emulator.v4_values import Shapes
from catalogsync.emulator.values import whole_number
from catalogsync.emulator.wire import Answer, Api, Call, as_json

#: The Russian page's table; the other page adds some and leaves some out.
RUSSIAN = frozenset(
    "text numeric checkbox select multiselect date url date_time textarea radiobutton streetaddress price category"
    " items linked_entity file supplier payer".split()
)
ALL = RUSSIAN | {"smart_address", "birthday", "legal_entity"}
_EXTRA = ("group_id", "is_api_only", "settings", "search_in", "currency")
_KINDS: dict[str, tuple[type, ...]] = {"settings": (list, dict), "search_in": (str, int), "currency": (str,)}


def get_all(api: Api, call: Call, catalog_id: int) -> Answer:
    """The fields of a list, with totals; by type and in another order if asked."""
    _check(api, catalog_id)
    types = call.arguments("filter[type]")
    found = [field for field in api.store.fields(catalog_id).values() if not types or field.type in types]
    for name in ("sort", "id"):
        direction = call.argument(f"order[{name}]")
        if direction in ("asc", "desc"):
            found.sort(key=attrgetter(name), reverse=direction == "desc")
    return collection(api, call, "custom_fields", found, lambda field: _json(api, call, field), totals=True)


def get_one(api: Api, call: Call, catalog_id: int, field_id: int) -> Answer:
    """One field."""
    return as_json(200, _json(api, call, _field(api, catalog_id, field_id)))


def post_all(api: Api, call: Call, catalog_id: int) -> Answer:
    """Adds fields."""
    _check(api, catalog_id)

    def add(entry: dict[str, Any], place: int) -> dict[str, Any]:
        field = _add(api, catalog_id, entry)
        return _json(api, call, field, request_id=added_request_id(entry, place))

    return write_all(api, call, "custom_fields", add, status=201)


def patch_all(api: Api, call: Call, catalog_id: int) -> Answer:
    """Changes fields, which name themselves by id."""
    _check(api, catalog_id)

    def change(entry: dict[str, Any], _place: int) -> dict[str, Any]:
        if entry.get("id") is None:
            raise Invalid(("FieldMissing", "id"))
        try:
            return _change(api, call, _field(api, catalog_id, whole_number(entry["id"])), entry)
        except Missing:
            raise Invalid(("NotSupportedChoice", "id")) from None

    return write_all(api, call, "custom_fields", change, status=201)


def patch_one(api: Api, call: Call, catalog_id: int, field_id: int) -> Answer:
    """Changes one field."""
    field = _field(api, catalog_id, field_id)
    return write_one(api, call, lambda entry, _place: _change(api, call, field, entry), status=201)


def delete_one(api: Api, call: Call, catalog_id: int, field_id: int) -> Answer:
    """Deletes a field and every value of it."""
    field = _field(api, catalog_id, field_id)
    if not field.is_deletable or field.is_system:
        raise Problem(400, "The field cannot be deleted")
    api.store.delete_field(field)
    return Answer(204)


def _check(api: Api, catalog_id: int) -> None:
    if api.store.catalog(catalog_id) is None:
        raise Missing


def _field(api: Api, catalog_id: int, field_id: int | None) -> Field:
    _check(api, catalog_id)
    field = None if field_id is None else api.store.fields(catalog_id).get(field_id)
    if field is None:
        raise Missing
    return field


def _add(api: Api, catalog_id: int, entry: dict[str, Any]) -> Field:
    name, type_ = text_of(entry, "name"), entry.get("type")
    if type_ is None:
        raise Invalid(("FieldMissing", "type"))
    if type_ not in (list(RUSSIAN) if api.knobs.v4_field_types == "ru" else list(ALL)):
        raise Invalid(("NotSupportedChoice", "type"))
    key = key_for(type_)
    if key == "enums" and not entry.get(key):
        raise Invalid(("FieldMissing", key))
    options = read_options(entry, key, {}) if key is not None and entry.get(key) is not None else None
    code, sort = _code(api, catalog_id, entry, None), number_of(entry, "sort", 0)
    extra = _extra(api, catalog_id, entry)
    field = api.store.add_field(
        catalog_id,
        name,
        type_,
        code=code,
        is_required=flag_of(entry, "is_required", False),
        is_visible=flag_of(entry, "is_visible", True),
        is_deletable=flag_of(entry, "is_deletable", True),
    )
    if sort:
        api.store.save_field(replace(field, sort=sort))
    api.store.save_extra("field", field.id, extra)
    if options is not None:
        save_options(api, field, options)
    return _field(api, catalog_id, field.id)


def _change(api: Api, call: Call, field: Field, entry: dict[str, Any]) -> dict[str, Any]:
    if entry.get("type") not in (None, field.type, Shapes(api.zone, api.knobs, {}).type_of(field)):
        raise Invalid(("NotSupportedChoice", "type"))
    key = key_for(field.type)
    known = {option.id: option for option in api.store.options(field.id) if option.id is not None}
    options = read_options(entry, key, known) if key is not None and entry.get(key) is not None else None
    changed = replace(
        field,
        name=changed_text(api, entry, "name", field.name),
        code=_code(api, field.catalog_id, entry, field),
        sort=number_of(entry, "sort", field.sort),
        is_required=flag_of(entry, "is_required", field.is_required),
        is_visible=flag_of(entry, "is_visible", field.is_visible),
    )
    extra = api.store.extras_of("field", field.id) | _extra(api, field.catalog_id, entry)
    api.store.save_field(changed)
    api.store.save_extra("field", field.id, extra)
    if options is not None:
        save_options(api, field, options)
    request_id = changed_request_id(api, entry, field.id)
    return _json(api, call, _field(api, field.catalog_id, field.id), request_id=request_id)


def _code(api: Api, catalog_id: int, entry: dict[str, Any], field: Field | None) -> str | None:
    """The code of a field, which no other field of the list may have."""
    if entry.get("code") is None:
        return field.code if field is not None else None
    code = text_of(entry, "code")
    others = (other for other in api.store.fields(catalog_id).values() if field is None or other.id != field.id)
    if any(other.code == code for other in others):
        raise Invalid(("NotSupportedChoice", "code"))
    return code


def _extra(api: Api, catalog_id: int, entry: dict[str, Any]) -> dict[str, Any]:
    """The sent properties that only version 4 knows."""
    flag_of(entry, "is_api_only", False)
    for name, kinds in _KINDS.items():
        sent = entry.get(name)
        if sent is not None and (not isinstance(sent, kinds) or isinstance(sent, bool)):
            raise Invalid(("InvalidType", name))
    if entry.get("group_id") is not None:
        try:
            find_group(api, catalog_id, entry["group_id"])
        except Missing:
            raise Invalid(("NotSupportedChoice", "group_id")) from None
    return {name: entry[name] for name in _EXTRA if name in entry}


def _json(api: Api, call: Call, field: Field, **written: object) -> dict[str, Any]:
    extra = api.store.extras_of("field", field.id)
    return {
        "id": field.id,
        "name": field.name,
        "type": Shapes(api.zone, api.knobs, {}).type_of(field),
        "code": field.code,
        "sort": field.sort,
        "account_id": api.store.account.id,
        "entity_type": "catalogs",
        "catalog_id": field.catalog_id,
        "group_id": extra.get("group_id"),
        "is_visible": field.is_visible,
        "is_required": field.is_required,
        "is_deletable": field.is_deletable and not field.is_system,
        "is_predefined": field.is_system,
        "is_api_only": bool(extra.get("is_api_only")),
        "settings": extra.get("settings") or [],
        "search_in": extra.get("search_in"),
        "currency": extra.get("currency"),
        **options_json(api, field),
        **written,
        "_links": self_link(call, f"/api/v4/catalogs/{field.catalog_id}/custom_fields/{field.id}"),
    }
