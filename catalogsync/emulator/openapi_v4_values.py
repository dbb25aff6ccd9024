"""Elements of version 4 and the values of their fields as a part of the OpenAPI document (api notes 4.3, 5)."""

from __future__ import annotations

from collections.abc import Iterable

from catalogsync.emulator.model import ADDRESS_PARTS
from catalogsync.emulator.openapi_parts import (
    BOOL,
    INT,
    NAME,
    NULL,
    NUMBER,
    REQUEST_ID,
    TEXT,
    Schema,
    any_of,
    array,
    nullable,
    object_of,
    one_word,
    ref,
    with_examples,
)
from catalogsync.emulator.store import Store

_ONE = {"minItems": 1, "maxItems": 1}
_DECIMAL: Schema = {"type": "string", "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$", "examples": ["12.5", "0", "-3"]}
_MOMENT: Schema = {"type": "string", "format": "date-time", "examples": ["2026-03-31T10:00:00+02:00"]}
_SCALAR = any_of(TEXT, NUMBER, BOOL, NULL)
_ANY_VALUE = object_of(("value",), value={})


def _value(value: Schema) -> Schema:
    return object_of(("value",), value=value)


def _single(value: Schema) -> Schema:
    return array(_value(value), **_ONE)


def _options(*, codes: bool, **bounds: int) -> Schema:
    """Options by caption, by id, or by code."""
    ways = [_closed("value", TEXT), _closed("enum_id", ref("OptionId"))]
    return array(any_of(*ways, *([_closed("enum_code", TEXT)] if codes else [])), **bounds)


def _closed(key: str, schema: Schema) -> Schema:
    return object_of([key], **{key: schema}) | {"additionalProperties": False}


def _address() -> Schema:
    by_id = object_of(("value", "enum_id"), value=TEXT, enum_id=one_word(*ADDRESS_PARTS.values()))
    by_code = object_of(("value", "enum_code"), value=TEXT, enum_code=one_word(*ADDRESS_PARTS))
    return array(any_of(by_id, by_code), minItems=1)


def _entity() -> Schema:
    parts = dict.fromkeys(("vat_id", "kpp", "address", "external_uid", "bank_code"), nullable(TEXT))
    return object_of(("name",), name=NAME, entity_type=nullable(one_word(1, 2)), **parts)


def _item() -> Schema:
    texts = dict.fromkeys(("sku", "description", "unit_type", "external_uid"), TEXT)
    discount = object_of(("type", "value"), type=one_word("amount", "percentage"), value=NUMBER)
    numbers = dict.fromkeys(("unit_price", "quantity"), NUMBER)
    return object_of((), **texts, **numbers, discount=nullable(discount), vat_rate_id=INT) | {
        "minProperties": 1,
        "additionalProperties": False,
    }


def _linked() -> Schema:
    kinds = one_word("catalog_elements", "contacts", "companies")
    return object_of(("entity_id",), entity_id=ref("ElementId"), name=TEXT, entity_type=kinds, catalog_id=INT)


def _file() -> Schema:
    return object_of(("file_uuid",), file_uuid=NAME, version_uuid=TEXT, file_name=TEXT, file_size=INT)


def _payer() -> Schema:
    return object_of(("name",), name=NAME, address=TEXT, entity_id=INT, type=one_word("legal", "individual"))


_TEXT = _single(TEXT)
_DATE = _single(any_of(INT, _MOMENT, TEXT))
_NUMBER = _single(any_of(_DECIMAL, NUMBER))
_CHOICE = _options(codes=True, **_ONE)

WRITTEN: Schema = {
    **dict.fromkeys(("text", "textarea", "streetaddress", "url"), _TEXT),
    **dict.fromkeys(("numeric", "price"), _NUMBER),
    "checkbox": _single(BOOL),
    **dict.fromkeys(("date", "date_time", "birthday"), _DATE),
    **dict.fromkeys(("select", "radiobutton", "category"), _CHOICE),
    "multiselect": _options(codes=False, minItems=1),
    "smart_address": _address(),
    "legal_entity": _single(_entity()),
    "items": array(_value(_item()), minItems=1),
    "linked_entity": _single(_linked()),
    "file": _single(_file()),
    "payer": _single(_payer()),
    "supplier": _single(object_of(("entity_id",), entity_id=INT)),
}
"""Type of a field -> what its ``values`` may be. These are the types that a field may be given here."""

_CHOSEN = object_of(("value", "enum_id"), value=TEXT, enum_id=INT, enum_code=TEXT)
_LINE = object_of(
    ("total_sum",),
    **dict.fromkeys(("unit_price", "quantity", "total_sum"), NUMBER),
    **dict.fromkeys(("is_discount_recalculated", "is_total_sum_recalculated"), BOOL),
    **dict.fromkeys(("vat_rate_value", "bonus_points_per_purchase"), nullable(NUMBER)),
)
_PART = object_of(
    ("value", "enum_id"), value=TEXT, enum_id=one_word(*ADDRESS_PARTS.values()), enum_code=one_word(*ADDRESS_PARTS)
)

READ: Schema = {
    **dict.fromkeys(("text", "textarea", "streetaddress", "url", "org_legal_name"), _value(TEXT)),
    **dict.fromkeys(("numeric", "price", "monetary"), _value(TEXT)),
    "checkbox": _value(BOOL),
    **dict.fromkeys(("date", "date_time", "birthday"), _value(INT)),
    **dict.fromkeys(("select", "radiobutton", "category", "multiselect"), _CHOSEN),
    "smart_address": _PART,
    "legal_entity": _value(object_of(("name",), name=_SCALAR)),
    "items": _value(_LINE),
    **dict.fromkeys(("linked_entity", "file", "payer", "supplier", "multitext", "tracking_data"), _ANY_VALUE),
    "chained_list": object_of(),
}
"""Type of a field -> an entry of its ``values`` as it is read; version 2 makes more types than version 4."""


def element_schemas(store: Store) -> Schema:
    """Elements and the values of their fields."""
    values = nullable(array(ref("V4Values")))
    known = dict.fromkeys(("created_at", "created_by", "updated_by"), INT)
    parts: Schema = {"name": NAME, "custom_fields_values": values, "request_id": REQUEST_ID, **known}
    shown: Schema = {
        **dict.fromkeys(("id", "catalog_id", "account_id", "updated_at"), INT),
        **known,
        **{"name": TEXT, "is_deleted": nullable(BOOL), "_links": ref("Links")},
        "custom_fields_values": nullable(array(any_of(*_shown()))),
    }
    return {
        "V4Values": any_of(*_written(store)),
        "V4ElementAdd": object_of(("name",), **parts),
        "V4ElementChange": object_of((), **parts),
        "V4ElementChangeById": object_of(("id",), id=ref("ElementId"), **parts),
        "V4Element": object_of(list(shown), **shown, invoice_link=nullable(TEXT), request_id=REQUEST_ID),
    }


def _written(store: Store) -> Iterable[Schema]:
    """The values of one field, by its id or its code: a shape for each type, with the account's fields of it.

    Null clears the field. Which shape a field takes is told by its type only.
    """
    fields = [field for catalog in store.catalogs() for field in store.fields(catalog.id).values()]
    for type_, values in WRITTEN.items():
        ids = [field.id for field in fields if field.type == type_]
        codes = [field.code for field in fields if field.type == type_ and field.code]
        values = nullable(values)
        yield object_of(("field_id", "values"), field_id=with_examples(INT, ids), values=values)
        if codes:
            yield object_of(("field_code", "values"), field_code=with_examples(TEXT, codes), values=values)


def _shown() -> Iterable[Schema]:
    for type_, value in READ.items():
        parts: Schema = {
            **{"field_id": INT, "field_name": TEXT, "field_code": nullable(TEXT), "field_type": one_word(type_)},
            "values": array(value, minItems=1),
        }
        yield object_of(list(parts), **parts)
