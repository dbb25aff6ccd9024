"""The v2 routes, the token endpoint and events as OpenAPI 3.1, for fuzzers and for people.

Written by hand from the vendor's pages, not derived from the handlers: what a client may send, with ids of
this account as examples, and which statuses it may get.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from catalogsync.emulator import oauth, v2_catalogs, v2_elements, v2_products, v4_events
from catalogsync.emulator.forms import FORM
from catalogsync.emulator.model import ADDRESS_PARTS, FIELD_TYPES
from catalogsync.emulator.store import Store
from catalogsync.emulator.wire import HAL, HTML, PROBLEM

Schema: TypeAlias = dict[str, Any]

EXAMPLES = 20
ID: Schema = {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9]{1,15}$"}]}
FLAG: Schema = {"oneOf": [{"type": "boolean"}, {"type": "string", "enum": ["0", "1"]}]}
TEXT: Schema = {"type": "string"}
REQUEST_ID: Schema = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
CATALOG_FLAGS = ("can_add_elements", "can_show_in_cards", "can_link_multiple")


def description(store: Store, url: str) -> Schema:
    """The whole document; examples are ids that the account has now."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lists API, version 2, as the emulator answers it", "version": "2"},
        "servers": [{"url": url}],
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(store),
        },
    }


def _paths() -> Schema:
    element_arguments = [
        _argument("catalog_id", _ref("CatalogId")),
        _argument("id", _ref("ElementId")),
        _argument("id[]", {"type": "array", "items": _ref("ElementId")}),
        _argument("term", TEXT),
        *(_argument(name, {"type": "integer"}) for name in ("page", "limit_rows", "limit_offset")),
    ]
    event_arguments = [
        _argument("filter[entity][]", {"type": "array", "items": {"type": "string", "examples": ["catalog_4220"]}}),
        _argument("filter[entity_id][]", {"type": "array", "items": _ref("ElementId")}),
        _argument("filter[type]", {"type": "string", "examples": ["name_field_changed", "custom_field_value_changed"]}),
        *(_argument(name, {"type": "integer"}) for name in ("filter[created_at][from]", "filter[created_at][to]")),
        *(_argument(name, {"type": "integer"}) for name in ("limit", "page")),
    ]
    account = {"type": "string", "enum": ["custom_fields", "users", "custom_fields,users"]}
    return {
        v2_catalogs.ACCOUNT: {"get": _operation("account", [_argument("with", account)])},
        v2_catalogs.CATALOGS: {
            "get": _operation("catalogs", [_argument("id", _ref("CatalogId"))], empty=True),
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
        oauth.PATH: {"post": _operation("token", body="TokenRequest", refusal=PROBLEM) | {"security": []}},
    }


def _operation(
    name: str, arguments: list[Schema] | None = None, *, body: str = "", empty: bool = False, refusal: str = HAL
) -> Schema:
    content_type = "application/json" if name == "token" else HAL
    answers: Schema = {
        "200": _answer("done; entries that failed are in the body", content_type),
        "400": _answer("refused as a whole", refusal),
        "401": _answer("no token, or one that is not let in", PROBLEM),
        "403": _answer("blocked for flooding", HTML),
        "429": _answer("too many requests", HTML),
    }
    if empty:
        answers["204"] = {"description": "nothing found"}
    operation: Schema = {"operationId": name, "parameters": arguments or [], "responses": answers}
    if body:
        content = {each: {"schema": _ref(body)} for each in ("application/json", FORM)}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answer(words: str, content_type: str) -> Schema:
    return {"description": words, "content": {content_type: {}}}


def _argument(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _batch(add: str, update: str, delete: Schema) -> Schema:
    verbs = {"add": _ref(add), "update": _ref(update), "delete": delete}
    return _object((), **{verb: {"type": "array", "items": items} for verb, items in verbs.items() if items})


def _schemas(store: Store) -> Schema:
    catalogs = store.catalogs()
    fields = [field for catalog in catalogs for field in store.fields(catalog.id).values()]
    options = [number for field in fields for number in field.options]
    elements = [element.id for element in store.elements(limit=EXAMPLES)]
    flags = dict.fromkeys(CATALOG_FLAGS, FLAG)
    catalog_type: Schema = {"type": "string", "enum": ["regular", "invoices"]}
    custom = {"type": "array", "items": _ref("CustomField")}
    no_updates = {"type": "array", "maxItems": 0, "items": {}}
    fields_batch = _batch("FieldAdd", "FieldAdd", _object(("id", "origin"), id=_ref("FieldId"), origin=TEXT))
    fields_batch["properties"]["update"] = no_updates
    return {
        "CatalogId": ID | {"examples": [catalog.id for catalog in catalogs][:EXAMPLES]},
        "ElementId": ID | {"examples": elements},
        "FieldId": ID | {"examples": [field.id for field in fields][:EXAMPLES]},
        "OptionId": ID | {"examples": options[:EXAMPLES]},
        "Catalogs": _batch("CatalogAdd", "CatalogUpdate", _ref("CatalogId")),
        "CatalogAdd": _object(("name",), name=TEXT, type=catalog_type, request_id=REQUEST_ID, **flags),
        "CatalogUpdate": _object(("id",), id=_ref("CatalogId"), name=TEXT, type=catalog_type, **flags),
        "Elements": _batch("ElementAdd", "ElementUpdate", _ref("ElementId")),
        "ElementAdd": _object(
            ("catalog_id", "name"),
            catalog_id=_ref("CatalogId"),
            name=TEXT,
            request_id=REQUEST_ID,
            custom_fields=custom,
        ),
        "ElementUpdate": _object(
            ("id",),
            id=_ref("ElementId"),
            catalog_id=_ref("CatalogId"),
            name=TEXT,
            updated_at=ID,
            request_id=REQUEST_ID,
            custom_fields=custom,
        ),
        "CustomField": _object(
            ("id", "values"), id=_ref("FieldId"), values={"type": "array", "items": _ref("FieldValue")}
        ),
        "FieldValue": {"oneOf": [_ref("OptionId"), _plain_value(), _part_value(), _entity_value(), _item()]},
        "Fields": fields_batch,
        "FieldAdd": _object(
            ("name", "origin", "element_type"),
            name=TEXT,
            origin=TEXT,
            element_type=_ref("CatalogId"),
            type={"type": "integer", "enum": sorted(each.number for each in FIELD_TYPES.values())},
            enums={"type": "array", "items": TEXT},
            request_id=REQUEST_ID,
            **dict.fromkeys(("is_editable", "is_required", "is_deletable", "is_visible"), FLAG),
        ),
        "ProductsSettings": _object(("enabled",), enabled={"type": "boolean"}),
        "TokenRequest": _object(
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
    scalars = [{"type": "string", "examples": texts}, {"type": "number"}, {"type": "integer"}, _ref("OptionId")]
    return _object(("value",), value={"oneOf": scalars})


def _part_value() -> Schema:
    parts = [*ADDRESS_PARTS, *(str(number) for number in ADDRESS_PARTS.values())]
    return _object(("value", "subtype"), value=TEXT, subtype={"type": "string", "enum": parts})


def _entity_value() -> Schema:
    parts = dict.fromkeys(("vat_id", "kpp", "address", "external_id"), TEXT)
    entity = _object(("name",), name=TEXT, entity_type={"type": "integer", "enum": [1, 2]}, **parts)
    return _object(("value",), value=entity)


def _item() -> Schema:
    discount = _object(("type", "value"), type={"type": "string", "enum": ["amount", "percentage"]}, value=_number())
    texts = dict.fromkeys(("description", "unit_type", "external_uid"), TEXT)
    return _object((), unit_price=_number(), quantity=_number(), discount=discount, vat_rate_id=ID, **texts)


def _number() -> Schema:
    return {"type": "number"}
