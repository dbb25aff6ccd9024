"""``/api/v2/products_settings``: the products list, which exists once the feature is on (api notes 1.8)."""

from __future__ import annotations

import json

from catalogsync.emulator.forms import read_form
from catalogsync.emulator.v2_batch import link
from catalogsync.emulator.wire import Answer, Api, Call, Refused, as_json

PATH = "/api/v2/products_settings"
SETTING = "products_enabled"
#: name, type, code: none of them can be deleted.
FIELDS = (
    ("Vendor code", "text", "SKU"),
    ("Description", "textarea", "DESCRIPTION"),
    ("Price", "price", "PRICE"),
    ("Group", "category", "GROUP"),
    ("External ID", "text", "EXTERNAL_ID"),
)


def get_settings(api: Api, _call: Call) -> Answer:
    """Whether products are on, and in which list they are."""
    catalog_id = _catalog_id(api)
    enabled = api.store.setting(SETTING)
    is_enabled = catalog_id is not None and enabled is not False
    return as_json(200, {"is_enabled": is_enabled, "catalog_id": catalog_id, "_links": link(PATH)})


def post_settings(api: Api, call: Call) -> Answer:
    """Switches products on or off; the list is made at the first time and kept."""
    form = read_form(call)
    try:
        body = json.loads(call.body) if form is None else form
    except (ValueError, RecursionError) as error:
        raise Refused(102, "The body is not JSON") from error
    # The page's table says enable, its sample enabled.
    sent = body.get("enabled", body.get("enable")) if isinstance(body, dict) else None
    if sent not in (True, False, "1", "0", "true", "false"):
        raise Refused(283, "Data not passed: enabled")
    enabled = sent in (True, "1", "true")
    with api.store.transaction():
        if enabled and _catalog_id(api) is None:
            catalog = api.store.add_catalog("Products", "products")
            for name, type_, code in FIELDS:
                api.store.add_field(catalog.id, name, type_, code=code, is_system=True, is_deletable=False)
        api.store.set_setting(SETTING, enabled)
    return get_settings(api, call)


def _catalog_id(api: Api) -> int | None:
    return next((catalog.id for catalog in api.store.catalogs() if catalog.type == "products"), None)
