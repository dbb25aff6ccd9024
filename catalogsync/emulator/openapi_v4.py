"""The version 4 routes as a part of the OpenAPI document (api notes 3, 4)."""

from __future__ import annotations

from collections.abc import Sequence

from catalogsync.emulator.openapi_parts import (
    BOOL,
    COUNT,
    INT,
    JSON,
    NAME,
    NULL,
    REQUEST_ID,
    TEXT,
    Schema,
    answer,
    any_of,
    argument,
    array,
    in_path,
    nullable,
    object_of,
    one_word,
    operation,
    ref,
    with_examples,
)
from catalogsync.emulator.openapi_v4_values import READ, WRITTEN, element_schemas
from catalogsync.emulator.store import Store
from catalogsync.emulator.wire import HAL, PROBLEM

MOST_ENTRIES = 250
"""Documented as the most that one write may have."""

CATALOGS = "/api/v4/catalogs"
CATALOG = f"{CATALOGS}/{{catalog_id}}"
ELEMENTS = f"{CATALOG}/elements"
FIELDS = f"{CATALOG}/custom_fields"
GROUPS = f"{FIELDS}/groups"

PAGING = [argument("page", COUNT), argument("limit", COUNT)]


def paths() -> Schema:
    """Every path with its operations."""
    catalog = in_path("catalog_id", ref("CatalogId"))
    element = in_path("element_id", ref("ElementId"))
    field = in_path("field_id", ref("FieldId"))
    group = in_path("group_id", ref("V4GroupId"))
    extras = argument("with", one_word("invoice_link", "supplier_field_values"))
    element_filters = [
        argument("query", TEXT),
        argument("filter[id]", ref("ElementId")),
        argument("filter[id][]", array(ref("ElementId"))),
        argument("id[]", array(ref("ElementId"))),
        extras,
    ]
    field_filters = [
        argument("filter[type][0]", one_word(*READ)),
        argument("order[sort]", one_word("asc", "desc")),
        argument("order[id]", one_word("asc", "desc")),
    ]
    catalog_filters = [argument("type", one_word("regular", "invoices", "products", "suppliers"))]
    return {
        "/api/v4/account": {
            "get": operation("v4Account", [argument("with", one_word("datetime_settings"))], _done("V4Account"))
        },
        CATALOGS: _collection("Catalog", [], catalog_filters),
        CATALOG: _one("Catalog", [catalog]),
        ELEMENTS: _collection("Element", [catalog], element_filters),
        f"{ELEMENTS}/{{element_id}}": _one("Element", [catalog, element], extras=[extras]),
        FIELDS: _collection("Field", [catalog], field_filters, written="201"),
        f"{FIELDS}/{{field_id}}": _one("Field", [catalog, field], written="201", delete=True),
        GROUPS: _collection("Group", [catalog], [], written="201"),
        f"{GROUPS}/{{group_id}}": _one("Group", [catalog, group], written="201", delete=True),
    }


def _collection(thing: str, path: list[Schema], filters: list[Schema], *, written: str = "200") -> Schema:
    """A list of things: reading a page, adding and changing several."""

    def write(entry: str) -> Schema:
        return array(ref(entry), minItems=1, maxItems=MOST_ENTRIES)

    done = _done(f"V4{thing}s", written, refused=True)
    missing = _missing(path)
    return {
        "get": operation(
            f"v4Get{thing}s", [*path, *PAGING, *filters], _done(f"V4{thing}Page", refused=True) | _empty() | missing
        ),
        "post": _writing(f"v4Add{thing}s", path, write(f"V4{thing}Add"), done | missing),
        "patch": _writing(f"v4Change{thing}s", path, write(f"V4{thing}ChangeById"), done | _empty() | missing),
    }


def _one(
    thing: str, path: list[Schema], *, extras: Sequence[Schema] = (), written: str = "200", delete: bool = False
) -> Schema:
    """One thing: reading, changing, and where the vendor has it deleting."""
    missing = _missing(path) | _empty()
    change = _done(f"V4{thing}", written, refused=True) | missing
    methods = {
        "get": operation(f"v4Get{thing}", [*path, *extras], _done(f"V4{thing}") | missing),
        "patch": _writing(f"v4Change{thing}", path, ref(f"V4{thing}Change"), change),
    }
    if delete:
        gone = {"204": answer("deleted"), "400": answer("cannot be deleted", PROBLEM, ref("Problem"))}
        methods["delete"] = operation(f"v4Delete{thing}", path, gone | _missing(path))
    return methods


def _writing(name: str, path: list[Schema], body: Schema, answers: Schema) -> Schema:
    return operation(name, path, answers, body=body, sent_as=[JSON])


def _done(schema: str, status: str = "200", *, refused: bool = False) -> Schema:
    answers = {status: answer("done", HAL, ref(schema))}
    if refused:
        answers["400"] = answer("refused as a whole", PROBLEM, ref("Problem"))
    return answers


def _empty() -> Schema:
    return {"204": answer("nothing found")}


def _missing(path: list[Schema]) -> Schema:
    return {"404": answer("what the path names is not there", PROBLEM, ref("Problem"))} if path else {}


def schemas(store: Store) -> Schema:
    """What bodies and answers are made of."""
    return {
        "Links": object_of(("self",), **dict.fromkeys(("self", "next", "last"), object_of(("href",), href=TEXT))),
        "Problem": _problem(),
        "V4Account": _account(),
        **_catalog_schemas(),
        **element_schemas(store),
        **_field_schemas(),
        **_group_schemas(store),
        **_envelopes("Catalog", "catalogs"),
        **_envelopes("Element", "elements"),
        **_envelopes("Field", "custom_fields", totals=True),
        **_envelopes("Group", "custom_field_groups"),
    }


def _envelopes(thing: str, key: str, *, totals: bool = False) -> Schema:
    """A page of things, and the answer to a write of several."""
    embedded = object_of([key], **{key: array(ref(f"V4{thing}"))})
    told: Schema = {"_total_items": INT, "_page_count": INT} if totals else {}
    return {
        f"V4{thing}Page": object_of(
            ["_page", "_links", "_embedded", *told], _page=COUNT, _links=ref("Links"), _embedded=embedded, **told
        ),
        f"V4{thing}s": object_of(("_links", "_embedded"), _links=ref("Links"), _embedded=embedded),
    }


def _problem() -> Schema:
    error = object_of(("code", "path", "detail"), code=TEXT, path=TEXT, detail=TEXT)
    entry = object_of(("request_id", "errors"), request_id=TEXT, errors=array(error))
    parts: Schema = {"title": TEXT, "type": TEXT, "status": INT, "detail": TEXT}
    return object_of(list(parts), **parts, **{"validation-errors": array(entry)})


def _account() -> Schema:
    texts = dict.fromkeys(("name", "subdomain", "country", "currency", "customers_mode"), TEXT)
    numbers = ("id", "created_at", "created_by", "updated_at", "updated_by", "current_user_id")
    flags = ("is_unsorted_on", "is_loss_reason_enabled", "is_helpbot_enabled", "is_technical_account")
    formats = ("date_pattern", "short_date_pattern", "short_time_pattern", "date_format", "time_format")
    settings = dict.fromkeys((*formats, "timezone", "timezone_offset"), TEXT)
    parts = {**dict.fromkeys(numbers, INT), **texts, **dict.fromkeys(flags, BOOL), "_links": ref("Links")}
    return object_of(
        list(parts),
        **parts,
        contact_name_display_order=INT,
        currency_symbol=nullable(TEXT),
        _embedded=object_of((), datetime_settings=object_of(list(settings), **settings)),
    )


def _catalog_schemas() -> Schema:
    flags = dict.fromkeys(("can_add_elements", "can_show_in_cards", "can_link_multiple"), BOOL)
    parts: Schema = {"name": NAME, "sort": INT, **flags, "request_id": REQUEST_ID}
    shown: Schema = {
        **dict.fromkeys(("id", "created_by", "updated_by", "created_at", "updated_at", "account_id"), INT),
        **{"name": TEXT, "sort": INT, **flags, "can_be_deleted": BOOL, "sdk_widget_code": nullable(TEXT)},
        **{"type": one_word("regular", "invoices", "products", "suppliers"), "_links": ref("Links")},
    }
    return {
        "V4CatalogAdd": object_of(("name",), **parts, type=one_word("regular", "invoices")),
        "V4CatalogChange": object_of((), **parts),
        "V4CatalogChangeById": object_of(("id",), id=ref("CatalogId"), **parts),
        "V4Catalog": object_of(list(shown), **shown, request_id=REQUEST_ID),
    }


def _field_schemas() -> Schema:
    flags = dict.fromkeys(("is_visible", "is_required", "is_api_only"), BOOL)
    # Only chained lists have settings, and those are not for lists: what they hold is not told here.
    told: Schema = {
        **{"code": nullable(TEXT), "group_id": nullable(ref("V4GroupId")), "search_in": nullable(any_of(TEXT, INT))},
        **{"currency": nullable(TEXT), "settings": any_of(array({}), object_of(), NULL), **flags},
    }
    option: Schema = {"value": NAME, "sort": INT}
    branch: Schema = {**option, "parent_id": nullable(ref("OptionId")), "request_id": TEXT, "parent_request_id": TEXT}
    parts: Schema = {
        **{"name": NAME, "sort": INT, **told, "request_id": REQUEST_ID},
        "enums": array(object_of(("value", "sort"), id=ref("OptionId"), code=nullable(TEXT), **option), minItems=1),
        "nested": array(object_of(("value",), id=ref("OptionId"), **branch)),
    }
    stored = {"id": INT, "value": TEXT, "sort": INT}
    shown: Schema = {
        **dict.fromkeys(("id", "sort", "account_id", "catalog_id"), INT),
        **{"name": TEXT, "type": one_word(*READ), "entity_type": one_word("catalogs"), **told},
        **dict.fromkeys(("is_deletable", "is_predefined"), BOOL),
        "enums": nullable(array(object_of(list(stored), **stored, code=nullable(TEXT)))),
        "nested": nullable(array(object_of([*stored, "parent_id"], **stored, parent_id=nullable(INT)))),
        "_links": ref("Links"),
    }
    return {
        "V4FieldAdd": object_of(("name", "type"), type=one_word(*WRITTEN), is_deletable=BOOL, **parts),
        "V4FieldChange": object_of((), **parts),
        "V4FieldChangeById": object_of(("id",), id=ref("FieldId"), **parts),
        "V4Field": object_of(list(shown), **shown, request_id=REQUEST_ID),
    }


def _group_schemas(store: Store) -> Schema:
    groups = [group for catalog in store.catalogs() for group in store.groups(catalog.id)]
    key: Schema = {"type": "string", "pattern": "^[a-z0-9_]{1,40}$"}
    parts: Schema = {"name": NAME, "sort": INT, "request_id": REQUEST_ID}
    shown: Schema = {
        **{"id": TEXT, "name": TEXT, "sort": INT, "is_predefined": BOOL, "_links": ref("Links")},
        **{"type": one_word("entity_group"), "entity_type": one_word("catalogs")},
    }
    return {
        "V4GroupId": with_examples(key, ["general", *(f"catalogs_{group.id}" for group in groups)]),
        "V4GroupAdd": object_of(("name", "sort"), **parts),
        "V4GroupChange": object_of((), **parts),
        "V4GroupChangeById": object_of(("id",), id=ref("V4GroupId"), **parts),
        "V4Group": object_of(list(shown), **shown, request_id=REQUEST_ID),
    }
