"""What the account tells about changes of elements, and the products list."""

from __future__ import annotations

from typing import Any

import pytest

from catalogsync.emulator.server import Emulator

from .conftest import NOW, Clock, Session

URL = "/api/v4/events"
PRODUCTS = "/api/v2/products_settings"


def events(session: Session, query: str = "") -> list[Any]:
    answer = session.get(f"{URL}?{query}")
    return [] if answer.status_code == 204 else list(answer.json()["_embedded"]["events"])


def test_a_change_is_told_per_field_with_what_was_and_what_is(session: Session, emulator: Emulator) -> None:
    fields = [{"id": 4400051, "values": [{"value": "99"}]}, {"id": 4400062, "values": ["3692541"]}]
    session.elements({"update": [{"id": 41873, "name": "Pens", "custom_fields": fields}]})
    name, price, chosen = sorted(events(session), key=lambda event: event["id"])
    assert (name["type"], name["entity_id"], name["created_at"], name["created_by"]) == (
        "name_field_changed",
        41873,
        NOW,
        504141,
    )
    assert price["type"] == "custom_field_4400051_value_changed"
    told = {"field_id": 4400051, "field_type": 20, "enum_id": None}
    assert price["value_before"] == [{"custom_field_value": {**told, "text": "80"}}]
    assert price["value_after"] == [{"custom_field_value": {**told, "text": "99"}}]
    assert [each["custom_field_value"]["enum_id"] for each in chosen["value_before"]] == [3692540, 3692541]
    assert [each["custom_field_value"]["enum_id"] for each in chosen["value_after"]] == [3692541]


def test_other_users_are_told_too_and_adds_and_deletes_are_not(session: Session, emulator: Emulator) -> None:
    assert session.get(URL).status_code == 204
    added = session.add()
    session.elements({"delete": [added]})
    session.elements({"update": [{"id": 41873, "name": "Markers"}]})
    assert events(session) == []
    emulator.store.edit_as_other_user(41873, values={"SKU": None})
    (event,) = events(session)
    assert (event["created_by"], event["value_after"]) == (504142, [])


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 5),
        ("filter[entity][]=catalog_4220", 5),
        ("filter[entity][]=catalog_4221", 0),
        ("filter[entity]=lead", 0),
        ("filter[entity]=catalog_4220&filter[entity_id][]=41872", 1),
        ("filter[entity][]=catalog_4220&filter[entity_id]=41872,41873", 5),
        ("filter[type]=name_field_changed", 1),
        ("filter[type][]=name_field_changed&filter[type][]=custom_field_4400051_value_changed", 5),
        ("filter[type]=custom_field_value_changed", 4),
        ("filter[created_at][from]=1760000001", 3),
        ("filter[created_at][from]=1760000001&filter[created_at][to]=1760000002", 2),
        ("limit=2", 2),
        ("limit=2&page=3", 1),
        ("limit=2&page=4", 0),
        ("limit=1000", 5),
    ],
)
def test_filters_and_pages(session: Session, emulator: Emulator, clock: Clock, query: str, count: int) -> None:
    emulator.store.edit_as_other_user(41872, name="New")
    for step in range(4):
        clock.now_s = NOW + step
        emulator.store.edit_as_other_user(41873, values={"PRICE": str(step)})
    told = events(session, query)
    assert len(told) == count
    stamps = [event["created_at"] for event in told]
    assert stamps == sorted(stamps, reverse=True)


def test_the_next_page_is_linked_and_a_page_has_a_hundred_at_most(session: Session, emulator: Emulator) -> None:
    for number in range(101):
        emulator.store.edit_as_other_user(41873, name=str(number))
    first = session.get(f"{URL}?filter[entity]=catalog_4220&limit=500").json()
    assert len(first["_embedded"]["events"]) == 100
    second = session.get(first["_links"]["next"]["href"]).json()
    assert len(second["_embedded"]["events"]) == 1
    assert "next" not in second["_links"]


def test_ids_need_one_list_and_are_ten_at_most(session: Session) -> None:
    ids = "&".join(f"filter[entity_id][]={number}" for number in range(11))
    assert session.get(f"{URL}?filter[entity_id]=41873").status_code == 400
    assert session.get(f"{URL}?filter[entity]=catalog_4220&{ids}").status_code == 400


def test_the_types_are_those_of_the_accounts_fields(session: Session) -> None:
    types = {each["key"] for each in session.get(f"{URL}/types").json()["_embedded"]["events_types"]}
    assert types >= {"name_field_changed", "custom_field_value_changed", "custom_field_4400090_value_changed"}


def test_products_are_switched_on_and_off(session: Session, emulator: Emulator) -> None:
    assert session.get(PRODUCTS).json()["is_enabled"] is False
    on = session.post(PRODUCTS, {"enabled": True}).json()
    assert (on["is_enabled"], on["_links"]["self"]["href"]) == (True, PRODUCTS)
    codes = {field.code for field in emulator.store.fields(on["catalog_id"]).values()}
    assert codes == {"SKU", "DESCRIPTION", "PRICE", "GROUP", "EXTERNAL_ID"}
    assert session.post(PRODUCTS, {"enable": False}).json()["is_enabled"] is False
    assert session.post(PRODUCTS, {"enabled": True}).json()["catalog_id"] == on["catalog_id"]
    assert len([each for each in emulator.store.catalogs() if each.type == "products"]) == 1


@pytest.mark.parametrize("body", [{}, [], {"enabled": "maybe"}, {"enabled": [1]}])
def test_products_settings_that_say_nothing_are_refused(session: Session, body: Any) -> None:
    assert session.post(PRODUCTS, body).status_code == 400
