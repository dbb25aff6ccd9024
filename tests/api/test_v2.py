"""The v2 dialect is pure: JSON typed in from the vendor's pages and the API notes, compared whole, both ways."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.api.dialect import Batch, Capabilities, Page, Request, Response
from catalogsync.api.pages import batch_of
from catalogsync.api.v2 import V2, Place
from catalogsync.errors import UnexpectedAnswer
from catalogsync.model import Add, Catalog, Change, Delete, Field, Result, Schema, Update
from tests.api.helpers import BY_ID, SCHEMA, columns, read_page

V = V2()
ELEMENTS = "/api/v2/catalog_elements"
NOON_IN_RIGA = "1774947600"  # 2026-03-31 12:00:00, summer time, three hours ahead of UTC


def answer(json_text: str) -> Response:
    """An answer as the transport gives it: fractions as decimals."""
    return Response(200, json.loads(json_text, parse_float=Decimal))


# --- requests ---


def test_what_v2_allows_is_declared() -> None:
    assert V.capabilities == Capabilities(
        max_batch=250,
        page_rows=500,
        ids_per_read=250,
        can_delete=True,
        compares_updates=True,
        keeps_repeated_hours=False,
        shows_links=True,
    )


def test_account_is_asked_for_with_its_custom_fields() -> None:
    assert V.account_request() == Request("GET", "/api/v2/account", (("with", "custom_fields"),))


def test_catalogs_are_asked_for_all_at_once() -> None:
    assert V.catalogs_request() == Request("GET", "/api/v2/catalogs")


def test_first_page_names_limit_and_offset() -> None:
    place = (("catalog_id", "4220"), ("limit_rows", "500"), ("limit_offset", "0"))
    assert V.elements_request(4220) == Request("GET", ELEMENTS, place)


def test_a_further_page_is_asked_for_by_offset_or_by_number() -> None:
    by_offset = (("catalog_id", "4220"), ("limit_rows", "500"), ("limit_offset", "499"))
    assert V.elements_request(4220, Place(offset=499)) == Request("GET", ELEMENTS, by_offset)
    by_number = (("catalog_id", "4220"), ("page", "2"))
    assert V.elements_request(4220, Place(page=2)) == Request("GET", ELEMENTS, by_number)


def test_elements_by_ids_are_an_array_argument_and_name_the_row_limit() -> None:
    wanted = (("catalog_id", "4220"), ("id[]", "11"), ("id[]", "12"), ("limit_rows", "500"))
    assert V.elements_by_ids_request(4220, [11, 12]) == Request("GET", ELEMENTS, wanted)


def test_search_is_paged_like_the_catalog() -> None:
    first = (("catalog_id", "4220"), ("term", "Oak & co"), ("limit_rows", "500"), ("limit_offset", "0"))
    assert V.elements_by_term_request(4220, "Oak & co") == Request("GET", ELEMENTS, first)
    second = (("catalog_id", "4220"), ("term", "Oak & co"), ("page", "2"))
    assert V.elements_by_term_request(4220, "Oak & co", Place(page=2)) == Request("GET", ELEMENTS, second)


def test_catalogs_are_written_in_one_request_that_is_never_repeated() -> None:
    assert V.catalogs_write_request([{"name": "Tariffs"}], [{"id": 2561, "name": "Cars"}], [2562]) == Request(
        "POST",
        "/api/v2/catalogs",
        json={"add": [{"name": "Tariffs"}], "update": [{"id": 2561, "name": "Cars"}], "delete": [2562]},
        is_repeatable=False,
    )
    only_delete = V.catalogs_write_request([], [], [2561, 2562])
    assert only_delete.json == {"delete": [2561, 2562]}  # seed page 000: an absent verb is not sent


# --- catalogs and fields ---


def test_catalogs_of_seed_page_000_are_read() -> None:
    sample = """{"_links": {"self": {"href": "/api/v2/catalogs", "method": "get"}}, "_embedded": {"items": [
        {"id": 4223, "name": "Products", "created_by": 504141, "created_at": 1508930391, "sort": 10,
         "_links": {"self": {"href": "/api/v2/catalogs?id=4223", "method": "get"}}},
        {"id": 4222, "name": "Sevices", "created_by": 504141, "created_at": 1508930288, "sort": 20,
         "_links": {"self": {"href": "/api/v2/catalogs?id=4222", "method": "get"}}}]}}"""
    assert V.read_catalogs(answer(sample)) == [
        Catalog(4223, "Products", "regular", 10, 1508930391),
        Catalog(4222, "Sevices", "regular", 20, 1508930288),
    ]


def test_no_catalogs_is_an_answer_without_a_body() -> None:
    assert V.read_catalogs(Response(204)) == []


def test_catalogs_written_tell_ids_and_errors() -> None:
    sample = """{"_link": {"self": {"href": "/api/v2/catalogs", "method": "post"}}, "_embedded": {
        "items": [{"id": 4223, "_link": {"self": {"href": "/api/v2/catalogs?id=4223", "method": "get"}}}],
        "errors": {"delete": {"77": "Error 282. List not found"}}}}"""
    assert V.read_catalogs_written(answer(sample)) == ([4223], ["Error 282. List not found"])


def _account(enums: str, *, catalogs: str | None = None) -> Response:
    field = f"""{{"id": 4400062, "name": "Grade", "code": null, "field_type": 5, "sort": 10, "is_multiple": false,
        "is_system": false, "is_editable": true, "enums": {enums}}}"""
    by_list = catalogs or f'{{"7001": {{"4400062": {field}}}}}'
    return answer(
        f'{{"id": 30001, "timezone": "Europe/Riga", "_embedded": {{"custom_fields": {{"catalogs": {by_list}}}}}}}'
    )


GRADES = (Field(4400062, "Grade", "multiselect", enums={3692539: "A", 3692540: "B"}),)
PRODUCTS = Catalog(7001, "Products")


@pytest.mark.parametrize(
    "enums",
    ['{"3692539": "A", "3692540": "B"}', '[{"id": 3692539, "value": "A"}, {"id": 3692540, "value": "B"}]'],
    ids=["map", "list"],
)
def test_options_are_read_as_map_and_as_list(enums: str) -> None:
    assert V.read_schema(_account(enums), PRODUCTS) == Schema(30001, "Europe/Riga", 7001, "Products", GRADES)


def test_no_options_are_an_empty_list_as_php_writes_it() -> None:
    (field,) = V.read_schema(_account("[]"), PRODUCTS).fields
    assert field == Field(4400062, "Grade", "multiselect")


def test_options_keep_their_captions_as_they_came() -> None:
    (field,) = V.read_schema(_account('{"7": "B&amp;W &quot;2&quot;"}'), PRODUCTS).fields
    assert field.enums == {7: "B&amp;W &quot;2&quot;"}


@pytest.mark.parametrize("catalogs", ["[]", '{"7002": []}', '{"7001": []}', "null"])
def test_a_catalog_without_fields_has_an_empty_schema(catalogs: str) -> None:
    read = V.read_schema(_account("[]", catalogs=catalogs), PRODUCTS)
    assert read == Schema(30001, "Europe/Riga", 7001, "Products", ())


def test_an_account_that_tells_nothing_has_no_time_zone() -> None:
    assert V.read_schema(answer("{}"), PRODUCTS) == Schema(0, "", 7001, "Products", ())


def test_every_type_number_of_the_notes_has_its_name() -> None:
    numbers = {1: "text", 2: "numeric", 3: "checkbox", 4: "select", 5: "multiselect", 6: "date", 7: "url"}
    numbers |= {8: "multitext", 9: "textarea", 10: "radiobutton", 11: "streetaddress", 13: "smart_address"}
    numbers |= {14: "birthday", 15: "legal_entity", 16: "items", 17: "org_legal_name", 18: "category"}
    numbers |= {19: "date_time", 20: "price", 21: "tracking_data", 23: "monetary", 24: "chained_list", 25: "file"}
    numbers |= {99: "type 99"}
    entries = [{"id": number, "name": "x", "field_type": number} for number in numbers]
    account = Response(200, {"_embedded": {"custom_fields": {"catalogs": {"7001": entries}}}})
    assert {field.id: field.type for field in V.read_schema(account, PRODUCTS).fields} == numbers


# --- reading elements ---

SEED_002 = """{
   "_links": {"self": {"href": "/api/v2/catalog_elements?catalog_id=4220", "method": "get"}},
   "_embedded": {"items": [
     {"id": 41873, "name": "Markers", "created_by": 504141, "created_at": 1509003163, "updated_at": 1509003163,
      "updated_by": 504141, "is_deleted": false, "custom_fields": [
        {"id": 4400049, "name": "Vendor code", "values": [{"value": "416"}], "is_system": true},
        {"id": 4400050, "name": "Amount", "values": [{"value": "250"}], "is_system": true},
        {"id": 4400051, "name": "Price", "values": [{"value": "80"}], "is_system": true},
        {"id": 4400062, "name": "Multilist", "values": [
            {"value": "2", "enum": "3692540"}, {"value": "3", "enum": "3692541"}], "is_system": false}],
      "catalog_id": 4220,
      "_links": {"self": {"href": "/api/v2/catalog_elements?id=41873&catalog_id=4220", "method": "get"}}},
     {"id": 41872, "name": "Pencils", "created_by": 504141, "created_at": 1509003145, "updated_at": 1509003145,
      "updated_by": 504141, "is_deleted": false, "custom_fields": [
        {"id": 4400049, "name": "Vendor code", "values": [{"value": "415"}], "is_system": true},
        {"id": 4400050, "name": "Amount", "values": [{"value": "300"}], "is_system": true},
        {"id": 4400051, "name": "Price", "values": [{"value": "75"}], "is_system": true},
        {"id": 4400062, "name": "Multilist", "values": [
            {"value": "1", "enum": "3692539"}, {"value": "2", "enum": "3692540"}], "is_system": false}],
      "catalog_id": 4220,
      "_links": {"self": {"href": "/api/v2/catalog_elements?id=41872&catalog_id=4220", "method": "get"}}}
   ]}}"""


def test_sample_of_seed_page_002_becomes_columns() -> None:
    wanted = columns("name", "4400049", "4400050", "4400051", "4400062")
    assert read_page(V, json.loads(SEED_002), wanted, "Europe/Riga") == Page(
        ids=[41873, 41872],
        updated_at=[1509003163, 1509003145],
        updated_by=[504141, 504141],
        values=batch_of(
            {
                "name": ["Markers", "Pencils"],
                "4400049": ["416", "415"],
                "4400050": ["250", "300"],
                "4400051": ["80", "75"],
                "4400062": ["3692540,3692541", "3692539,3692540"],
            }
        ),
        linked=[False, False],
        listed_ids=[41873, 41872],
    )


def test_only_the_wanted_columns_are_read() -> None:
    page = read_page(V, json.loads(SEED_002), columns("4400051"), "Europe/Riga")
    assert page == Page(
        [41873, 41872],
        [1509003163, 1509003145],
        [504141, 504141],
        batch_of({"4400051": ["80", "75"]}),
        [False, False],
        [41873, 41872],
    )


def _read(key: str, values: Any, timezone: str = "Europe/Riga") -> dict[str, str]:
    """What one element's field is read as, by column key."""
    field_id = int(key.partition(".")[0])
    item = {"id": 1, "name": "x", "updated_at": 2, "custom_fields": [{"id": field_id, "values": values}]}
    wanted = columns(key)
    if BY_ID[field_id].type == "smart_address":
        parts = ("address_line_1", "address_line_2", "city", "state", "zip", "country")
        wanted = columns(*(f"{field_id}.{part}" for part in parts))
    if BY_ID[field_id].type == "legal_entity":
        parts = ("name", "entity_type", "vat_id", "kpp", "address", "external_id")
        wanted = columns(*(f"{field_id}.{part}" for part in parts))
    page = read_page(V, {"_embedded": {"items": [item]}}, wanted, timezone)
    assert (page.ids, page.updated_at) == ([1], [2])
    return {name: text for name, (text,) in page.values.to_pydict().items() if text}


@pytest.mark.parametrize(
    ("key", "values", "text"),
    [
        pytest.param("4400049", [{"value": " Oak\r\n20 mm "}], "Oak\n20 mm", id="text"),
        pytest.param("4400049", [{"value": "00123"}], "00123", id="text keeps zeros"),
        pytest.param("4400049", [{"value": 415}], "415", id="text as a number"),
        pytest.param("4400049", [{"value": Decimal("1.50")}], "1.50", id="text as a fraction"),
        pytest.param("4400049", {"value": "m3"}, "m3", id="object in place of a list"),
        pytest.param("4400049", {"0": {"value": "m3"}}, "m3", id="map in place of a list"),
        pytest.param("4400064", {"value": "Red", "enum": "3692"}, "3692", id="option as object in place of a list"),
        pytest.param("4400072", [{"value": "one"}, {"value": "two"}], "one\ntwo", id="textarea, two values"),
        pytest.param("4400071", [{"value": "https://x.example/?a=1&b=2"}], "https://x.example/?a=1&b=2", id="url"),
        pytest.param("4400073", [{"value": "Brivibas 1"}], "Brivibas 1", id="streetaddress"),
        pytest.param("4400076", [{"value": "Acme SIA"}], "Acme SIA", id="org_legal_name"),
        pytest.param("4400078", [{"value": "kept"}], "kept", id="unknown type as text"),
        pytest.param("4400050", [{"value": "12.50"}], "12.5", id="numeric"),
        pytest.param("4400050", [{"value": 80}], "80", id="numeric as a number"),
        pytest.param("4400050", [{"value": Decimal("80.0")}], "80", id="numeric as a fraction"),
        pytest.param("4400050", [{"value": "abc"}], "abc", id="numeric that is none still compares"),
        pytest.param("4400051", [{"value": "999.12"}], "999.12", id="price"),
        pytest.param("4400077", [{"value": "-0.50"}], "-0.5", id="monetary"),
        pytest.param("4400063", [{"value": "1"}], "1", id="checkbox"),
        pytest.param("4400063", [{"value": True}], "1", id="checkbox as bool"),
        pytest.param("4400063", [{"value": "0"}], "0", id="unticked"),
        pytest.param("4400063", [], "0", id="never ticked"),
        pytest.param("4400064", [{"value": "Red", "enum": "3692"}], "3692", id="select"),
        pytest.param("4400064", [{"value": "B&amp;W &quot;2&quot;"}], "3693", id="select by escaped caption"),
        pytest.param("4400074", [{"value": "B", "enum": "3702"}], "3702", id="radiobutton"),
        pytest.param("4400075", [{"value": "Boards", "enum": "3711"}], "3711", id="category"),
        pytest.param(
            "4400062",
            [{"value": "3", "enum": "3692541"}, {"value": "1", "enum": "3692539"}],
            "3692539,3692541",
            id="multiselect ascending",
        ),
        pytest.param("4400062", ["3692541", 3692539], "3692539,3692541", id="multiselect of bare ids"),
        pytest.param("4400062", {"value": "2", "enum": "3692540"}, "3692540", id="multiselect as object"),
        pytest.param("4400065", [{"value": "2026-03-31 00:00:00"}], "2026-03-31", id="date"),
        pytest.param("4400065", [{"value": "2026/03/31"}], "2026-03-31", id="date with slashes"),
        pytest.param("4400066", [{"value": "1984-02-29 00:00:00"}], "1984-02-29", id="birthday"),
        pytest.param("4400067", [{"value": "2026-03-31 12:00:00"}], NOON_IN_RIGA, id="date_time, local"),
        pytest.param("4400067", [{"value": NOON_IN_RIGA}], NOON_IN_RIGA, id="date_time, digits"),
        pytest.param("4400067", [{"value": "2026-03-31T10:00:00+01:00"}], NOON_IN_RIGA, id="date_time, offset"),
        pytest.param("4400067", [{"value": "soon"}], "soon", id="date_time that is none still compares"),
        pytest.param(
            "4400070",
            [{"description": "Oak", "unit_price": Decimal("9.50"), "quantity": 2, "discount": []}],
            '[{"description": "Oak", "quantity": "2", "unit_price": "9.5"}]',
            id="items",
        ),
    ],
)
def test_a_value_is_read_as_canonical_text(key: str, values: Any, text: str) -> None:
    assert _read(key, values) == {key: text}


_WIRE = [
    "",
    " x ",
    "a\r\nb",
    "a\rb",
    "0",
    "-0",
    "007",
    "12",
    "12.50",
    "0.10",
    "1e3",
    "9" * 16,
    "0.1234567890",
    "٣",
    "yes",
]
_WIRE += [
    "true",
    "TRUE",
    "1",
    "3692",
    "B&amp;W &quot;2&quot;",
    "2026/03/31",
    "2026-03-31 00:00:00",
    NOON_IN_RIGA,
    "soon",
]
_ONE_COLUMN = [id_ for id_, each in BY_ID.items() if each.type not in {"smart_address", "legal_entity", "items"}]


@pytest.mark.parametrize("field_id", _ONE_COLUMN)
def test_the_usual_shape_of_a_value_is_read_as_any_other_shape_of_it(field_id: int) -> None:
    """The usual one takes a short way through the reader; `subtype` says nothing here, and makes it take the long."""
    for text in _WIRE:
        for usual in ({"value": text}, {"value": text, "enum": "3692"}, {"value": text, "enum": text}):
            assert _read(str(field_id), [usual]) == _read(str(field_id), [{**usual, "subtype": None}])


def test_values_that_repeat_on_a_page_are_read_each_for_itself() -> None:
    wires: list[list[Any]] = [
        [{"value": "Red", "enum": "3692"}],
        [{"value": "Red", "enum": "3693"}],
        [{"value": "3692"}],
        [{"value": "Red", "enum": "3692"}],
        [],
    ]
    items = [
        {"id": id_, "name": "x", "custom_fields": [{"id": 4400064, "values": values}]}
        for id_, values in enumerate(wires, start=1)
    ]
    page = read_page(V, {"_embedded": {"items": items}}, columns("4400064"), "")
    assert page.values.to_pydict() == {"4400064": ["3692", "3693", "3692", "3692", ""]}


def test_an_address_is_read_by_number_and_by_name() -> None:
    numbers = [{"value": f"part {number}", "subtype": str(number)} for number in range(1, 7)]
    parts = ("address_line_1", "address_line_2", "city", "state", "zip", "country")
    assert _read("4400068", numbers) == {f"4400068.{part}": f"part {i}" for i, part in enumerate(parts, start=1)}
    assert _read("4400068", [{"value": "Riga", "subtype": "city"}]) == {"4400068.city": "Riga"}
    assert _read("4400068", {"value": "Riga", "subtype": "city"}) == {"4400068.city": "Riga"}


def test_a_legal_entity_is_read_as_its_parts() -> None:
    entity = {"name": "Acme", "entity_type": 1, "vat_id": "LV123", "kpp": None, "address": "", "external_id": "x1"}
    assert _read("4400069", [{"value": entity}]) == {
        "4400069.name": "Acme",
        "4400069.entity_type": "1",
        "4400069.vat_id": "LV123",
        "4400069.external_id": "x1",
    }


@pytest.mark.parametrize("custom", [{}, {"custom_fields": None}, {"custom_fields": []}, {"custom_fields": {}}])
def test_an_element_without_values_is_empty_and_unticked(custom: dict[str, Any]) -> None:
    page = read_page(
        V,
        {"_embedded": {"items": [{"id": 5, "name": "x", "updated_at": 6, **custom}]}},
        columns("name", "4400049", "4400062", "4400063", "4400068.city"),
        "",
    )
    values = {"name": ["x"], "4400049": [""], "4400062": [""], "4400063": ["0"], "4400068.city": [""]}
    assert page == Page([5], [6], [0], batch_of(values), [False], [5])


def test_custom_fields_as_a_map_are_read() -> None:
    item = {"id": 5, "name": "x", "custom_fields": {"4400049": {"id": "4400049", "values": [{"value": "415"}]}}}
    page = read_page(V, {"_embedded": {"items": [item]}}, columns("4400049"), "")
    assert page == Page([5], [0], [0], batch_of({"4400049": ["415"]}), [False], [5])


def test_a_date_and_time_without_an_account_zone_is_utc() -> None:
    assert _read("4400067", [{"value": "2026-03-31 09:00:00"}], "") == {"4400067": NOON_IN_RIGA}


@pytest.mark.parametrize("body", [None, {"_embedded": {"items": []}}, {"_embedded": []}, {}])
def test_an_empty_answer_is_an_empty_page(body: Any) -> None:
    assert V.read_elements(Response(204, body), columns("name"), "") == Page([], [], [], batch_of({"name": []}), [], [])


def test_a_deleted_element_is_no_element_but_counts_as_a_row_of_its_page() -> None:
    items = [{"id": 5, "name": "gone", "is_deleted": True}, {"id": 6, "name": "here", "is_deleted": False}]
    page = read_page(V, {"_embedded": {"items": items}}, columns("name"), "")
    assert page == Page([6], [0], [0], batch_of({"name": ["here"]}), [False], [5, 6])


def test_an_answer_of_another_shape_is_refused() -> None:
    with pytest.raises(UnexpectedAnswer, match=r"^the server's answer is not a JSON object$"):
        V.read_elements(Response(200, ["what"]), columns("name"), "")


# --- writing ---

WRITES: list[tuple[dict[str, str], list[dict[str, Any]]]] = [
    ({"4400049": "00415"}, [{"id": 4400049, "values": [{"value": "00415"}]}]),
    ({"4400050": "12.5"}, [{"id": 4400050, "values": [{"value": "12.5"}]}]),
    ({"4400051": "80"}, [{"id": 4400051, "values": [{"value": "80"}]}]),
    ({"4400062": "3692539,3692540"}, [{"id": 4400062, "values": ["3692539", "3692540"]}]),
    ({"4400063": "1"}, [{"id": 4400063, "values": [{"value": 1}]}]),
    ({"4400063": "0"}, [{"id": 4400063, "values": [{"value": 0}]}]),
    ({"4400064": "3692"}, [{"id": 4400064, "values": [{"value": 3692}]}]),
    ({"4400065": "2026-03-31"}, [{"id": 4400065, "values": [{"value": "2026-03-31 00:00:00"}]}]),
    ({"4400066": "1984-02-29"}, [{"id": 4400066, "values": [{"value": "1984-02-29 00:00:00"}]}]),
    ({"4400067": NOON_IN_RIGA}, [{"id": 4400067, "values": [{"value": "2026-03-31 12:00:00"}]}]),
    (
        {"4400068.city": "Riga", "4400068.zip": "LV-1010"},
        [{"id": 4400068, "values": [{"value": "Riga", "subtype": "city"}, {"value": "LV-1010", "subtype": "zip"}]}],
    ),
    (
        {"4400069.name": "Acme", "4400069.entity_type": "2", "4400069.vat_id": "0012"},
        [{"id": 4400069, "values": [{"value": {"name": "Acme", "entity_type": 2, "vat_id": "0012"}}]}],
    ),
    (
        {"4400070": '[{"description": "Oak", "quantity": "2", "unit_price": "9.5"}]'},
        [{"id": 4400070, "values": [{"description": "Oak", "quantity": "2", "unit_price": "9.5"}]}],
    ),
    ({"4400071": "https://x.example"}, [{"id": 4400071, "values": [{"value": "https://x.example"}]}]),
    ({"4400072": "one\ntwo"}, [{"id": 4400072, "values": [{"value": "one\ntwo"}]}]),
    ({"4400073": "Brivibas 1"}, [{"id": 4400073, "values": [{"value": "Brivibas 1"}]}]),
    ({"4400074": "3702"}, [{"id": 4400074, "values": [{"value": 3702}]}]),
    ({"4400075": "3711"}, [{"id": 4400075, "values": [{"value": 3711}]}]),
    ({"4400076": "Acme SIA"}, [{"id": 4400076, "values": [{"value": "Acme SIA"}]}]),
    ({"4400077": "-0.5"}, [{"id": 4400077, "values": [{"value": "-0.5"}]}]),
    ({"4400078": "kept"}, [{"id": 4400078, "values": [{"value": "kept"}]}]),
]
WRITE_IDS = [" ".join(values) for values, _ in WRITES]


def _batch(*changes: Change) -> Batch:
    return V.batch(1, 4220, changes, SCHEMA)


@pytest.mark.parametrize(("values", "custom_fields"), WRITES, ids=WRITE_IDS)
def test_an_add_carries_every_type_in_its_wire_shape(values: dict[str, str], custom_fields: list[Any]) -> None:
    change = Add(17, "415", 2, {"name": "Pencil", **values})
    added = {"catalog_id": 4220, "request_id": 17, "name": "Pencil", "custom_fields": custom_fields}
    assert _batch(change) == Batch(1, Request("POST", ELEMENTS, (), {"add": [added]}, False), (change,))


@pytest.mark.parametrize(("values", "custom_fields"), WRITES, ids=WRITE_IDS)
def test_an_update_carries_what_changed_and_no_name(values: dict[str, str], custom_fields: list[Any]) -> None:
    change = Update(3, "415", 2, 880123, 1760000500, dict.fromkeys(values, "old"), values)
    updated = {"id": 880123, "catalog_id": 4220, "updated_at": 1760000501, "custom_fields": custom_fields}
    assert _batch(change) == Batch(1, Request("POST", ELEMENTS, (), {"update": [updated]}, False), (change,))


@pytest.mark.parametrize("values", [values for values, _ in WRITES], ids=WRITE_IDS)
def test_an_emptied_value_is_cleared_with_an_empty_list(values: dict[str, str]) -> None:
    change = Update(3, "415", 2, 880123, 1760000500, values, dict.fromkeys(values, ""))
    (updated,) = _batch(change).request.json["update"]
    field_id = int(next(iter(values)).partition(".")[0])
    cleared = [{"id": field_id, "values": []}]
    assert updated == {"id": 880123, "catalog_id": 4220, "updated_at": 1760000501, "custom_fields": cleared}


@pytest.mark.parametrize("values", [values for values, _ in WRITES], ids=WRITE_IDS)
def test_what_was_written_is_read_back_as_it_was(values: dict[str, str]) -> None:
    """The server's own change of shape aside: options and addresses are read in another one than written."""
    (entry,) = _batch(Add(1, "k", 2, values)).request.json["add"][0]["custom_fields"]
    assert _read(str(entry["id"]) if len(values) > 1 else next(iter(values)), entry["values"]) == values


def test_a_changed_name_alone_sends_no_custom_fields() -> None:
    change = Update(3, "415", 2, 880123, 1760000500, {"name": "Pencil"}, {"name": "Pencils"})
    updated = {"id": 880123, "catalog_id": 4220, "updated_at": 1760000501, "name": "Pencils"}
    assert _batch(change).request.json == {"update": [updated]}


def test_an_add_without_values_sends_no_custom_fields() -> None:
    added = {"catalog_id": 4220, "request_id": 1, "name": "Pencil"}
    assert _batch(Add(1, "k", 2, {"name": "Pencil"})).request.json == {"add": [added]}


def test_subtypes_that_stay_are_sent_again_beside_the_one_that_changes() -> None:
    change = Update(
        op=3,
        key="415",
        row=2,
        id=880123,
        updated_at=1760000500,
        before={"4400068.city": "Riga", "4400069.vat_id": "1"},
        after={"4400068.city": "Liepaja", "4400069.vat_id": ""},
        kept={"4400068.country": "LV", "4400069.name": "Acme", "4400069.entity_type": "1"},
    )
    (updated,) = _batch(change).request.json["update"]
    assert updated["custom_fields"] == [
        {"id": 4400068, "values": [{"value": "LV", "subtype": "country"}, {"value": "Liepaja", "subtype": "city"}]},
        {"id": 4400069, "values": [{"value": {"name": "Acme", "entity_type": 1}}]},
    ]


def test_all_three_verbs_share_one_request() -> None:
    changes = (
        Update(1, "a", 2, 11, 100, {"4400050": "1"}, {"4400050": "2"}),
        Add(2, "b", 3, {"name": "B"}),
        Delete(3, "c", 12, "C", 100),
        Delete(4, "d", 13, "D", 100),
    )
    body = {
        "add": [{"catalog_id": 4220, "request_id": 2, "name": "B"}],
        "update": [
            {
                "id": 11,
                "catalog_id": 4220,
                "updated_at": 101,
                "custom_fields": [{"id": 4400050, "values": [{"value": "2"}]}],
            }
        ],
        "delete": [12, 13],
    }
    assert V.batch(4, 4220, changes, SCHEMA) == Batch(4, Request("POST", ELEMENTS, (), body, False), changes)


# --- results ---

ADD_7, ADD_8 = Add(7, "g", 2, {"name": "G"}), Add(8, "h", 3, {"name": "H"})
UPDATE = Update(1, "a", 4, 11, 100, {"name": "A"}, {"name": "B"})
DELETE = Delete(2, "c", 12, "C", 100)
MIXED: tuple[Change, ...] = (UPDATE, DELETE, ADD_7, ADD_8)
DONE = [Result(1, "done", 11), Result(2, "done", 12), Result(7, "done", 881), Result(8, "done", 882)]
SILENT = "the answer does not mention it"


def _results(body: Any, *changes: Change) -> list[Result]:
    return V.read_results(_batch(*(changes or MIXED)), Response(200, body))


def _embedded(items: Any, errors: Any = None) -> dict[str, Any]:
    return {"_embedded": {"items": items, **({} if errors is None else {"errors": errors})}}


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_results_are_matched_by_request_id_and_id_in_any_order(order: tuple[int, ...]) -> None:
    items = [
        {"id": 881, "request_id": 7},
        {"id": 882, "request_id": "8"},
        {"id": 11, "updated_at": 101},
        {"id": 12},
    ]
    assert _results(_embedded([items[place] for place in order])) == DONE


def test_request_ids_that_the_server_makes_up_for_an_update_confirm_no_add() -> None:
    items = [{"id": 11, "request_id": 7}, {"id": 12, "request_id": 8}]
    assert _results(_embedded(items)) == [
        Result(1, "done", 11),
        Result(2, "done", 12),
        Result(7, "unknown", None, SILENT),
        Result(8, "unknown", None, SILENT),
    ]


def test_a_request_id_without_an_id_confirms_nothing() -> None:
    assert _results(_embedded([{"request_id": 7}]), ADD_7) == [Result(7, "unknown", None, SILENT)]


ERRORS = {
    "by verb and id": {"add": {"8": "Error 285. No name"}, "update": {"11": "Error 203. Bad"}},
    "list with ids": {
        "add": [{"code": 285, "message": "Error 285. No name", "request_id": 8}],
        "update": [{"code": 203, "message": "Error 203. Bad", "id": 11}],
    },
    "flat list": [
        {"id": 0, "code": 400, "message": "Error 285. No name", "request_id": 8},
        {"id": 11, "code": 400, "message": "Error 203. Bad", "request_id": 0},
    ],
}


@pytest.mark.parametrize("errors", ERRORS.values(), ids=ERRORS)
def test_an_error_belongs_to_the_change_that_it_names(errors: Any) -> None:
    assert _results(_embedded([{"id": 881, "request_id": 7}, {"id": 12}], errors)) == [
        Result(1, "failed", 11, "Error 203. Bad"),
        Result(2, "done", 12),
        Result(7, "done", 881),
        Result(8, "failed", None, "Error 285. No name"),
    ]


def test_a_code_without_an_address_counts_for_what_is_not_confirmed_of_its_verb() -> None:
    items = [{"id": 881, "request_id": 7}, {"id": 12}]
    assert _results(_embedded(items, {"add": [{"code": 285}]})) == [
        Result(1, "unknown", 11, SILENT),
        Result(2, "done", 12),
        Result(7, "done", 881),
        Result(8, "failed", None, "error 285"),
    ]


@pytest.mark.parametrize(
    "error",
    [
        {"id": 0, "code": 400, "message": "Error 285.", "request_id": 0},
        {"id": 0, "code": 400, "message": "Error 285."},
        {"code": 400, "message": "Error 285."},
    ],
    ids=["zeros as in issue 298", "id zero", "bare"],
)
def test_an_error_that_names_nothing_counts_for_what_is_not_confirmed(error: Any) -> None:
    body = _embedded([{"id": 881, "request_id": 7}], [error])
    assert _results(body, ADD_7, ADD_8) == [Result(7, "done", 881), Result(8, "failed", None, "Error 285.")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"response": {"error": "Empty (222)", "error_code": "222", "server_time": 1760000000}}, "Empty (222)"),
        ({"title": "Error", "detail": "Error 285.", "status": 400}, "Error 285."),
    ],
    ids=["legacy", "title"],
)
def test_an_error_of_the_whole_request_fails_every_change(body: Any, message: str) -> None:
    assert _results(body) == [
        Result(1, "failed", 11, message),
        Result(2, "failed", 12, message),
        Result(7, "failed", None, message),
        Result(8, "failed", None, message),
    ]


@pytest.mark.parametrize(
    "message", ["Last modified date is older than in database", "Last modified date is older than in."]
)
@pytest.mark.parametrize("shape", ["by id", "listed", "flat"])
def test_a_stale_update_is_a_conflict(message: str, shape: str) -> None:
    errors: Any = {
        "by id": {"update": {"11": message}},
        "listed": {"update": [{"id": "11", "message": message}]},
        "flat": [{"id": 11, "code": 400, "message": message, "request_id": 0}],
    }[shape]
    assert _results(_embedded([], errors), UPDATE) == [Result(1, "conflict", 11, message)]


def test_an_error_outweighs_an_item_of_the_same_update() -> None:
    errors = {"update": {"11": "Error 203. Bad"}}
    assert _results(_embedded([{"id": 11}], errors), UPDATE) == [Result(1, "failed", 11, "Error 203. Bad")]


def test_an_error_of_another_verb_with_the_same_number_is_not_ours() -> None:
    update_of_7 = Update(1, "a", 4, 7, 100, {"name": "A"}, {"name": "B"})
    body = _embedded([{"id": 881, "request_id": 7}], {"update": {"7": "Error 203. Bad"}})
    assert _results(body, update_of_7, ADD_7) == [Result(1, "failed", 7, "Error 203. Bad"), Result(7, "done", 881)]


@pytest.mark.parametrize(
    ("items", "outcome"),
    [
        ([{"id": 12}], Result(2, "done", 12)),
        ([[{"id": 12}]], Result(2, "done", 12)),
        ([], Result(2, "unknown", 12, SILENT)),
    ],
    ids=["items", "nested", "empty"],
)
def test_a_delete_is_done_where_its_id_is_answered(items: Any, outcome: Result) -> None:
    assert _results(_embedded(items), DELETE) == [outcome]


@pytest.mark.parametrize(
    "errors",
    [
        {"delete": {"12": "Error 282. Element not found in account: 12"}},
        [{"id": 12, "code": 404, "message": "Error 282.", "request_id": 0}],
        {"delete": [{"id": 12, "code": 282}]},
    ],
    ids=["by id", "flat", "code"],
)
def test_a_delete_of_what_is_gone_already_is_done(errors: Any) -> None:
    assert _results(_embedded([], errors), DELETE) == [Result(2, "done", 12, "was gone already")]


def test_a_refused_delete_of_an_id_with_282_in_it_is_not_taken_for_gone() -> None:
    message = "Error 244. No rights for element 28214"
    delete = Delete(2, "c", 28214, "C", 100)
    assert _results(_embedded([], {"delete": {"28214": message}}), delete) == [Result(2, "failed", 28214, message)]


@pytest.mark.parametrize("body", [None, {}, {"_embedded": {"items": []}}, {"_embedded": {"items": [], "errors": []}}])
def test_what_the_answer_does_not_mention_is_unknown(body: Any) -> None:
    assert _results(body) == [
        Result(1, "unknown", 11, SILENT),
        Result(2, "unknown", 12, SILENT),
        Result(7, "unknown", None, SILENT),
        Result(8, "unknown", None, SILENT),
    ]


def test_parts_of_a_composite_field_that_nobody_knows_are_sent_again_with_the_others() -> None:
    values = [{"value": {"name": "Acme", "vat_id": "7", "real_address": "Riga", "kpp": None}}]
    item = {"id": 5, "name": "x", "updated_at": 6, "custom_fields": [{"id": 4400069, "values": values}]}
    wanted = columns("4400069.name", "4400069.vat_id", "4400069.*")
    page = read_page(V, {"_embedded": {"items": [item]}}, wanted, "")
    others = '{"real_address": "Riga"}'
    assert page.values.to_pydict() == {"4400069.name": ["Acme"], "4400069.vat_id": ["7"], "4400069.*": [others]}

    kept = {"4400069.name": "Acme", "4400069.*": others}
    change = Update(1, "k", 2, 5, 6, {"4400069.vat_id": "7"}, {"4400069.vat_id": "8"}, kept)
    (sent,) = V.batch(1, 4220, [change], SCHEMA).request.json["update"]
    assert sent["custom_fields"] == [
        {"id": 4400069, "values": [{"value": {"name": "Acme", "vat_id": "8", "real_address": "Riga"}}]}
    ]


@pytest.mark.parametrize(
    ("links", "is_linked"),
    [
        ({}, False),
        ({"leads": {}, "customers": []}, False),
        ({"leads": {"id": [31, 32]}}, True),
        ({"leads": {}, "customers": {"id": {"0": 7}}}, True),
    ],
)
def test_an_element_that_hangs_on_deals_or_customers_is_linked(links: dict[str, Any], is_linked: bool) -> None:
    page = read_page(V, {"_embedded": {"items": [{"id": 5, "name": "x", **links}]}}, (), "")
    assert page.linked == [is_linked]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(1, 20))
def test_changes_of_all_kinds_travel_in_the_fewest_requests(adds: int, updates: int, deletes: int, size: int) -> None:
    changes: list[Change] = [Update(n, "k", n, n, 6, {"name": "a"}, {"name": "b"}) for n in range(updates)]
    changes += [Add(100 + n, "k", n, {"name": "x"}) for n in range(adds)]
    changes += [Delete(200 + n, "k", 500 + n, "x", 6) for n in range(deletes)]
    batches = list(V.batches(4220, changes, SCHEMA, size))
    assert [change for batch in batches for change in batch.changes] == changes
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    assert len(batches) == math.ceil(len(changes) / size)
    assert V.write_requests({"add": adds, "update": updates, "delete": deletes}, size) == len(batches)
