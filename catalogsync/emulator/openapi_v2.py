"""The version 2 routes, the token endpoint and events as a part of the OpenAPI document."""

from __future__ import annotations

from catalogsync.emulator import oauth, v2_catalogs, v2_elements, v2_products, v4_events
from catalogsync.emulator.forms import FORM
from catalogsync.emulator.model import ADDRESS_PARTS, FIELD_TYPES
from catalogsync.emulator.openapi_parts import (
    BOOL,
    ID,
    INT,
    JSON,
    NUMBER,
    REQUEST_ID,
    TEXT,
    Schema,
    answer,
    any_of,
    argument,
    array,
    object_of,
    operation,
    ref,
)
from catalogsync.emulator.wire import HAL, PROBLEM

FLAG: Schema = any_of(BOOL, {"type": "string", "enum": ["0", "1"]})
CATALOG_FLAGS = ("can_add_elements", "can_show_in_cards", "can_link_multiple")


def paths() -> Schema:
    """Every path with its operations."""
    element_arguments = [
        argument("catalog_id", ref("CatalogId")),
        argument("id", ref("ElementId")),
        argument("id[]", array(ref("ElementId"))),
        argument("term", TEXT),
        *(argument(name, INT) for name in ("page", "limit_rows", "limit_offset")),
    ]
    event_arguments = [
        argument("filter[entity][]", array({"type": "string", "examples": ["catalog_4220"]})),
        argument("filter[entity_id][]", array(ref("ElementId"))),
        argument("filter[type]", {"type": "string", "examples": ["name_field_changed", "custom_field_value_changed"]}),
        *(argument(name, INT) for name in ("filter[created_at][from]", "filter[created_at][to]")),
        *(argument(name, INT) for name in ("limit", "page")),
    ]
    account: Schema = {"type": "string", "enum": ["custom_fields", "users", "custom_fields,users"]}
    return {
        v2_catalogs.ACCOUNT: {"get": _operation("account", [argument("with", account)])},
        v2_catalogs.CATALOGS: {
            "get": _operation("catalogs", [argument("id", ref("CatalogId"))], empty=True),
            "post": _operation("changeCatalogs", body="Catalogs"),
        },
        v2_catalogs.FIELDS: {"post": _operation("changeFields", body="Fields")},
        v2_elements.PATH: {
            "get": _operation("elements", element_arguments, empty=True),
            "post": _operation("changeElements", body="Elements"),
        },
        v2_products.PATH: {
            "get": _operation("productsSettings"),
            "post": _operation("changeProductsSettings", body="ProductsSettings"),
        },
        v4_events.PATH: {"get": _operation("events", event_arguments, empty=True, refusal=PROBLEM)},
        v4_events.TYPES: {"get": _operation("eventTypes")},
        oauth.PATH: {
            "post": _operation("token", body="TokenRequest", refusal=PROBLEM, success=JSON) | {"security": []}
        },
    }


def _operation(
    name: str,
    arguments: list[Schema] | None = None,
    *,
    body: str = "",
    empty: bool = False,
    refusal: str = HAL,
    success: str = HAL,
) -> Schema:
    answers: Schema = {
        "200": answer("done; entries that failed are in the body", success),
        "400": answer("refused as a whole", refusal),
    }
    if empty:
        answers["204"] = answer("nothing found")
    return operation(name, arguments or [], answers, body=ref(body) if body else None, sent_as=(JSON, FORM))


def _batch(add: str, update: str, delete: Schema) -> Schema:
    verbs = {"add": ref(add), "update": ref(update), "delete": delete}
    return object_of((), **{verb: array(items) for verb, items in verbs.items()})


def schemas() -> Schema:
    """What the bodies are made of."""
    flags = dict.fromkeys(CATALOG_FLAGS, FLAG)
    catalog_type: Schema = {"type": "string", "enum": ["regular", "invoices"]}
    custom = array(ref("CustomField"))
    fields_batch = _batch("FieldAdd", "FieldAdd", object_of(("id", "origin"), id=ref("FieldId"), origin=TEXT))
    fields_batch["properties"]["update"] = array({}, maxItems=0)
    return {
        "Catalogs": _batch("CatalogAdd", "CatalogUpdate", ref("CatalogId")),
        "CatalogAdd": object_of(("name",), name=TEXT, type=catalog_type, request_id=REQUEST_ID, **flags),
        "CatalogUpdate": object_of(("id",), id=ref("CatalogId"), name=TEXT, type=catalog_type, **flags),
        "Elements": _batch("ElementAdd", "ElementUpdate", ref("ElementId")),
        "ElementAdd": object_of(
            ("catalog_id", "name"),
            catalog_id=ref("CatalogId"),
            name=TEXT,
            request_id=REQUEST_ID,
            custom_fields=custom,
        ),
        "ElementUpdate": object_of(
            ("id",),
            id=ref("ElementId"),
            catalog_id=ref("CatalogId"),
            name=TEXT,
            updated_at=ID,
            request_id=REQUEST_ID,
            custom_fields=custom,
        ),
        "CustomField": object_of(("id", "values"), id=ref("FieldId"), values=array(ref("FieldValue"))),
        "FieldValue": any_of(ref("OptionId"), _plain_value(), _part_value(), _entity_value(), _item()),
        "Fields": fields_batch,
        "FieldAdd": object_of(
            ("name", "origin", "element_type"),
            name=TEXT,
            origin=TEXT,
            element_type=ref("CatalogId"),
            type={"type": "integer", "enum": sorted(each.number for each in FIELD_TYPES.values())},
            enums=array(TEXT),
            request_id=REQUEST_ID,
            **dict.fromkeys(("is_editable", "is_required", "is_deletable", "is_visible"), FLAG),
        ),
        "ProductsSettings": object_of(("enabled",), enabled=BOOL),
        "TokenRequest": object_of(
            ("client_id", "client_secret", "grant_type", "redirect_uri"),
            client_id=TEXT,
            client_secret=TEXT,
            redirect_uri=TEXT,
            grant_type={"type": "string", "enum": list(oauth.GRANTS)},
            **dict.fromkeys(oauth.GRANTS.values(), TEXT),
        ),
    }


def _plain_value() -> Schema:
    texts = ["12.5", "2026/03/31", "2026-03-31 00:00:00", "1", "0", ""]
    scalars = [TEXT | {"examples": texts}, NUMBER, ref("OptionId")]
    return object_of(("value",), value=any_of(*scalars))


def _part_value() -> Schema:
    parts = [*ADDRESS_PARTS, *(str(number) for number in ADDRESS_PARTS.values())]
    return object_of(("value", "subtype"), value=TEXT, subtype={"type": "string", "enum": parts})


def _entity_value() -> Schema:
    parts = dict.fromkeys(("vat_id", "kpp", "address", "external_id"), TEXT)
    entity = object_of(("name",), name=TEXT, entity_type={"type": "integer", "enum": [1, 2]}, **parts)
    return object_of(("value",), value=entity)


def _item() -> Schema:
    discount = object_of(("type", "value"), type={"type": "string", "enum": ["amount", "percentage"]}, value=NUMBER)
    texts = dict.fromkeys(("description", "unit_type", "external_uid"), TEXT)
    return object_of((), unit_price=NUMBER, quantity=NUMBER, discount=discount, vat_rate_id=ID, **texts)
