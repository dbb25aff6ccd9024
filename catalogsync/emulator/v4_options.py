"""``enums`` and ``nested`` of fields: a change sends every option with its id (api notes 4.4).

An option that is sent without an id gets a new one, one that is not sent is gone, and stored values
lose both: what makes a careless client wreck a catalog.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from catalogsync.emulator.extras import Option
from catalogsync.emulator.model import Field
from catalogsync.emulator.v4_envelope import Invalid
from catalogsync.emulator.values import whole_number
from catalogsync.emulator.wire import Api


@dataclass(frozen=True, slots=True)
class Sent:
    """Options as they were sent: codes and parents by place; a parent is an option's id or a place."""

    options: list[Option]
    codes: dict[int, str]
    parents: dict[int, tuple[str, int]]


def key_for(type_: str) -> str | None:
    """Under which name a field of this type has its options."""
    if type_ in ("select", "multiselect", "radiobutton"):
        return "enums"
    return "nested" if type_ == "category" else None


def read_options(entry: dict[str, Any], key: str, known: dict[int, Option]) -> Sent:
    """The options of an entry. Raises `Invalid`."""
    sent = entry[key]
    if not isinstance(sent, list):
        raise Invalid(("InvalidType", key))
    options: list[Option] = []
    codes: dict[int, str] = {}
    parents: dict[int, tuple[str, int]] = {}
    by_request: dict[object, int] = {}
    for place, each in enumerate(sent):
        at = f"{key}.{place}"
        if not isinstance(each, dict):
            raise Invalid(("InvalidType", at))
        label = each.get("value")
        if label is None or label == "":
            raise Invalid(("FieldMissing", f"{at}.value"))
        if not isinstance(label, str):
            raise Invalid(("InvalidType", f"{at}.value"))
        number = whole_number(each["id"]) if each.get("id") is not None else None
        taken = any(option.id == number for option in options)
        if each.get("id") is not None and (number not in known or taken):
            raise Invalid(("NotSupportedChoice", f"{at}.id"))
        sort = whole_number(each.get("sort"))
        options.append(Option(number, label, (place + 1) * 10 if sort is None else sort))
        if isinstance(each.get("code"), str) and each["code"]:
            codes[place] = each["code"]
        if each.get("parent_id") is not None:
            parent = whole_number(each["parent_id"])
            if parent not in known or parent is None:
                raise Invalid(("NotSupportedChoice", f"{at}.parent_id"))
            parents[place] = ("id", parent)
        elif each.get("parent_request_id") is not None:
            wanted = str(each["parent_request_id"])
            if wanted not in by_request:
                raise Invalid(("NotSupportedChoice", f"{at}.parent_request_id"))
            parents[place] = ("place", by_request[wanted])
        if each.get("request_id") is not None:
            by_request[str(each["request_id"])] = place
    return Sent(options, codes, parents)


def save_options(api: Api, field: Field, sent: Sent) -> None:
    """Stores the options of a field; values lose the ones that are gone."""
    ids = api.store.save_options(field.id, sent.options)
    gone = set(field.options) - set(ids)
    extra = api.store.extras_of("field", field.id)
    extra["codes"] = {str(ids[place]): code for place, code in sent.codes.items()}
    extra["parents"] = {
        str(ids[place]): parent if how == "id" else ids[parent] for place, (how, parent) in sent.parents.items()
    }
    api.store.save_extra("field", field.id, extra)
    if gone:
        _lose(api, field, gone)


def _lose(api: Api, field: Field, gone: set[int]) -> None:
    for element in api.store.elements(field.catalog_id):
        value = element.values.get(field.id)
        chosen = value if isinstance(value, list) else [value]
        if value is None or not gone.intersection(chosen):
            continue
        left = [number for number in chosen if number not in gone]
        values = {number: kept for number, kept in element.values.items() if number != field.id or left}
        if left:
            values[field.id] = left
        api.store.save_element(replace(element, values=values))


def options_json(api: Api, field: Field) -> dict[str, Any]:
    """``enums`` and ``nested`` as they are read."""
    key = key_for(field.type)
    shown: dict[str, Any] = {"enums": None, "nested": None}
    if key is None:
        return shown
    extra = api.store.extras_of("field", field.id)
    codes, parents = extra.get("codes", {}), extra.get("parents", {})
    shown[key] = [
        {
            "id": option.id,
            **({"parent_id": parents.get(str(option.id))} if key == "nested" else {}),
            "value": option.label,
            "sort": option.sort,
            **({"code": codes.get(str(option.id))} if key == "enums" else {}),
        }
        for option in api.store.options(field.id)
    ]
    return shown
