"""What an account holds, as plain values.

`FIELD_TYPES` is the one table of field types: the name (v4), the number (v2; 1-17 documented, 18 and
above seen in client code) and the kind, which decides the neutral form of a value (see `values`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "text", "number", "flag", "choice", "choices", "date", "moment", "address", "entity", "items", "raw"
]

#: A value in its neutral form; which Python type it has depends on the field's kind, see `values`.
Value: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class FieldType:
    """A custom-field type: its v2 number and the kind of its values."""

    number: int
    kind: Kind


FIELD_TYPES: dict[str, FieldType] = {
    "text": FieldType(1, "text"),
    "numeric": FieldType(2, "number"),
    "checkbox": FieldType(3, "flag"),
    "select": FieldType(4, "choice"),
    "multiselect": FieldType(5, "choices"),
    "date": FieldType(6, "date"),
    "url": FieldType(7, "text"),
    "multitext": FieldType(8, "raw"),
    "textarea": FieldType(9, "text"),
    "radiobutton": FieldType(10, "choice"),
    "streetaddress": FieldType(11, "text"),
    "smart_address": FieldType(13, "address"),
    "birthday": FieldType(14, "date"),
    "legal_entity": FieldType(15, "entity"),
    "items": FieldType(16, "items"),
    "org_legal_name": FieldType(17, "text"),
    "category": FieldType(18, "choice"),
    "date_time": FieldType(19, "moment"),
    "price": FieldType(20, "number"),
    "tracking_data": FieldType(21, "raw"),
    "monetary": FieldType(23, "number"),
    "chained_list": FieldType(24, "raw"),
    "file": FieldType(25, "raw"),
    # Known from version 4 only; their v2 numbers are made up.
    "linked_entity": FieldType(26, "raw"),
    "payer": FieldType(27, "raw"),
    "supplier": FieldType(28, "raw"),
}

#: Part of a smart address -> the number v2 answers with (documented on the contacts page).
ADDRESS_PARTS: dict[str, int] = {
    "address_line_1": 1,
    "address_line_2": 2,
    "city": 3,
    "state": 4,
    "zip": 5,
    "country": 6,
}


@dataclass(frozen=True, slots=True)
class Account:
    """The account behind the server. Dates in v2 are local to `timezone`."""

    id: int
    name: str
    subdomain: str
    timezone: str
    currency: str
    user_id: int


@dataclass(frozen=True, slots=True)
class Catalog:
    """A list."""

    id: int
    name: str
    type: str
    sort: int
    created_by: int
    created_at: int
    can_add_elements: bool
    can_show_in_cards: bool
    can_link_multiple: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A custom field of a list. `options` maps enum id -> caption, in display order."""

    id: int
    catalog_id: int
    name: str
    code: str | None
    type: str
    sort: int
    origin: str | None
    is_system: bool
    is_required: bool
    is_deletable: bool
    is_visible: bool
    is_editable: bool
    options: Mapping[int, str] = dataclass_field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return FIELD_TYPES[self.type].kind


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a list. `values` maps field id -> neutral value; a field without one is absent."""

    id: int
    catalog_id: int
    name: str
    created_by: int
    created_at: int
    updated_by: int
    updated_at: int
    values: Mapping[int, Value]
    leads: tuple[int, ...] = ()
