"""``/api/v4/catalogs`` and ``/api/v4/account`` (api notes 4.2; Q37)."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

from catalogsync.emulator.model import Catalog
from catalogsync.emulator.v2_catalogs import CREATABLE, MOST_CATALOGS
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
from catalogsync.emulator.values import whole_number
from catalogsync.emulator.wire import Answer, Api, Call, as_json

_FLAGS = ("can_add_elements", "can_show_in_cards", "can_link_multiple")

#: Keys of an account that the vendor's own library reads without asking whether they are there.
_ACCOUNT = {
    "created_at": 1_500_000_000,
    "updated_at": 1_500_000_000,
    "country": "LV",
    "currency_symbol": None,
    "customers_mode": "disabled",
    "is_unsorted_on": False,
    "is_loss_reason_enabled": False,
    "is_helpbot_enabled": False,
    "is_technical_account": False,
    "mobile_feature_version": 0,
    "contact_name_display_order": 1,
}
_PATTERNS = {
    "date_pattern": "d.m.Y H:i",
    "short_date_pattern": "d.m.Y",
    "short_time_pattern": "H:i",
    "date_format": "d.m.Y",
    "time_format": "H:i:s",
}


def get_all(api: Api, call: Call) -> Answer:
    """The account's lists, all or those of a type."""
    types = call.arguments("type") + call.arguments("filter[type]")
    found = [catalog for catalog in api.store.catalogs() if not types or catalog.type in types]
    return collection(api, call, "catalogs", found, lambda catalog: _json(api, call, catalog))


def get_one(api: Api, call: Call, catalog_id: int) -> Answer:
    """One list."""
    return as_json(200, _json(api, call, _catalog(api, catalog_id)))


def post_all(api: Api, call: Call) -> Answer:
    """Adds lists; a request that would exceed the account's limits is refused whole."""

    def add(entry: dict[str, Any], place: int) -> dict[str, Any]:
        name, type_, sort = text_of(entry, "name"), _type(entry, "regular"), number_of(entry, "sort", 0)
        catalog = api.store.add_catalog(name, type_, **{each: flag_of(entry, each, True) for each in _FLAGS})
        _refuse_over_limits(api)
        if sort:
            catalog = replace(catalog, sort=sort)
            api.store.save_catalog(catalog)
        return _json(api, call, catalog, request_id=added_request_id(entry, place))

    return write_all(api, call, "catalogs", add)


def patch_all(api: Api, call: Call) -> Answer:
    """Changes lists, which name themselves by id."""

    def change(entry: dict[str, Any], _place: int) -> dict[str, Any] | None:
        if entry.get("id") is None:
            raise Invalid(("FieldMissing", "id"))
        try:
            return _change(api, call, _catalog(api, whole_number(entry["id"])), entry)
        except Missing:
            if api.knobs.v4_patch_missing == "204":
                return None
            raise Invalid(("NotSupportedChoice", "id")) from None

    return write_all(api, call, "catalogs", change)


def patch_one(api: Api, call: Call, catalog_id: int) -> Answer:
    """Changes one list."""
    catalog = _catalog(api, catalog_id)
    return write_one(api, call, lambda entry, _place: _change(api, call, catalog, entry))


def get_account(api: Api, call: Call) -> Answer:
    """The account; with ``with=datetime_settings`` its time zone too."""
    account = api.store.account
    body: dict[str, Any] = {
        "id": account.id,
        "name": account.name,
        "subdomain": account.subdomain,
        "created_by": account.user_id,
        "updated_by": account.user_id,
        "current_user_id": account.user_id,
        "currency": account.currency,
        **_ACCOUNT,
        "_links": {"self": {"href": call.base + call.target}},
    }
    if "datetime_settings" in ",".join(call.arguments("with")).split(","):
        offset = datetime.datetime.fromtimestamp(api.now(), api.zone).strftime("%z")
        settings = {**_PATTERNS, "timezone": account.timezone, "timezone_offset": f"{offset[:3]}:{offset[3:]}"}
        body["_embedded"] = {"datetime_settings": settings}
    return as_json(200, body)


def _catalog(api: Api, catalog_id: int | None) -> Catalog:
    catalog = None if catalog_id is None else api.store.catalog(catalog_id)
    if catalog is None:
        raise Missing
    return catalog


def _json(api: Api, call: Call, catalog: Catalog, **written: object) -> dict[str, Any]:
    changed = api.store.extras_of("catalog", catalog.id)
    return {
        "id": catalog.id,
        "name": catalog.name,
        "created_by": catalog.created_by,
        "updated_by": changed.get("updated_by", catalog.created_by),
        "created_at": catalog.created_at,
        "updated_at": changed.get("updated_at", catalog.created_at),
        "sort": catalog.sort,
        "type": catalog.type,
        "can_add_elements": catalog.can_add_elements,
        "can_show_in_cards": catalog.can_show_in_cards,
        "can_link_multiple": catalog.can_link_multiple,
        "can_be_deleted": catalog.type in CREATABLE,
        "sdk_widget_code": None,
        "account_id": api.store.account.id,
        **written,
        "_links": self_link(call, f"/api/v4/catalogs/{catalog.id}"),
    }


def _type(entry: dict[str, Any], otherwise: str) -> str:
    sent = entry.get("type", otherwise)
    if sent != otherwise and sent not in CREATABLE:
        raise Invalid(("NotSupportedChoice", "type"))
    return str(sent)


def _change(api: Api, call: Call, catalog: Catalog, entry: dict[str, Any]) -> dict[str, Any]:
    changed = replace(
        catalog,
        name=changed_text(api, entry, "name", catalog.name),
        type=_type(entry, catalog.type),
        sort=number_of(entry, "sort", catalog.sort),
        **{each: flag_of(entry, each, getattr(catalog, each)) for each in _FLAGS},
    )
    api.store.save_catalog(changed)
    _refuse_over_limits(api)
    stamp = {"updated_by": api.store.account.user_id, "updated_at": api.now()}
    api.store.save_extra("catalog", catalog.id, stamp)
    # The page's sample answers the id as text here, unlike the one of elements.
    return _json(api, call, changed, request_id=changed_request_id(api, entry, str(catalog.id)))


def _refuse_over_limits(api: Api) -> None:
    """10 lists per account, one of them for invoices; that the answer is this one is a guess."""
    types = [catalog.type for catalog in api.store.catalogs()]
    if len(types) > MOST_CATALOGS or types.count("invoices") > 1:
        raise Problem(400, "Error 281.")
