"""Lists, fields and the account on the wire (seed page 000; api notes 1.1 and 1.7)."""

from __future__ import annotations

from typing import Any

import pytest

from catalogsync.emulator.server import Emulator

from .conftest import NOW, Session

CATALOGS = "/api/v2/catalogs"
FIELDS = "/api/v2/fields"


def account_fields(session: Session, catalog_id: int) -> Any:
    body = session.get("/api/v2/account?with=custom_fields").json()
    return body["_embedded"]["custom_fields"]["catalogs"][str(catalog_id)]


def test_lists_read_as_on_the_vendors_page(session: Session) -> None:
    answer = session.get(f"{CATALOGS}?id=4220")
    assert answer.json() == {
        "_links": {"self": {"href": "/api/v2/catalogs?id=4220", "method": "get"}},
        "_embedded": {
            "items": [
                {
                    "id": 4220,
                    "name": "Products",
                    "created_by": 504141,
                    "created_at": NOW,
                    "sort": 10,
                    "type": "regular",
                    "can_add_elements": True,
                    "can_show_in_cards": True,
                    "can_link_multiple": True,
                    "sdk_widget_code": None,
                    "_links": {"self": {"href": "/api/v2/catalogs?id=4220", "method": "get"}},
                }
            ]
        },
    }
    assert session.get(f"{CATALOGS}?id=1").status_code == 204


def test_lists_are_added_updated_and_deleted_in_one_request(session: Session) -> None:
    answer = session.post(
        CATALOGS,
        {
            "add": [{"name": "Tariffs"}, {"type": "invoices"}],
            "update": [{"id": "4220", "name": "Goods", "can_add_elements": False}],
            "delete": [4221, 1],
        },
    )
    embedded = answer.json()["_embedded"]
    assert embedded["items"] == [
        {"id": 4222, "request_id": 0, "_links": {"self": {"href": f"{CATALOGS}?id=4222", "method": "get"}}},
        {"id": 4220, "_links": {"self": {"href": f"{CATALOGS}?id=4220", "method": "get"}}},
        {"id": 4221, "_links": {"self": {"href": f"{CATALOGS}?id=4221", "method": "get"}}},
    ]
    assert {verb: list(errors) for verb, errors in embedded["errors"].items()} == {"add": ["1"], "delete": ["1"]}
    items = session.get(CATALOGS).json()["_embedded"]["items"]
    assert [(item["id"], item["name"], item["can_add_elements"]) for item in items] == [
        (4220, "Goods", False),
        (4222, "Tariffs", True),
    ]


def test_a_deleted_list_takes_its_elements_with_it(session: Session) -> None:
    session.post(CATALOGS, {"delete": [4220]})
    assert session.get("/api/v2/catalog_elements?id=41873").status_code == 204


@pytest.mark.parametrize(
    "added",
    [
        [{"name": f"List {number}"} for number in range(9)],
        [{"name": "One", "type": "invoices"}, {"name": "Two", "type": "invoices"}],
    ],
)
def test_lists_over_the_accounts_limits_are_refused_whole(session: Session, added: Any) -> None:
    answer = session.post(CATALOGS, {"add": added})
    assert (answer.status_code, answer.json()["response"]["error_code"]) == (400, "281")
    assert len(session.get(CATALOGS).json()["_embedded"]["items"]) == 2


def test_the_account_names_zone_and_currency_and_fields_only_where_asked(session: Session) -> None:
    assert session.get("/api/v2/account").json() == {
        "_links": {"self": {"href": "/api/v2/account", "method": "get"}},
        "id": 30001,
        "name": "Acme",
        "subdomain": "acme",
        "currency": "EUR",
        "timezone": "Europe/Riga",
        "timezone_offset": "+03:00",
        "current_user": 504141,
    }


def test_fields_are_keyed_by_list_and_id_with_options_as_a_map_and_empty_maps_as_lists(session: Session) -> None:
    fields = account_fields(session, 4220)
    assert fields["4400062"] == {
        "id": 4400062,
        "name": "Multilist",
        "code": None,
        "field_type": 5,
        "sort": 40,
        "is_multiple": False,
        "is_system": False,
        "is_editable": True,
        "is_required": False,
        "is_deletable": True,
        "is_visible": True,
        "enums": {"3692539": "1", "3692540": "2", "3692541": "3"},
    }
    assert (fields["4400049"]["code"], fields["4400049"]["enums"]) == ("SKU", [])
    assert fields["4400064"]["enums"] == {"3692": "Red", "3693": "B&amp;W &quot;2&quot;"}
    numbers = {
        name: number for number, name in enumerate("text numeric checkbox select multiselect date url".split(), 1)
    }
    assert fields["4400071"]["field_type"] == numbers["url"]
    assert [fields[str(4400063 + place)]["field_type"] for place in range(8)] == [3, 4, 6, 14, 19, 13, 15, 16]


def test_a_list_without_fields_and_an_account_without_lists_are_empty_lists(session: Session) -> None:
    session.post(CATALOGS, {"delete": [4220, 4221], "add": [{"name": "Bare"}]})
    assert account_fields(session, 4222) == []
    session.post(CATALOGS, {"delete": [4222]})
    body = session.get("/api/v2/account?with=custom_fields").json()
    assert body["_embedded"]["custom_fields"] == {
        "contacts": [],
        "leads": [],
        "companies": [],
        "customers": [],
        "catalogs": [],
    }


def test_fields_are_added_with_options_and_deleted_with_their_values(session: Session) -> None:
    added = session.post(
        FIELDS,
        {"add": [{"name": "Size", "origin": "me", "type": 4, "element_type": "4220", "enums": ["S", "M"]}]},
    )
    (item,) = added.json()["_embedded"]["items"]
    field = account_fields(session, 4220)[str(item["id"])]
    assert (field["field_type"], list(field["enums"].values())) == (4, ["S", "M"])
    element = session.add({"id": item["id"], "values": [{"value": int(next(iter(field["enums"])))}]})

    refused = session.post(FIELDS, {"delete": [{"id": item["id"], "origin": "other"}]})
    assert list(refused.json()["_embedded"]["errors"]["delete"]) == [str(item["id"])]
    deleted = session.post(FIELDS, {"delete": [{"id": item["id"], "origin": "me"}]})
    assert [each["id"] for each in deleted.json()["_embedded"]["items"]] == [item["id"]]
    assert str(item["id"]) not in account_fields(session, 4220)
    assert session.values(element) == {}


@pytest.mark.parametrize(
    "entry",
    [
        {"origin": "me", "type": 1, "element_type": 4220},
        {"name": "Size", "type": 1, "element_type": 4220},
        {"name": "Size", "origin": "me", "type": 12, "element_type": 4220},
        {"name": "Size", "origin": "me", "type": 1, "element_type": 2},
        {"name": "Size", "origin": "me", "type": 4, "element_type": 4220, "enums": {"1": "S"}},
    ],
)
def test_a_field_that_lacks_something_is_not_added(session: Session, emulator: Emulator, entry: Any) -> None:
    answer = session.post(FIELDS, {"add": [entry]})
    assert list(answer.json()["_embedded"]["errors"]["add"]) == ["0"]
    assert len(emulator.store.fields(4220)) == 18


def test_fields_have_no_update(session: Session) -> None:
    answer = session.post(FIELDS, {"update": [{"id": 4400049, "name": "X"}]})
    assert (answer.status_code, answer.json()["response"]["error_code"]) == (400, "104")
