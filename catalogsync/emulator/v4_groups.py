"""``/api/v4/catalogs/{id}/custom_fields/groups`` (api notes 4.4).

Every list has the predefined group ``general``, which cannot be changed away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from catalogsync.emulator.extras import Group
from catalogsync.emulator.v4_envelope import (
    Invalid,
    Missing,
    Problem,
    added_request_id,
    changed_request_id,
    changed_text,
    collection,
    number_of,
    self_link,
    text_of,
    write_all,
    write_one,
)
from catalogsync.emulator.wire import Answer, Api, Call, as_json

GENERAL = "general"
PREFIX = "catalogs_"


def group_key(number: int) -> str:
    """The id of a group as it is told."""
    return f"{PREFIX}{number}"


def find_group(api: Api, catalog_id: int, sent: object) -> Group | None:
    """The group of a list with this id; None for the predefined one. Raises `Missing`."""
    if sent == GENERAL:
        return None
    for group in api.store.groups(catalog_id):
        if group_key(group.id) == sent:
            return group
    raise Missing


def get_all(api: Api, call: Call, catalog_id: int) -> Answer:
    """The groups of a list, the predefined one first."""
    _check(api, catalog_id)
    found = [None, *api.store.groups(catalog_id)]
    return collection(api, call, "custom_field_groups", found, lambda group: _json(call, catalog_id, group))


def get_one(api: Api, call: Call, catalog_id: int, key: object) -> Answer:
    """One group."""
    _check(api, catalog_id)
    return as_json(200, _json(call, catalog_id, find_group(api, catalog_id, key)))


def post_all(api: Api, call: Call, catalog_id: int) -> Answer:
    """Adds groups; both name and sort are required."""
    _check(api, catalog_id)

    def add(entry: dict[str, Any], place: int) -> dict[str, Any]:
        name = text_of(entry, "name")
        if entry.get("sort") is None:
            raise Invalid(("FieldMissing", "sort"))
        group = api.store.add_group(catalog_id, name, number_of(entry, "sort", 0))
        return _json(call, catalog_id, group, request_id=added_request_id(entry, place))

    return write_all(api, call, "custom_field_groups", add, status=201)


def patch_all(api: Api, call: Call, catalog_id: int) -> Answer:
    """Changes groups, which name themselves by id."""
    _check(api, catalog_id)

    def change(entry: dict[str, Any], _place: int) -> dict[str, Any]:
        try:
            return _change(api, call, catalog_id, find_group(api, catalog_id, entry.get("id")), entry)
        except Missing:
            raise Invalid(("NotSupportedChoice", "id")) from None

    return write_all(api, call, "custom_field_groups", change, status=201)


def patch_one(api: Api, call: Call, catalog_id: int, key: object) -> Answer:
    """Changes one group."""
    _check(api, catalog_id)
    group = find_group(api, catalog_id, key)
    return write_one(api, call, lambda entry, _place: _change(api, call, catalog_id, group, entry), status=201)


def delete_one(api: Api, call: Call, catalog_id: int, key: object) -> Answer:
    """Deletes a group; its fields stay, in the predefined one."""
    _check(api, catalog_id)
    group = find_group(api, catalog_id, key)
    if group is None:
        raise Problem(400, "A predefined group cannot be deleted")
    with api.store.transaction():
        api.store.delete_group(group.id)
        for field_id in api.store.fields(catalog_id):
            extra = api.store.extras_of("field", field_id)
            if extra.get("group_id") == group_key(group.id):
                api.store.save_extra("field", field_id, extra | {"group_id": None})
    return Answer(204)


def _check(api: Api, catalog_id: int) -> None:
    if api.store.catalog(catalog_id) is None:
        raise Missing


def _change(api: Api, call: Call, catalog_id: int, group: Group | None, entry: dict[str, Any]) -> dict[str, Any]:
    if group is None:
        raise Invalid(("NotSupportedChoice", "id"))
    name, sort = changed_text(api, entry, "name", group.name), number_of(entry, "sort", group.sort)
    changed = replace(group, name=name, sort=sort)
    api.store.save_group(changed)
    return _json(call, catalog_id, changed, request_id=changed_request_id(api, entry, group_key(group.id)))


def _json(call: Call, catalog_id: int, group: Group | None, **written: object) -> dict[str, Any]:
    key = GENERAL if group is None else group_key(group.id)
    return {
        "id": key,
        "name": "General" if group is None else group.name,
        "is_predefined": group is None,
        "type": "entity_group",
        "entity_type": "catalogs",
        "sort": 0 if group is None else group.sort,
        **written,
        "_links": self_link(call, f"/api/v4/catalogs/{catalog_id}/custom_fields/groups/{key}"),
    }
