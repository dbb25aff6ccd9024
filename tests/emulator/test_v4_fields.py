"""Fields, their options and their groups in version 4 (api notes 4.4, 4.5)."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Session

URL = "/api/v4/catalogs/4220/custom_fields"
ELEMENTS = "/api/v4/catalogs/4220/elements"


def options(session: Session, field: int, key: str = "enums") -> list[tuple[Any, ...]]:
    return [(option["id"], option["value"]) for option in session.get(f"{URL}/{field}").json()[key]]


def values(session: Session, element: int, field: int) -> Any:
    shown = session.get(f"{ELEMENTS}/{element}").json()["custom_fields_values"] or []
    return [each["values"] for each in shown if each["field_id"] == field]


def errors(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 400, answer.text
    return [(error["code"], error["path"]) for error in answer.json()["validation-errors"][0]["errors"]]


def test_a_field_reads_with_its_options_in_order(session: Session) -> None:
    assert session.get(f"{URL}/4400062").json() == {
        "id": 4400062,
        "name": "Multilist",
        "type": "multiselect",
        "code": None,
        "sort": 40,
        "account_id": 30001,
        "entity_type": "catalogs",
        "catalog_id": 4220,
        "group_id": None,
        "is_visible": True,
        "is_required": False,
        "is_deletable": True,
        "is_predefined": False,
        "is_api_only": False,
        "settings": [],
        "search_in": None,
        "currency": None,
        "enums": [
            {"id": 3692539, "value": "1", "sort": 10, "code": None},
            {"id": 3692540, "value": "2", "sort": 20, "code": None},
            {"id": 3692541, "value": "3", "sort": 30, "code": None},
        ],
        "nested": None,
        "_links": {"self": {"href": f"{session.emulator.url}{URL}/4400062"}},
    }


def test_a_list_of_fields_tells_totals_and_the_last_page(session: Session) -> None:
    body = session.get(f"{URL}?limit=5&page=4").json()
    fields = body.pop("_embedded")["custom_fields"]
    assert [field["id"] for field in fields] == [4400074, 4400075, 4400076]
    base = session.emulator.url + URL
    assert body == {
        "_page": 4,
        "_total_items": 18,
        "_page_count": 4,
        "_links": {"self": {"href": f"{base}?limit=5&page=4"}, "last": {"href": f"{base}?page=4&limit=5"}},
    }
    assert session.get(f"{URL}?limit=5&page=5").status_code == 204


def test_fields_are_filtered_by_type_and_ordered(session: Session) -> None:
    def ids(query: str) -> list[int]:
        return [field["id"] for field in session.get(f"{URL}?{query}").json()["_embedded"]["custom_fields"]]

    assert ids("filter[type][0]=date&filter[type][1]=text") == [4400049, 4400065]
    assert ids("filter[type][]=numeric") == [4400050]
    assert ids("order[id]=desc&limit=2") == [4400076, 4400075]
    assert ids("order[sort]=asc&limit=2") == [4400049, 4400050]


def test_fields_are_added_with_options_and_codes_and_answered_with_201(session: Session) -> None:
    enums = [{"value": "Small", "sort": 2, "code": "s"}, {"value": "Large", "sort": 1, "code": "l"}]
    body = [{"name": "Size", "type": "select", "code": "SIZE", "enums": enums, "request_id": "f"}]
    answer = session.post(URL, body)
    assert answer.status_code == 201
    (added,) = answer.json()["_embedded"]["custom_fields"]
    assert (added["request_id"], added["code"]) == ("f", "SIZE")
    assert added["enums"] == [
        {"id": 3692543, "value": "Large", "sort": 1, "code": "l"},
        {"id": 3692542, "value": "Small", "sort": 2, "code": "s"},
    ]
    element = {"name": "X", "custom_fields_values": [{"field_code": "SIZE", "values": [{"enum_code": "s"}]}]}
    (item,) = session.post(ELEMENTS, [element]).json()["_embedded"]["elements"]
    assert item["custom_fields_values"][0]["values"] == [{"value": "Small", "enum_id": 3692542, "enum_code": "s"}]


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({"type": "text"}, ("FieldMissing", "name")),
        ({"name": "X"}, ("FieldMissing", "type")),
        ({"name": "X", "type": "chained_list"}, ("NotSupportedChoice", "type")),
        ({"name": "X", "type": "select"}, ("FieldMissing", "enums")),
        ({"name": "X", "type": "select", "enums": [{"sort": 1}]}, ("FieldMissing", "enums.0.value")),
        ({"name": "X", "type": "select", "enums": [{"id": 3692, "value": "A"}]}, ("NotSupportedChoice", "enums.0.id")),
        ({"name": "X", "type": "text", "code": "SKU"}, ("NotSupportedChoice", "code")),
        ({"name": "X", "type": "text", "is_required": "yes"}, ("InvalidType", "is_required")),
        ({"name": "X", "type": "text", "settings": "none"}, ("InvalidType", "settings")),
        ({"name": "X", "type": "linked_entity", "search_in": 1.5}, ("InvalidType", "search_in")),
        ({"name": "X", "type": "linked_entity", "search_in": True}, ("InvalidType", "search_in")),
        ({"name": "X", "type": "price", "currency": {}}, ("InvalidType", "currency")),
    ],
)
def test_a_field_that_cannot_be_is_refused(session: Session, entry: Any, error: tuple[str, str]) -> None:
    assert errors(session.post(URL, [entry])) == [error]


def test_a_field_is_changed_alone_or_in_a_batch(session: Session) -> None:
    single = session.patch(f"{URL}/4400050", {"name": "Stock", "is_required": True})
    assert (single.status_code, single.json()["name"], single.json()["request_id"]) == (201, "Stock", 4400050)
    batch = session.patch(URL, [{"id": 4400050, "code": "STOCK", "sort": 1}, {"id": 4400051, "is_visible": False}])
    assert batch.status_code == 201
    shown = session.get(f"{URL}/4400050").json()
    assert (shown["name"], shown["is_required"], shown["code"], shown["sort"]) == ("Stock", True, "STOCK", 1)
    assert errors(session.patch(URL, [{"id": 1, "name": "X"}])) == [("NotSupportedChoice", "id")]
    assert session.patch(f"{URL}/1", {"name": "X"}).status_code == 404
    assert errors(session.patch(f"{URL}/4400050", {"type": "text"})) == [("NotSupportedChoice", "type")]


def test_options_sent_with_their_ids_are_renamed_and_values_stay(session: Session) -> None:
    kept = [{"id": 3692541, "value": "three"}, {"id": 3692539, "value": "one"}, {"id": 3692540, "value": "two"}]
    assert session.patch(f"{URL}/4400062", {"enums": kept}).status_code == 201
    assert options(session, 4400062) == [(3692541, "three"), (3692539, "one"), (3692540, "two")]
    assert values(session, 41873, 4400062) == [
        [{"value": "two", "enum_id": 3692540}, {"value": "three", "enum_id": 3692541}]
    ]


def test_an_option_sent_without_its_id_gets_a_new_one_and_values_lose_it(session: Session) -> None:
    sent = [{"id": 3692539, "value": "1"}, {"id": 3692540, "value": "2"}, {"value": "3"}]
    session.patch(f"{URL}/4400062", {"enums": sent})
    shown = options(session, 4400062)
    assert [label for _, label in shown] == ["1", "2", "3"]
    assert shown[2][0] > 3692541
    assert values(session, 41873, 4400062) == [[{"value": "2", "enum_id": 3692540}]]
    session.patch(f"{URL}/4400062", {"enums": [{"value": "1"}, {"value": "2"}]})
    assert values(session, 41873, 4400062) == []
    assert 4400062 not in session.values(41873)


def test_a_category_is_a_tree_that_one_call_creates(session: Session) -> None:
    nested = [
        {"value": "Wood", "request_id": "w"},
        {"value": "Boards", "parent_request_id": "w", "request_id": "b"},
        {"value": "Oak", "parent_request_id": "b"},
    ]
    answer = session.post(URL, [{"name": "Tree", "type": "category", "nested": nested}])
    (field,) = answer.json()["_embedded"]["custom_fields"]
    wood, boards, oak = field["nested"]
    assert [(each["value"], each["parent_id"]) for each in field["nested"]] == [
        ("Wood", None),
        ("Boards", wood["id"]),
        ("Oak", boards["id"]),
    ]
    deeper = [*field["nested"], {"value": "Veneer", "parent_id": oak["id"]}]
    changed = session.patch(f"{URL}/{field['id']}", {"nested": deeper}).json()
    assert [each["parent_id"] for each in changed["nested"]] == [None, wood["id"], boards["id"], oak["id"]]
    assert errors(session.patch(f"{URL}/{field['id']}", {"nested": [{"value": "X", "parent_id": 1}]})) == [
        ("NotSupportedChoice", "nested.0.parent_id")
    ]


def test_deleting_a_field_loses_its_values(session: Session) -> None:
    answer = session.delete(f"{URL}/4400062")
    assert (answer.status_code, answer.content) == (204, b"")
    assert values(session, 41873, 4400062) == []
    assert session.delete(f"{URL}/4400062").status_code == 404
    assert session.get(f"{URL}/4400062").status_code == 404


def test_a_predefined_field_cannot_be_deleted(session: Session) -> None:
    assert session.get(f"{URL}/4400049").json()["is_predefined"] is True
    assert session.delete(f"{URL}/4400049").status_code == 400
    assert values(session, 41873, 4400049) == [[{"value": "416"}]]


def test_groups_are_added_changed_and_deleted_but_for_the_predefined_one(session: Session) -> None:
    url = f"{URL}/groups"
    general = {
        "id": "general",
        "name": "General",
        "is_predefined": True,
        "type": "entity_group",
        "entity_type": "catalogs",
        "sort": 0,
        "_links": {"self": {"href": f"{session.emulator.url}{url}/general"}},
    }
    assert session.get(url).json()["_embedded"]["custom_field_groups"] == [general]
    added = session.post(url, [{"name": "Sizes", "sort": 2}])
    assert added.status_code == 201
    (group,) = added.json()["_embedded"]["custom_field_groups"]
    assert (group["name"], group["sort"], group["request_id"]) == ("Sizes", 2, "0")
    assert errors(session.post(url, [{"name": "X"}])) == [("FieldMissing", "sort")]
    assert session.patch(f"{URL}/4400050", {"group_id": group["id"]}).json()["group_id"] == group["id"]
    assert session.patch(f"{url}/{group['id']}", {"name": "Measures"}).json()["name"] == "Measures"
    batch = session.patch(url, [{"id": group["id"], "sort": 3}]).json()["_embedded"]["custom_field_groups"]
    assert [each["sort"] for each in batch] == [3]
    assert session.get(f"{url}/{group['id']}").json()["name"] == "Measures"
    assert session.delete(f"{url}/{group['id']}").status_code == 204
    assert session.get(f"{url}/{group['id']}").status_code == 404
    assert session.get(f"{URL}/4400050").json()["group_id"] is None
    assert session.delete(f"{url}/general").status_code == 400
